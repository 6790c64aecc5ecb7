#include "sim/engine/cache_replay.h"

#include <algorithm>
#include <bit>
#include <map>
#include <set>
#include <vector>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "sim/policy/belady.h"
#include "tests/testing/real_data.h"
#include "tests/testing/request_traces.h"
#include "tests/testing/slow_eviction.h"

namespace tierscope {
namespace {

int64_t Hits(CachePolicy policy, int64_t capacity, const std::vector<uint32_t>& ids) {
  const uint32_t last = ids.empty() ? 0 : *std::max_element(ids.begin(), ids.end());
  return CountCacheHits(policy, capacity, ids, int64_t{last} + 1);
}

template <typename Slow>
int64_t SlowHits(int64_t capacity, const std::vector<uint32_t>& ids) {
  Slow cache(capacity);
  int64_t held = 0;
  int64_t hits = 0;
  for (const uint32_t id : ids) {
    if (cache.Has(id)) {
      ++hits;
      cache.Hit(id);
      continue;
    }
    if (held == capacity) {
      cache.Evict();
    } else {
      ++held;
    }
    cache.Insert(id);
  }
  return hits;
}

// MIN by looking ahead from every miss for every resident.
int64_t SlowBeladyHits(size_t capacity, const std::vector<uint32_t>& ids) {
  std::set<uint32_t> held;
  int64_t hits = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (held.count(ids[i]) > 0) {
      ++hits;
      continue;
    }
    const auto now = ids.begin() + static_cast<std::ptrdiff_t>(i);
    const auto next_use = [&](uint32_t id) { return std::find(now, ids.end(), id); };
    if (held.size() == capacity) {
      held.erase(*std::max_element(held.begin(), held.end(), [&](uint32_t a, uint32_t b) {
        return next_use(a) < next_use(b);
      }));
    }
    held.insert(ids[i]);
  }
  return hits;
}

// The most hits of any sequence of victims: tries them all. `held` is a set of ids below 32.
int64_t BestHits(int capacity, absl::Span<const uint32_t> ids, uint32_t held) {
  if (ids.empty()) return 0;
  const uint32_t wanted = 1U << ids[0];
  const auto rest = ids.subspan(1);
  if ((held & wanted) != 0) return 1 + BestHits(capacity, rest, held);
  if (std::popcount(held) < capacity) return BestHits(capacity, rest, held | wanted);
  int64_t best = 0;
  for (uint32_t others = held; others != 0; others &= others - 1) {
    const uint32_t victim = others & -others;
    best = std::max(best, BestHits(capacity, rest, (held & ~victim) | wanted));
  }
  return best;
}

int64_t ReferenceHits(CachePolicy policy, int64_t capacity, const std::vector<uint32_t>& ids) {
  switch (policy) {
    case CachePolicy::kLru:
      return SlowHits<testing::SlowLru>(capacity, ids);
    case CachePolicy::kFifo:
      return SlowHits<testing::SlowFifo>(capacity, ids);
    case CachePolicy::kClock:
      return SlowHits<testing::SlowClock>(capacity, ids);
    case CachePolicy::kSieve:
      return SlowHits<testing::SlowSieve>(capacity, ids);
    case CachePolicy::kS3Fifo:
      return SlowHits<testing::SlowS3Fifo>(capacity, ids);
    case CachePolicy::kBelady:
      return SlowBeladyHits(static_cast<size_t>(capacity), ids);
  }
  return -1;
}

constexpr CachePolicy kPolicies[] = {CachePolicy::kLru,    CachePolicy::kFifo,
                                     CachePolicy::kClock,  CachePolicy::kSieve,
                                     CachePolicy::kS3Fifo, CachePolicy::kBelady};

std::vector<uint32_t> RandomIds(Rng& rng, uint64_t blocks, size_t accesses) {
  std::vector<uint32_t> ids(accesses);
  for (uint32_t& id : ids) {
    id = static_cast<uint32_t>(std::min(rng.NextBelow(blocks), rng.NextBelow(blocks)));
  }
  return ids;
}

// LRU with 2: miss 0, miss 1, hit 0, miss 2 (1 leaves), hit 0, miss 1.
// FIFO with 2: miss 0, miss 1, hit 0, miss 2 (0 leaves), miss 0 (1 leaves), miss 1.
TEST(CacheReplayTest, HandWorked) {
  const std::vector<uint32_t> ids = {0, 1, 0, 2, 0, 1};
  EXPECT_EQ(Hits(CachePolicy::kLru, 2, ids), 2);
  EXPECT_EQ(Hits(CachePolicy::kFifo, 2, ids), 1);
  EXPECT_EQ(Hits(CachePolicy::kLru, kCacheCapacityInfinite, ids), 3);
  EXPECT_EQ(Hits(CachePolicy::kFifo, kCacheCapacityInfinite, ids), 3);
  EXPECT_EQ(Hits(CachePolicy::kLru, 1, {4, 4, 4, 5, 4}), 2);
  EXPECT_EQ(Hits(CachePolicy::kLru, 5, {}), 0);
  EXPECT_EQ(CountDistinctBlocks(ids, 3), 3);
}

// Clock with 2 on 0 1 0 2 0 1: 0 has its bit, so 1 leaves for 2; then hit 0, and 1 takes 2's place.
// MIN with 2: 2 takes the place of 1, whose next use is after that of 0; hits 0 and 0.
TEST(CacheReplayTest, HandWorkedOthers) {
  const std::vector<uint32_t> ids = {0, 1, 0, 2, 0, 1};
  EXPECT_EQ(Hits(CachePolicy::kClock, 2, ids), 2);
  EXPECT_EQ(Hits(CachePolicy::kBelady, 2, ids), 2);
  EXPECT_EQ(Hits(CachePolicy::kBelady, 1, {4, 4, 4, 5, 4}), 2);
  EXPECT_EQ(Hits(CachePolicy::kBelady, 5, {}), 0);
  // 2 is never used again and 0 is used last: 1 2 stay, then 2 goes for 3.
  EXPECT_EQ(Hits(CachePolicy::kBelady, 2, {0, 1, 2, 1, 3, 1, 3, 0}), 3);
}

TEST(CacheReplayTest, EqualsTheReferenceOnRandomTraces) {
  Rng rng(5);
  std::map<CachePolicy, int> unlike_fifo;  // rounds in which a policy is told from FIFO
  for (int round = 0; round < 3000; ++round) {
    const uint64_t blocks = 1 + rng.NextBelow(60);
    const std::vector<uint32_t> ids = RandomIds(rng, blocks, rng.NextBelow(400));
    const auto capacity = static_cast<int64_t>(1 + rng.NextBelow(blocks + 3));
    const int64_t fifo = Hits(CachePolicy::kFifo, capacity, ids);
    const int64_t belady = Hits(CachePolicy::kBelady, capacity, ids);
    const std::set<uint32_t> distinct(ids.begin(), ids.end());
    ASSERT_EQ(CountDistinctBlocks(ids, static_cast<int64_t>(blocks)), std::ssize(distinct));
    for (const CachePolicy policy : kPolicies) {
      const int64_t hits = Hits(policy, capacity, ids);
      ASSERT_LE(hits, belady) << round << " policy " << static_cast<int>(policy);
      unlike_fifo[policy] += hits != fifo;
      // Above the number of blocks the replay narrows the cache; nothing is evicted there.
      if (capacity <= std::ssize(distinct)) {
        ASSERT_EQ(hits, ReferenceHits(policy, capacity, ids))
            << round << " policy " << static_cast<int>(policy);
      }
      ASSERT_EQ(Hits(policy, kCacheCapacityInfinite, ids), std::ssize(ids) - std::ssize(distinct));
    }
  }
  for (const CachePolicy policy : kPolicies) {
    if (policy == CachePolicy::kFifo) continue;
    EXPECT_GT(unlike_fifo[policy], 1000) << static_cast<int>(policy);
  }
}

TEST(CacheReplayTest, NoVictimsAreBetterThanThoseOfBelady) {
  Rng rng(7);
  for (int round = 0; round < 2000; ++round) {
    const std::vector<uint32_t> ids = RandomIds(rng, 2 + rng.NextBelow(5), rng.NextBelow(13));
    const auto capacity = static_cast<int>(1 + rng.NextBelow(3));
    ASSERT_EQ(Hits(CachePolicy::kBelady, capacity, ids), BestHits(capacity, ids, 0)) << round;
  }
}

// Positions in every word of a tree of three levels.
TEST(PositionSetTest, GivesTheLargest) {
  Rng rng(8);
  PositionSet positions(300'000);
  std::set<size_t> expected;
  for (int step = 0; step < 200'000; ++step) {
    const size_t position =
        rng.NextBelow(step % 3 == 0 ? 300'000 : 400) * (step % 2 == 0 ? 1 : 749);
    if (position >= 300'000) continue;
    if (rng.NextBelow(2) == 0) {
      positions.Insert(position);
      expected.insert(position);
    } else {
      ASSERT_EQ(positions.Take(position), expected.erase(position) > 0);
    }
    if (expected.empty()) continue;
    ASSERT_EQ(positions.Largest(), *expected.rbegin());
    if (expected.size() > 100) {
      ASSERT_TRUE(positions.Take(*expected.rbegin()));
      expected.erase(std::prev(expected.end()));
    }
  }
}

// Stack property: a larger LRU cache hits at least as often.
TEST(CacheReplayTest, LruHitsRiseWithCapacity) {
  Rng rng(6);
  std::vector<uint32_t> ids(5000);
  for (uint32_t& id : ids) id = static_cast<uint32_t>(rng.NextBelow(1 + rng.NextBelow(500)));
  int64_t last_hits = 0;
  for (int64_t capacity = 1; capacity < 520; ++capacity) {
    const int64_t hits = Hits(CachePolicy::kLru, capacity, ids);
    ASSERT_GE(hits, last_hits);
    last_hits = hits;
  }
}

TEST(CacheReplayTest, ParsesCapacitiesAndPolicies) {
  EXPECT_EQ(*ParseCacheCapacity("1"), 1);
  EXPECT_EQ(*ParseCacheCapacity("9223372036854775807"), kCacheCapacityInfinite);
  EXPECT_EQ(*ParseCacheCapacity("infinite"), kCacheCapacityInfinite);
  for (const char* bad :
       {"", "0", "-1", "+1", " 1", "1.5", "1e3", "inf", "9223372036854775808", "1k"}) {
    EXPECT_FALSE(ParseCacheCapacity(bad).ok()) << bad;
  }
  EXPECT_EQ(*ParseCachePolicy("lru"), CachePolicy::kLru);
  EXPECT_EQ(*ParseCachePolicy("fifo"), CachePolicy::kFifo);
  EXPECT_EQ(*ParseCachePolicy("clock"), CachePolicy::kClock);
  EXPECT_EQ(*ParseCachePolicy("sieve"), CachePolicy::kSieve);
  EXPECT_EQ(*ParseCachePolicy("s3fifo"), CachePolicy::kS3Fifo);
  EXPECT_EQ(*ParseCachePolicy("belady"), CachePolicy::kBelady);
  EXPECT_FALSE(ParseCachePolicy("LRU").ok());
  EXPECT_FALSE(ParseCachePolicy("").ok());
}

TEST(CacheReplayTest, MooncakeConversation) {
  TIERSCOPE_SKIP_WITHOUT_REAL_DATA("mooncake/conversation_trace.jsonl");
  const RequestTrace trace =
      testing::Load(testing::RealDataPath("mooncake/conversation_trace.jsonl"));
  ASSERT_EQ(trace.block_ids.size(), 288'500);
  EXPECT_EQ(CountDistinctBlocks(trace.block_ids, trace.block_count), 182'790);
  struct Expected {
    int64_t capacity, lru, fifo;
  };
  for (const Expected& expected :
       std::vector<Expected>{{1'000, 12'831, 12'559},
                             {1'827, 15'080, 14'565},
                             {4'096, 25'259, 24'411},
                             {9'139, 56'382, 51'808},
                             {18'279, 80'323, 73'806},
                             {45'697, 101'978, 96'469},
                             {kCacheCapacityInfinite, 105'710, 105'710}}) {
    const auto hits = [&](CachePolicy policy) {
      return CountCacheHits(policy, expected.capacity, trace.block_ids, trace.block_count);
    };
    EXPECT_EQ(hits(CachePolicy::kLru), expected.lru) << expected.capacity;
    EXPECT_EQ(hits(CachePolicy::kFifo), expected.fifo) << expected.capacity;
  }
}

// The counts of MIN are known from elsewhere; those of the others are this code's own, which equals
// the slow versions.
TEST(CacheReplayTest, MooncakeConversationOtherPolicies) {
  TIERSCOPE_SKIP_WITHOUT_REAL_DATA("mooncake/conversation_trace.jsonl");
  const RequestTrace trace =
      testing::Load(testing::RealDataPath("mooncake/conversation_trace.jsonl"));
  const auto hits = [&](CachePolicy policy, int64_t capacity) {
    return CountCacheHits(policy, capacity, trace.block_ids, trace.block_count);
  };
  EXPECT_EQ(hits(CachePolicy::kBelady, 1'000), 54'994);
  EXPECT_EQ(hits(CachePolicy::kBelady, 4'096), 93'564);
  EXPECT_EQ(hits(CachePolicy::kClock, 1'000), 12'884);
  EXPECT_EQ(hits(CachePolicy::kClock, 4'096), 25'823);
  EXPECT_EQ(hits(CachePolicy::kSieve, 1'000), 13'871);
  EXPECT_EQ(hits(CachePolicy::kSieve, 4'096), 24'874);
  EXPECT_EQ(hits(CachePolicy::kS3Fifo, 1'000), 16'041);
  EXPECT_EQ(hits(CachePolicy::kS3Fifo, 4'096), 33'727);
}

}  // namespace
}  // namespace tierscope

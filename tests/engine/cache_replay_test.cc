#include "sim/engine/cache_replay.h"

#include <algorithm>
#include <deque>
#include <set>
#include <vector>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/testing/real_data.h"
#include "tests/testing/request_traces.h"

namespace tierscope {
namespace {

int64_t Hits(CachePolicy policy, int64_t capacity, const std::vector<uint32_t>& ids) {
  const uint32_t last = ids.empty() ? 0 : *std::max_element(ids.begin(), ids.end());
  return CountCacheHits(policy, capacity, ids, int64_t{last} + 1);
}

// A slow, obvious cache: a queue with the victim in front, searched from end to end.
int64_t ReferenceHits(CachePolicy policy, size_t capacity, const std::vector<uint32_t>& ids) {
  std::deque<uint32_t> queue;
  int64_t hits = 0;
  for (const uint32_t id : ids) {
    const auto found = std::find(queue.begin(), queue.end(), id);
    if (found != queue.end()) {
      ++hits;
      if (policy == CachePolicy::kFifo) continue;
      queue.erase(found);
    } else if (queue.size() == capacity) {
      queue.pop_front();
    }
    queue.push_back(id);
  }
  return hits;
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

TEST(CacheReplayTest, EqualsTheReferenceOnRandomTraces) {
  Rng rng(5);
  for (int round = 0; round < 2000; ++round) {
    const uint64_t blocks = 1 + rng.NextBelow(40);
    std::vector<uint32_t> ids(rng.NextBelow(300));
    for (uint32_t& id : ids) {
      id = static_cast<uint32_t>(std::min(rng.NextBelow(blocks), rng.NextBelow(blocks)));
    }
    const auto capacity = static_cast<int64_t>(1 + rng.NextBelow(blocks + 3));
    for (const CachePolicy policy : {CachePolicy::kLru, CachePolicy::kFifo}) {
      ASSERT_EQ(Hits(policy, capacity, ids), ReferenceHits(policy, capacity, ids)) << round;
    }
    const std::set<uint32_t> distinct(ids.begin(), ids.end());
    ASSERT_EQ(CountDistinctBlocks(ids, static_cast<int64_t>(blocks)), std::ssize(distinct));
    ASSERT_EQ(Hits(CachePolicy::kFifo, kCacheCapacityInfinite, ids),
              std::ssize(ids) - std::ssize(distinct));
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

}  // namespace
}  // namespace tierscope

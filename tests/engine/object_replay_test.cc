#include "sim/engine/object_replay.h"

#include <algorithm>
#include <map>
#include <vector>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/testing/slow_eviction.h"

namespace tierscope {
namespace {

using Values = std::vector<uint32_t>;

template <typename Slow>
ObjectHits SlowHits(int64_t capacity_bytes, const Values& ids, const Values& bytes) {
  Slow cache(capacity_bytes);
  std::map<uint64_t, int64_t> held;
  const auto held_total = [&held] {
    int64_t total = 0;
    for (const auto& [key, key_bytes] : held) total += key_bytes;
    return total;
  };
  ObjectHits result;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (cache.Has(ids[i])) {
      ++result.hits;
      cache.Hit(ids[i]);
      continue;
    }
    result.missed_bytes += bytes[i];
    if (bytes[i] > capacity_bytes) continue;
    while (held_total() + bytes[i] > capacity_bytes) held.erase(*cache.Evict());
    if constexpr (requires { cache.Insert(ids[i], bytes[i]); }) {
      cache.Insert(ids[i], bytes[i]);
    } else {
      cache.Insert(ids[i]);
    }
    held[ids[i]] = bytes[i];
  }
  return result;
}

// The farthest next use leaves; of those without one, the one used longest ago.
ObjectHits SlowBeladyHits(int64_t capacity_bytes, const Values& ids, const Values& bytes) {
  struct Held {
    uint32_t id;
    int64_t bytes;
  };
  std::vector<Held> held;  // in order of last use
  ObjectHits result;
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto now = ids.begin() + static_cast<std::ptrdiff_t>(i);
    const auto found =
        std::find_if(held.begin(), held.end(), [&](const Held& h) { return h.id == *now; });
    if (found != held.end()) {
      ++result.hits;
      std::rotate(found, found + 1, held.end());
      continue;
    }
    result.missed_bytes += bytes[i];
    if (bytes[i] > capacity_bytes) continue;
    int64_t total = bytes[i];
    for (const Held& h : held) total += h.bytes;
    while (total > capacity_bytes) {
      const auto victim =
          std::max_element(held.begin(), held.end(), [&](const Held& a, const Held& b) {
            return std::find(now, ids.end(), a.id) < std::find(now, ids.end(), b.id);
          });
      total -= victim->bytes;
      held.erase(victim);
    }
    held.push_back({ids[i], bytes[i]});
  }
  return result;
}

// 10 bytes: 0 (4) and 1 (6) enter; for 2 (7) LRU takes out 0, which is not enough, and 1. 3 (11)
// bypasses and leaves 2 in; 0, now of 3, fits beside 2.
TEST(ObjectReplayTest, HandWorked) {
  const Values ids = {0, 1, 2, 3, 2, 0, 2};
  const Values bytes = {4, 6, 7, 11, 7, 3, 7};
  EXPECT_EQ(CountObjectHits(CachePolicy::kLru, 10, ids, bytes, 4),
            (ObjectHits{2, 4 + 6 + 7 + 11 + 3}));
  EXPECT_EQ(CountObjectHits(CachePolicy::kLru, kCacheCapacityInfinite, ids, bytes, 4),
            (ObjectHits{3, 4 + 6 + 7 + 11}));
  EXPECT_EQ(CountObjectHits(CachePolicy::kLru, 2, ids, bytes, 4), (ObjectHits{0, 45}));
  // An object keeps the bytes it entered with: 0 entered with 4, so 1 fits beside it.
  EXPECT_EQ(CountObjectHits(CachePolicy::kFifo, 10, {0, 0, 1, 0}, {4, 9, 6, 4}, 2),
            (ObjectHits{2, 10}));
  EXPECT_EQ(CountObjectHits(CachePolicy::kBelady, 1, {}, {}, 0), (ObjectHits{0, 0}));
}

// 100 bytes: 10 for what is new, 90 for the rest and for ghosts. 0 (9) is used three times, 1 (50)
// and 2 (40) leave 1 byte. For 3 (10) the small queue, far over its share, gives 0 to the main
// queue and then 1 to the ghosts. 0 is used again. 1 comes back: for its 50 bytes 2 goes, and as a
// ghost it enters the main queue. For 4 (91) the small queue, at its share, gives up 3, then the
// main queue, sparing 0, gives up 1. 0 hits; for 2 (40) 4 goes, too large for the ghosts.
TEST(ObjectReplayTest, S3FifoSharesAreBytes) {
  const Values ids = {0, 0, 0, 1, 2, 3, 0, 1, 4, 0, 2};
  const Values bytes = {9, 9, 9, 50, 40, 10, 9, 50, 91, 9, 40};
  EXPECT_EQ(CountObjectHits(CachePolicy::kS3Fifo, 100, ids, bytes, 5),
            (ObjectHits{4, 9 + 50 + 40 + 10 + 50 + 91 + 40}));
  // One byte more than the ghosts hold is not remembered: 1 (91) enters and leaves twice alike.
  const Values big = {1, 0, 1, 0};
  EXPECT_EQ(CountObjectHits(CachePolicy::kS3Fifo, 100, big, {91, 10, 91, 10}, 2),
            (ObjectHits{0, 202}));
  // A tenth of it is new, nine stay: scanned once over, ten objects of 10 bytes keep the used one.
  Values scan = {0, 0, 0};
  for (uint32_t i = 1; i < 40; ++i) scan.push_back(i);
  scan.push_back(0);
  EXPECT_EQ(CountObjectHits(CachePolicy::kS3Fifo, 100, scan, Values(scan.size(), 10), 40).hits, 3);
  EXPECT_EQ(CountObjectHits(CachePolicy::kLru, 100, scan, Values(scan.size(), 10), 40).hits, 2);
}

// With all sizes the same it is the policy over slots.
TEST(ObjectReplayTest, S3FifoOfEqualSizesCountsSlots) {
  Rng rng(13);
  for (int round = 0; round < 200; ++round) {
    Values ids(300);
    for (uint32_t& id : ids) id = static_cast<uint32_t>(rng.NextBelow(1 + rng.NextBelow(60)));
    const auto slots = static_cast<int64_t>(10 * (1 + rng.NextBelow(4)));  // whole shares
    EXPECT_EQ(CountObjectHits(CachePolicy::kS3Fifo, slots * 70, ids, Values(300, 70), 60).hits,
              CountCacheHits(CachePolicy::kS3Fifo, slots, ids, 60))
        << round;
  }
}

TEST(ObjectReplayTest, EqualsTheReferenceOnRandomTraces) {
  Rng rng(12);
  for (int round = 0; round < 2000; ++round) {
    const uint64_t objects = 1 + rng.NextBelow(20);
    const bool sizes_change = rng.NextBelow(4) == 0;
    Values own_bytes(objects);
    for (uint32_t& b : own_bytes) b = static_cast<uint32_t>(rng.NextBelow(20));  // 0 is a size
    Values ids(rng.NextBelow(200));
    Values bytes;
    for (uint32_t& id : ids) {
      id = static_cast<uint32_t>(std::min(rng.NextBelow(objects), rng.NextBelow(objects)));
      bytes.push_back(sizes_change ? static_cast<uint32_t>(rng.NextBelow(20)) : own_bytes[id]);
    }
    const auto capacity = static_cast<int64_t>(1 + rng.NextBelow(10 * objects));
    const auto hits = [&](CachePolicy policy) {
      return CountObjectHits(policy, capacity, ids, bytes, static_cast<int64_t>(objects));
    };
    ASSERT_EQ(hits(CachePolicy::kLru), SlowHits<testing::SlowLru>(capacity, ids, bytes)) << round;
    ASSERT_EQ(hits(CachePolicy::kFifo), SlowHits<testing::SlowFifo>(capacity, ids, bytes)) << round;
    ASSERT_EQ(hits(CachePolicy::kClock), SlowHits<testing::SlowClock>(capacity, ids, bytes))
        << round;
    ASSERT_EQ(hits(CachePolicy::kSieve), SlowHits<testing::SlowSieve>(capacity, ids, bytes))
        << round;
    ASSERT_EQ(hits(CachePolicy::kS3Fifo), SlowHits<testing::SlowS3Fifo>(capacity, ids, bytes))
        << round;
    ASSERT_EQ(hits(CachePolicy::kBelady), SlowBeladyHits(capacity, ids, bytes)) << round;
  }
}

TEST(ObjectReplayTest, ParsesCapacities) {
  EXPECT_EQ(*ParseCacheBytes("1B"), 1);
  EXPECT_EQ(*ParseCacheBytes("3KiB"), 3 * 1024);
  EXPECT_EQ(*ParseCacheBytes("128MiB"), 134'217'728);
  EXPECT_EQ(*ParseCacheBytes("2GiB"), int64_t{2} << 30);
  EXPECT_EQ(*ParseCacheBytes("8388607TiB"), int64_t{8388607} << 40);
  EXPECT_EQ(*ParseCacheBytes("infinite"), kCacheCapacityInfinite);
  for (const char* bad : {"", "0B", "1", "MiB", "-1B", "+1B", "1.5GiB", "1 MiB", "1MB", "1mib",
                          "1MiBx", "8388608TiB", "9223372036854775808B"}) {
    EXPECT_FALSE(ParseCacheBytes(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace tierscope

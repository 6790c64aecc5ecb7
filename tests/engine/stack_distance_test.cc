#include "sim/engine/stack_distance.h"

#include <algorithm>
#include <limits>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "sim/engine/cache_replay.h"

namespace tierscope {
namespace {

// Distances of 0 1 1 2 0 0 1: none, none, 1, none, 3, 1, 3.
TEST(StackDistanceTest, HandWorked) {
  const std::vector<uint32_t> ids = {0, 1, 1, 2, 0, 0, 1};
  constexpr int64_t kInfinite = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(CountLruHits({kInfinite, 2, 1, 3, 2, 4}, ids, 3),
            (std::vector<int64_t>{4, 2, 2, 4, 2, 4}));
  EXPECT_EQ(CountLruHits({1}, ids, 7), (std::vector<int64_t>{2}));
  EXPECT_EQ(CountLruHits({}, ids, 3), std::vector<int64_t>());
  EXPECT_EQ(CountLruHits({5, 1}, {}, 0), (std::vector<int64_t>{0, 0}));
}

// One pass against a replay a capacity. Lengths on both sides of the blocks of 512 bits, and long
// enough for a tree of several levels.
TEST(StackDistanceTest, EqualsTheReplays) {
  Rng rng(9);
  for (int round = 0; round < 1500; ++round) {
    const uint64_t accesses_max = round % 100 == 0 ? 40'000 : round % 3 == 0 ? 1'100 : 100;
    const uint64_t blocks = 1 + rng.NextBelow(accesses_max);
    std::vector<uint32_t> ids(rng.NextBelow(accesses_max + 1));
    for (uint32_t& id : ids) {
      id = static_cast<uint32_t>(std::min(rng.NextBelow(blocks), rng.NextBelow(blocks)));
    }
    std::vector<int64_t> capacities = {kCacheCapacityInfinite, 1};
    for (int i = 0; i < 6; ++i) {
      capacities.push_back(static_cast<int64_t>(1 + rng.NextBelow(1 + rng.NextBelow(blocks + 3))));
    }
    const auto block_count = static_cast<int64_t>(blocks);
    std::vector<int64_t> expected;
    for (const int64_t capacity : capacities) {
      expected.push_back(CountCacheHits(CachePolicy::kLru, capacity, ids, block_count));
    }
    ASSERT_EQ(CountLruHits(capacities, ids, block_count), expected) << round;
    ASSERT_EQ(CountCacheHitsAtEach(CachePolicy::kLru, capacities, ids, block_count), expected);
  }
}

TEST(StackDistanceTest, OtherPoliciesKeepTheOrderOfCapacities) {
  const std::vector<uint32_t> ids = {0, 1, 0, 2, 0, 1};
  EXPECT_EQ(CountCacheHitsAtEach(CachePolicy::kFifo, {3, 2, 3}, ids, 3),
            (std::vector<int64_t>{3, 1, 3}));
  EXPECT_EQ(CountCacheHitsAtEach(CachePolicy::kBelady, {1, 2}, ids, 3),
            (std::vector<int64_t>{0, 2}));
}

}  // namespace
}  // namespace tierscope

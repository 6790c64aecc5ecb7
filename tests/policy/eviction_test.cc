#include "sim/policy/eviction.h"

#include <map>
#include <vector>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "sim/policy/clock.h"
#include "sim/policy/s3fifo.h"
#include "sim/policy/sieve.h"
#include "tests/testing/slow_eviction.h"

namespace tierscope {
namespace {

template <typename PolicyClass, typename SlowClass>
struct Pair {
  using Policy = PolicyClass;
  using Slow = SlowClass;
};

template <typename P>
class EvictionTest : public ::testing::Test {};
using Pairs =
    ::testing::Types<Pair<LruEviction, testing::SlowLru>, Pair<FifoEviction, testing::SlowFifo>,
                     Pair<ClockEviction, testing::SlowClock>,
                     Pair<SieveEviction, testing::SlowSieve>,
                     Pair<S3FifoEviction, testing::SlowS3Fifo>>;
TYPED_TEST_SUITE(EvictionTest, Pairs);

// Random inserts, hits, removals and evictions, full and not; the slots of a key change over time.
TYPED_TEST(EvictionTest, TakesTheVictimsOfTheSlowVersion) {
  Rng rng(11);
  int64_t victims = 0;
  for (int round = 0; round < 2000; ++round) {
    const auto slot_count = static_cast<int32_t>(1 + rng.NextBelow(rng.NextBelow(4) == 0 ? 40 : 8));
    const uint64_t key_count = 1 + rng.NextBelow(3 * static_cast<uint64_t>(slot_count));
    const uint64_t odd_one_in = 2 + rng.NextBelow(60);  // how often a removal or an early eviction
    typename TypeParam::Policy policy(slot_count);
    typename TypeParam::Slow slow(slot_count);
    std::map<uint64_t, int32_t> slot_of;
    std::vector<uint64_t> key_in(static_cast<size_t>(slot_count));
    std::vector<int32_t> free;
    for (int32_t slot = 0; slot < slot_count; ++slot) free.push_back(slot);
    const auto evict = [&] {
      const auto expected = slow.Evict();
      const int32_t slot = policy.Evict();
      ASSERT_EQ(slot >= 0, expected.has_value());
      if (slot < 0) return;
      ASSERT_EQ(key_in[static_cast<size_t>(slot)], *expected) << "round " << round;
      ++victims;
      slot_of.erase(*expected);
      free.push_back(slot);
    };
    for (int step = 0; step < 200; ++step) {
      // Keys above 2^40: an identity cut to 32 bits would differ. Two draws: some keys are hot.
      const uint64_t key =
          std::min(rng.NextBelow(key_count), rng.NextBelow(key_count)) * ((1ULL << 40) + 0x100);
      const auto held = slot_of.find(key);
      if (rng.NextBelow(odd_one_in) == 0) {
        if (held == slot_of.end()) {
          ASSERT_NO_FATAL_FAILURE(evict());
        } else {
          policy.Remove(held->second);
          slow.Remove(key);
          free.push_back(held->second);
          slot_of.erase(held);
        }
        continue;
      }
      ASSERT_EQ(slow.Has(key), held != slot_of.end());
      if (held != slot_of.end()) {
        policy.Hit(held->second);
        slow.Hit(key);
        continue;
      }
      if (free.empty()) {
        ASSERT_NO_FATAL_FAILURE(evict());
      }
      const int32_t slot = free.back();
      free.pop_back();
      policy.Insert(slot, key);
      slow.Insert(key);
      slot_of[key] = slot;
      key_in[static_cast<size_t>(slot)] = key;
    }
    while (!slot_of.empty()) ASSERT_NO_FATAL_FAILURE(evict());
    ASSERT_EQ(policy.Evict(), -1);
  }
  EXPECT_GT(victims, 50'000);
}

TYPED_TEST(EvictionTest, HasNoVictimWithoutSlots) {
  EXPECT_EQ(typename TypeParam::Policy(0).Evict(), -1);
  EXPECT_EQ(typename TypeParam::Policy(3).Evict(), -1);
}

template <typename Policy>
std::vector<int32_t> VictimsOf(Policy& policy, int victim_count) {
  std::vector<int32_t> victims;
  for (int i = 0; i < victim_count; ++i) victims.push_back(policy.Evict());
  return victims;
}

template <typename Policy>
Policy Filled(int32_t slot_count) {
  Policy policy(slot_count);
  for (int32_t slot = 0; slot < slot_count; ++slot)
    policy.Insert(slot, static_cast<uint64_t>(slot));
  return policy;
}

// 0 is spared and goes behind 3; its bit is used up, and however often 0 was hit it is one bit.
TEST(ClockEvictionTest, HandWorked) {
  auto policy = Filled<ClockEviction>(4);
  for (int i = 0; i < 5; ++i) policy.Hit(0);
  EXPECT_EQ(VictimsOf(policy, 5), (std::vector<int32_t>{1, 2, 3, 0, -1}));
}

// Hits on 0 and 2. The hand clears 0, takes 1 and stands at 2. 1 comes back as the newest: order
// 0 2 3 1. Then 2 is spared in its place, 3 leaves, 1 leaves, and the hand wraps to 0, then 2.
TEST(SieveEvictionTest, HandWorked) {
  auto policy = Filled<SieveEviction>(4);
  policy.Hit(0);
  policy.Hit(2);
  EXPECT_EQ(policy.Evict(), 1);
  policy.Insert(1, 9);
  EXPECT_EQ(VictimsOf(policy, 5), (std::vector<int32_t>{3, 1, 0, 2, -1}));
}

// 10 slots: 1 small, 9 main. 0 was hit once: a ghost. 1 was hit twice: main, so 2 leaves. 0 comes
// back from the ghosts into main, behind 1. Of what is in small all leave in order up to its share.
TEST(S3FifoEvictionTest, HandWorked) {
  auto policy = Filled<S3FifoEviction>(10);
  policy.Hit(0);
  policy.Hit(1);
  policy.Hit(1);
  EXPECT_EQ(VictimsOf(policy, 2), (std::vector<int32_t>{0, 2}));
  policy.Insert(2, 0);
  policy.Insert(0, 77);
  EXPECT_EQ(VictimsOf(policy, 11), (std::vector<int32_t>{3, 4, 5, 6, 7, 8, 9, 0, 1, 2, -1}));
}

// 20 slots: 2 small, 18 main, counts up to 3. Ten hits keep a slot of main three rounds, not ten.
TEST(S3FifoEvictionTest, CountsToThree) {
  auto policy = Filled<S3FifoEviction>(20);
  for (int32_t slot = 0; slot < 20; ++slot) {
    policy.Hit(slot);
    policy.Hit(slot);
  }
  EXPECT_EQ(policy.Evict(), 0);  // 0 to 18 went to main, one too many
  for (int i = 0; i < 10; ++i) policy.Hit(1);
  for (int i = 0; i < 3; ++i) policy.Hit(2);
  policy.Remove(19);
  std::vector<int32_t> expected;
  for (int32_t slot = 3; slot < 19; ++slot) expected.push_back(slot);
  expected.insert(expected.end(), {1, 2, -1});
  EXPECT_EQ(VictimsOf(policy, 19), expected);
}

// The queue of ghosts forgets the oldest beyond its capacity, and taking one makes room.
TEST(GhostQueueTest, KeepsTheNewest) {
  GhostQueue ghosts(3, 3);
  for (uint64_t key = 0; key < 4; ++key) ghosts.Push(key, 1);
  EXPECT_FALSE(ghosts.Take(0));
  EXPECT_TRUE(ghosts.Take(2));
  EXPECT_FALSE(ghosts.Take(2));
  ghosts.Push(5, 1);
  EXPECT_TRUE(ghosts.Take(1));
  EXPECT_TRUE(ghosts.Take(3));
  EXPECT_TRUE(ghosts.Take(5));
  GhostQueue none(0, 0);
  none.Push(1, 1);
  EXPECT_FALSE(none.Take(1));
}

TEST(GhostQueueTest, HoldsItsWeight) {
  GhostQueue ghosts(10, 100);
  ghosts.Push(1, 60);
  ghosts.Push(2, 40);
  ghosts.Push(3, 101);  // never fits, and pushes nothing out
  EXPECT_FALSE(ghosts.Take(3));
  ghosts.Push(4, 61);  // 1 and 2 must go
  EXPECT_FALSE(ghosts.Take(1));
  EXPECT_FALSE(ghosts.Take(2));
  ghosts.Push(5, 0);
  ghosts.Push(6, 39);
  EXPECT_TRUE(ghosts.Take(4));
  EXPECT_TRUE(ghosts.Take(5));
  EXPECT_TRUE(ghosts.Take(6));
}

}  // namespace
}  // namespace tierscope

#include "sim/engine/residency.h"

#include <algorithm>
#include <list>
#include <map>
#include <set>

#include "gtest/gtest.h"

#include "sim/base/rng.h"

namespace tierscope {
namespace {

using Pages = std::vector<PageIndex>;

Pages EvictedOf(const Residency& residency) {
  Pages pages;
  for (const EvictedPage& e : residency.evicted()) pages.push_back(e.page);
  return pages;
}

TEST(ResidencyTest, ProtectedEvictsOnlyWhatNobodyWants) {
  Residency residency(5, Policy::LRU_PROTECTED, Policy::ON_COMPLETION);
  residency.Open(0, 10, 0);
  residency.Open(1, 10, 1);
  const Pages a = {0, 1, 2}, b = {5, 6}, c = {1, 3, 4};
  EXPECT_EQ(residency.Want(0, a), 3);
  EXPECT_EQ(residency.Want(1, b), 2);  // full now
  EXPECT_EQ(residency.Want(0, c), 2);  // 0 and 2 leave and are the only victims, in page order
  EXPECT_EQ(EvictedOf(residency), (Pages{0, 2}));
  EXPECT_TRUE(residency.Holds(1, 5) && residency.Holds(1, 6));
  EXPECT_EQ(residency.held_count(), 5);
  EXPECT_EQ(residency.CountOwned(), 5);
}

TEST(ResidencyTest, LeavingPagesStayUntilTheirBlockIsNeeded) {
  Residency residency(8, Policy::LRU_PROTECTED, Policy::ON_COMPLETION);
  residency.Open(0, 10, 0);
  const Pages a = {0, 1, 2}, b = {3, 4};
  residency.Want(0, a);
  residency.Want(0, b);
  EXPECT_EQ(residency.Want(0, a), 0);  // still held: no recall
  EXPECT_TRUE(residency.evicted().empty());
}

TEST(ResidencyTest, FifoTakesAnotherRequestsLivePageAndHitsDoNotRefresh) {
  Residency residency(3, Policy::FIFO, Policy::ON_COMPLETION);
  residency.Open(0, 10, 0);
  residency.Open(1, 10, 1);
  const Pages a = {0, 1}, b = {7}, c = {8};
  residency.Want(0, a);
  residency.Want(1, b);
  EXPECT_EQ(residency.Want(0, a), 0);  // a hit
  residency.Want(1, c);                // the oldest goes: page 0, wanted a moment ago
  EXPECT_EQ(EvictedOf(residency), (Pages{0}));
  EXPECT_FALSE(residency.Holds(0, 0));
}

TEST(ResidencyTest, LruRefreshesHits) {
  Residency residency(3, Policy::LRU, Policy::ON_COMPLETION);
  residency.Open(0, 10, 0);
  residency.Open(1, 10, 1);
  const Pages a = {0, 1}, b = {7}, c = {8};
  residency.Want(0, a);
  residency.Want(1, b);
  residency.Want(0, a);
  residency.Want(1, c);
  EXPECT_EQ(EvictedOf(residency), (Pages{7}));
}

TEST(ResidencyTest, AGrowingPageIsNeverAVictim) {
  Residency residency(2, Policy::FIFO, Policy::ON_COMPLETION);
  residency.Open(0, 10, 0);
  residency.Grow(0, 5);
  const Pages a = {0}, b = {1}, c = {2};
  residency.Want(0, a);
  residency.Want(0, b);
  residency.Want(0, c);
  EXPECT_TRUE(residency.Holds(0, 5));
  residency.Grow(0, 6);  // page 5 is sealed; page 2 was there first and goes
  EXPECT_EQ(EvictedOf(residency), (Pages{0, 1, 2}));
  const Pages d = {3};
  residency.Want(0, d);  // now page 5 is a victim like any other
  EXPECT_EQ(EvictedOf(residency).back(), 5);
}

// A tick whose list ends before the page that has just opened does not unpin it.
TEST(ResidencyTest, AProtectedTickKeepsTheOpenPage) {
  Residency residency(3, Policy::LRU_PROTECTED, Policy::ON_COMPLETION);
  residency.Open(0, 10, 0);
  residency.Open(1, 10, 1);
  const Pages a = {0}, b = {1};
  residency.Want(0, a);
  residency.Grow(0, 7);
  residency.Want(0, b);  // takes the last block; page 0 leaves
  residency.Want(0, a);  // page 1 leaves
  EXPECT_TRUE(residency.Holds(0, 7));
  residency.Grow(0,
                 8);  // takes the block of page 1; page 7 is sealed, and the tick's list lacks it
  residency.Want(0, a);
  const Pages one = {4};
  residency.Want(1, one);
  EXPECT_FALSE(residency.Holds(0, 7));
  EXPECT_TRUE(residency.Holds(0, 8));
}

TEST(ResidencyTest, CloseGivesEverythingBack) {
  Residency residency(4, Policy::LRU_PROTECTED, Policy::ON_COMPLETION);
  residency.Open(0, 10, 0);
  const Pages a = {0, 1, 2}, b = {2};
  residency.Want(0, a);
  residency.Want(0, b);  // two pinned no longer, one pinned
  residency.Close(0);
  EXPECT_EQ(residency.held_count(), 0);
  residency.Open(0, 10, 0);
  const Pages c = {4, 5, 6, 7};
  EXPECT_EQ(residency.Want(0, c), 4);
  EXPECT_TRUE(residency.evicted().empty());
}

// Two blocks, page 9 in one: page 4 takes the other, page 6 that of 9, and page 9 has to be taken
// again.
TEST(ResidencyTest, AVictimOfTheSameListIsTakenAndCountedAgain) {
  Residency residency(2, Policy::FIFO, Policy::ON_COMPLETION);
  residency.Open(0, 10, 0);
  const Pages a = {9}, b = {4, 6, 9};
  EXPECT_EQ(residency.Want(0, a), 1);
  EXPECT_EQ(residency.Want(0, b), 3);
  EXPECT_EQ(EvictedOf(residency), (Pages{9, 4}));
  EXPECT_EQ(residency.CountOwned(), 2);
}

// Under publish NEXT_TICK the list before the last is still active and stays pinned.
TEST(ResidencyTest, NextTickKeepsTheLastTwoLists) {
  Residency residency(6, Policy::LRU_PROTECTED, Policy::NEXT_TICK);
  residency.Open(0, 10, 0);
  const Pages a = {0, 1}, b = {2, 3}, c = {4, 5}, d = {6, 7};
  residency.Want(0, a);
  residency.Want(0, b);
  residency.Want(0, c);
  EXPECT_TRUE(residency.evicted().empty());
  residency.Want(0, d);  // a has left, b is active, c waits
  EXPECT_EQ(EvictedOf(residency), (Pages{0, 1}));
}

// The slow, obvious version: lists of (slot, page), searched from the front.
class SlowResidency {
 public:
  SlowResidency(size_t blocks, Policy::Eviction eviction) : blocks_(blocks), eviction_(eviction) {}

  int Want(int slot, const Pages& pages) {
    std::set<PageIndex> wanted(pages.begin(), pages.end());
    int missing = 0;
    for (PageIndex page : pages) {
      const Key key{slot, page};
      if (!Held(key)) continue;
      if (eviction_ == Policy::LRU) {
        order_.remove(key);
        order_.push_back(key);
      } else if (eviction_ == Policy::LRU_PROTECTED) {
        order_.remove(key);
        live_.insert(key);
      }
    }
    if (eviction_ == Policy::LRU_PROTECTED) {
      for (PageIndex page : last_[slot]) {
        const Key key{slot, page};
        if (wanted.count(page) == 0 && live_.erase(key) > 0) order_.push_back(key);
      }
      last_[slot] = pages;
    }
    for (PageIndex page : pages) {
      const Key key{slot, page};
      if (Held(key)) continue;
      ++missing;
      if (order_.size() + live_.size() == blocks_) {
        evicted.push_back(order_.front().second);
        order_.pop_front();
      }
      if (eviction_ == Policy::LRU_PROTECTED) {
        live_.insert(key);
      } else {
        order_.push_back(key);
      }
    }
    return missing;
  }
  void Close(int slot) {
    order_.remove_if([&](const Key& key) { return key.first == slot; });
    std::erase_if(live_, [&](const Key& key) { return key.first == slot; });
    last_[slot].clear();
  }
  size_t held() const { return order_.size() + live_.size(); }

  Pages evicted;

 private:
  using Key = std::pair<int, PageIndex>;
  bool Held(const Key& key) const {
    return live_.count(key) > 0 || std::find(order_.begin(), order_.end(), key) != order_.end();
  }
  size_t blocks_;
  Policy::Eviction eviction_;
  std::list<Key> order_;
  std::set<Key> live_;
  std::map<int, Pages> last_;
};

class ResidencyDifferentialTest : public ::testing::TestWithParam<Policy::Eviction> {};

TEST_P(ResidencyDifferentialTest, AgreesWithTheSlowVersion) {
  Rng rng(5);
  for (int round = 0; round < 400; ++round) {
    const int slots = 1 + static_cast<int>(rng.NextBelow(4));
    const int list_max = 1 + static_cast<int>(rng.NextBelow(6));
    const int pages = list_max + static_cast<int>(rng.NextBelow(12));
    // Protected: all lists fit, as admission sees to. Otherwise as tight as one list.
    const int least = GetParam() == Policy::LRU_PROTECTED ? slots * list_max : list_max;
    const int blocks = least + static_cast<int>(rng.NextBelow(6));
    Residency fast(blocks, GetParam(), Policy::ON_COMPLETION);
    SlowResidency slow(static_cast<size_t>(blocks), GetParam());
    std::vector<Pages> lists(static_cast<size_t>(slots));
    for (int slot = 0; slot < slots; ++slot) fast.Open(slot, pages, slot);
    for (int step = 0; step < 60; ++step) {
      const auto slot = static_cast<int>(rng.NextBelow(static_cast<uint64_t>(slots)));
      if (rng.NextBelow(12) == 0) {
        fast.Close(slot);
        slow.Close(slot);
        fast.Open(slot, pages, slot);
        continue;
      }
      std::set<PageIndex> wanted;
      for (int i = 0; i < list_max; ++i) {
        wanted.insert(static_cast<PageIndex>(rng.NextBelow(static_cast<uint64_t>(pages))));
      }
      // The list before stays alive until the tick is applied, as the demand's does.
      Pages next(wanted.begin(), wanted.end());
      ASSERT_EQ(fast.Want(slot, next), slow.Want(slot, next));
      lists[static_cast<size_t>(slot)].swap(next);
      ASSERT_EQ(EvictedOf(fast), slow.evicted);
      ASSERT_EQ(static_cast<size_t>(fast.held_count()), slow.held());
      ASSERT_EQ(fast.CountOwned(), fast.held_count());
    }
  }
}

// What PinnedChange foretells is what Want does, with pages growing and lists leaving one tick or
// two later.
TEST(ResidencyTest, PinnedChangeForetellsWant) {
  Rng rng(6);
  for (const auto publish : {Policy::ON_COMPLETION, Policy::NEXT_TICK}) {
    for (int round = 0; round < 200; ++round) {
      Residency residency(64, Policy::LRU_PROTECTED, publish);
      residency.Open(0, 16, 0);
      residency.Open(1, 16, 1);
      std::list<Pages> lists;  // outlive the residency's spans
      for (int step = 0; step < 40; ++step) {
        const auto slot = static_cast<int32_t>(rng.NextBelow(2));
        if (rng.NextBelow(3) == 0) {
          const auto page = static_cast<PageIndex>(rng.NextBelow(16));
          if (!residency.Holds(slot, page)) residency.Grow(slot, page);
        }
        std::set<PageIndex> wanted;
        for (int i = 0; i < 4; ++i) wanted.insert(static_cast<PageIndex>(rng.NextBelow(16)));
        lists.emplace_back(wanted.begin(), wanted.end());
        const int32_t before = residency.pinned_count();
        const int32_t foretold = residency.PinnedChange(slot, lists.back());
        residency.Want(slot, lists.back());
        ASSERT_EQ(residency.pinned_count() - before, foretold) << round << " " << step;
        ASSERT_LE(residency.pinned_count(), residency.held_count());
      }
      residency.Close(0);
      residency.Close(1);
      ASSERT_EQ(residency.pinned_count(), 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllPolicies, ResidencyDifferentialTest,
                         ::testing::Values(Policy::LRU_PROTECTED, Policy::LRU, Policy::FIFO),
                         [](const auto& p) { return Policy::Eviction_Name(p.param); });

}  // namespace
}  // namespace tierscope

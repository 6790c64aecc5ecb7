// The unprotected policies inside the reserve, against slow versions over keys in plain vectors
// (testing/slow_eviction.h), and the offline bound of them all.
#include <algorithm>
#include <map>
#include <set>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "sim/engine/residency.h"
#include "tests/testing/slow_eviction.h"

namespace tierscope::testing {
namespace {

using Pages = std::vector<PageIndex>;

// One tick of a request: a world is a rising list of them, those of a step by rising request.
struct Tick {
  int64_t step;
  int32_t slot;
  int64_t request;
  bool opens;   // the slot's last request ends here, and this one begins
  Pages pages;  // rising
};

struct World {
  int32_t blocks;
  int32_t page_count;
  std::vector<Tick> ticks;
};

World RandomWorld(Rng& rng) {
  World world;
  const auto slots = static_cast<int32_t>(1 + rng.NextBelow(4));
  const uint64_t list_max = 1 + rng.NextBelow(6);
  world.page_count = static_cast<int32_t>(list_max + rng.NextBelow(10));
  world.blocks = static_cast<int32_t>(1 + rng.NextBelow(static_cast<uint64_t>(slots) * list_max));
  std::map<int64_t, int32_t> running;  // request -> slot
  int64_t next_request = 0;
  for (int32_t slot = 0; slot < slots; ++slot) running[next_request++] = slot;
  std::set<int64_t> begun;
  for (int64_t step = 0; step < 50; ++step) {
    std::vector<std::pair<int64_t, int32_t>> now(running.begin(), running.end());
    for (const auto& [request, slot] : now) {
      if (rng.NextBelow(3) == 0) continue;
      if (begun.count(request) > 0 && rng.NextBelow(10) == 0) {
        running.erase(request);
        running[next_request++] = slot;
        continue;  // the new one ticks from the next step on
      }
      std::set<PageIndex> wanted;
      for (uint64_t i = 0; i < list_max; ++i) {
        wanted.insert(
            static_cast<PageIndex>(rng.NextBelow(static_cast<uint64_t>(world.page_count))));
      }
      world.ticks.push_back(
          {step, slot, request, begun.insert(request).second, Pages(wanted.begin(), wanted.end())});
    }
  }
  return world;
}

uint64_t KeyOf(int64_t request, PageIndex page) {
  return static_cast<uint64_t>(request) << 16 | page;
}

struct Outcome {
  std::vector<int> recalls;  // a tick
  std::vector<PageIndex> evicted;
  friend bool operator==(const Outcome&, const Outcome&) = default;
  int64_t sum() const {
    int64_t all = 0;
    for (const int n : recalls) all += n;
    return all;
  }
};

Outcome RunFast(const World& world, Policy::Eviction eviction) {
  Residency residency(world.blocks, eviction, Policy::ON_COMPLETION);
  Outcome outcome;
  for (size_t t = 0; t < world.ticks.size(); ++t) {
    const Tick& tick = world.ticks[t];
    if (tick.opens) {
      if (tick.request >= 4 || t > 0) {
        const bool used =
            std::any_of(world.ticks.begin(), world.ticks.begin() + static_cast<long>(t),
                        [&](const Tick& other) { return other.slot == tick.slot; });
        if (used) residency.Close(tick.slot);
      }
      residency.Open(tick.slot, world.page_count, tick.request);
    }
    if (residency.wants_next_uses()) {
      std::vector<int64_t>& next_uses = residency.NextUsesOf(tick.slot);
      std::fill(next_uses.begin(), next_uses.end(), kNeverUsed);
      for (size_t later = world.ticks.size(); --later > t;) {
        if (world.ticks[later].request != tick.request) continue;
        for (PageIndex page : world.ticks[later].pages) next_uses[page] = world.ticks[later].step;
      }
    }
    outcome.recalls.push_back(residency.Want(tick.slot, tick.pages));
    EXPECT_EQ(residency.CountOwned(), residency.held_count());
    EXPECT_LE(residency.held_count(), world.blocks);
  }
  for (const EvictedPage& page : residency.evicted()) outcome.evicted.push_back(page.page);
  return outcome;
}

template <typename Slow>
Outcome RunSlow(const World& world) {
  Slow slow(world.blocks);
  std::set<uint64_t> held;
  std::map<int32_t, int64_t> request_of;
  Outcome outcome;
  for (const Tick& tick : world.ticks) {
    if (tick.opens && request_of.count(tick.slot) > 0) {
      for (PageIndex page = 0; page < world.page_count; ++page) {
        const uint64_t key = KeyOf(request_of[tick.slot], page);
        if (held.erase(key) > 0) slow.Remove(key);
      }
    }
    request_of[tick.slot] = tick.request;
    for (PageIndex page : tick.pages) {
      if (slow.Has(KeyOf(tick.request, page))) slow.Hit(KeyOf(tick.request, page));
    }
    int recalls = 0;
    for (PageIndex page : tick.pages) {
      const uint64_t key = KeyOf(tick.request, page);
      if (slow.Has(key)) continue;
      ++recalls;
      if (std::ssize(held) == world.blocks) {
        const uint64_t victim = *slow.Evict();
        held.erase(victim);
        outcome.evicted.push_back(static_cast<PageIndex>(victim & 0xffff));
      }
      slow.Insert(key);
      held.insert(key);
    }
    outcome.recalls.push_back(recalls);
  }
  return outcome;
}

// All uses in their order, one page each; the held page whose next one is last leaves.
Outcome RunSlowBelady(const World& world) {
  std::vector<uint64_t> uses;
  for (const Tick& tick : world.ticks) {
    for (PageIndex page : tick.pages) uses.push_back(KeyOf(tick.request, page));
  }
  std::set<uint64_t> held;
  std::map<int32_t, int64_t> request_of;
  Outcome outcome;
  size_t at = 0;
  for (const Tick& tick : world.ticks) {
    if (tick.opens && request_of.count(tick.slot) > 0) {
      std::erase_if(held, [&](uint64_t key) {
        return static_cast<int64_t>(key >> 16) == request_of[tick.slot];
      });
    }
    request_of[tick.slot] = tick.request;
    int recalls = 0;
    for (PageIndex page : tick.pages) {
      const uint64_t key = KeyOf(tick.request, page);
      ++at;
      if (held.count(key) > 0) continue;
      ++recalls;
      if (std::ssize(held) == world.blocks) {
        const auto next = [&](uint64_t candidate) {
          return std::find(uses.begin() + static_cast<long>(at), uses.end(), candidate);
        };
        const uint64_t victim = *std::max_element(
            held.begin(), held.end(),
            [&](uint64_t a, uint64_t b) { return next(a) != next(b) ? next(a) < next(b) : a < b; });
        held.erase(victim);
        outcome.evicted.push_back(static_cast<PageIndex>(victim & 0xffff));
      }
      held.insert(key);
    }
    outcome.recalls.push_back(recalls);
  }
  return outcome;
}

TEST(ResidencyEvictionTest, AgreesWithTheSlowVersions) {
  Rng rng(7);
  for (int round = 0; round < 2000; ++round) {
    const World world = RandomWorld(rng);
    ASSERT_EQ(RunFast(world, Policy::LRU), RunSlow<SlowLru>(world)) << round;
    ASSERT_EQ(RunFast(world, Policy::FIFO), RunSlow<SlowFifo>(world)) << round;
    ASSERT_EQ(RunFast(world, Policy::CLOCK), RunSlow<SlowClock>(world)) << round;
    ASSERT_EQ(RunFast(world, Policy::SIEVE), RunSlow<SlowSieve>(world)) << round;
    ASSERT_EQ(RunFast(world, Policy::S3FIFO), RunSlow<SlowS3Fifo>(world)) << round;
    ASSERT_EQ(RunFast(world, Policy::BELADY), RunSlowBelady(world)) << round;
  }
}

TEST(ResidencyEvictionTest, BeladyRecallsLeast) {
  Rng rng(8);
  int64_t fewer = 0;
  for (int round = 0; round < 500; ++round) {
    const World world = RandomWorld(rng);
    const int64_t least = RunFast(world, Policy::BELADY).sum();
    for (const Policy::Eviction other :
         {Policy::LRU, Policy::FIFO, Policy::CLOCK, Policy::S3FIFO, Policy::SIEVE}) {
      const int64_t its = RunFast(world, other).sum();
      ASSERT_LE(least, its) << round << " " << Policy::Eviction_Name(other);
      fewer += its > least;
    }
  }
  EXPECT_GT(fewer, 1000);
}

// Two blocks. Pages 1 and 2 are held; page 1 is wanted again at step 5, page 2 at step 3: page 3
// takes the block of page 1.
TEST(ResidencyEvictionTest, BeladyTakesThePageThatIsWantedLast) {
  Residency residency(2, Policy::BELADY, Policy::ON_COMPLETION);
  residency.Open(0, 4, 0);
  const Pages both = {1, 2}, third = {3};
  residency.NextUsesOf(0) = {kNeverUsed, 5, 3, kNeverUsed};
  EXPECT_EQ(residency.Want(0, both), 2);
  EXPECT_EQ(residency.Want(0, third), 1);
  ASSERT_EQ(residency.evicted().size(), 1u);
  EXPECT_EQ(residency.evicted()[0].page, 1);
}

// A ghost of the slot's last request is no ghost of the next one: its page 0 enters the small queue
// and is the first to go, where a returning page 0 would have gone to the main queue.
TEST(ResidencyEvictionTest, ARequestDoesNotInheritGhosts) {
  for (const bool same_request : {true, false}) {
    Residency residency(2, Policy::S3FIFO, Policy::ON_COMPLETION);
    residency.Open(0, 8, 0);
    for (const PageIndex page : {0, 1, 2}) {
      const Pages one = {page};
      residency.Want(0, one);  // the third evicts page 0, which becomes a ghost
    }
    ASSERT_EQ(residency.evicted().size(), 1u);
    residency.ClearEvicted();
    residency.Close(0);
    residency.Open(0, 8, same_request ? 0 : 1);
    for (const PageIndex page : {0, 3, 4}) {
      const Pages one = {page};
      residency.Want(0, one);
    }
    ASSERT_EQ(residency.evicted().size(), 1u);
    EXPECT_EQ(residency.evicted()[0].page, same_request ? 3 : 0);
  }
}

}  // namespace
}  // namespace tierscope::testing

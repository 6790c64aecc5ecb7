// What a change of one number must do, over random toy worlds, under the conditions that make it
// true: all requests start together and stay (fixed batch and demand), nothing is evicted
// (unlimited reserve), level 1 is synchronous. Outside them it may fail (thrashing, Belady's
// anomaly, level 1 beside decode): those cases are counted and printed, and prove nothing.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "sim/demand/distil.h"
#include "sim/engine/simulate.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

constexpr int32_t kStride = 4;
constexpr int32_t kPromptPages = 24;
constexpr int kRounds = 400;

struct World {
  std::string text;  // without what a test varies
  std::vector<ToyWindow> windows;
  int64_t link_bytes_per_s = 0;

  // `more` is merged over it.
  Counters Run(const std::string& more, int64_t link = 0) const {
    Scenario scenario = ToyScenario(text + more);
    scenario.mutable_hardware()->mutable_host_link()->set_peak_bytes_per_s(
        link > 0 ? link : link_bytes_per_s);
    const WindowDemand demand = ToyDemand(scenario, kPromptPages, kStride, windows);
    ReplicaOutcome outcome = RunToy(scenario, &demand).outcome;
    EXPECT_TRUE(outcome.violations.empty()) << scenario.ShortDebugString();
    return std::move(outcome.counters);
  }
};

// One to three requests that start together and end together.
World RandomWorld(Rng& rng) {
  World world;
  const uint64_t requests = 1 + rng.NextBelow(3);
  world.text =
      absl::StrCat("workload { context_tokens: ", kPromptPages * 256, " request_limit: ", requests,
                   " concurrency: ", requests, " output_tokens: ", 8 + rng.NextBelow(60),
                   " attention { random_offset: false } } engine { simulated_s: 0 }",
                   " policy { tau_steps: ", kStride * (1 + rng.NextBelow(4)),
                   " page_kmax: ", 1 + rng.NextBelow(8), " level1: SYNC reserve_entries: 64000 } ");
  world.link_bytes_per_s = 4'000'000'000 >> rng.NextBelow(8);
  world.windows.resize(18);
  for (ToyWindow& window : world.windows) {
    for (PageIndex page = 0; page < kPromptPages; ++page) {
      if (rng.NextBelow(3) == 0) window.scored_pages.push_back(page);
      if (rng.NextBelow(3) == 0) {
        window.selections.push_back({page, static_cast<int>(1 + rng.NextBelow(4))});
      }
    }
  }
  return world;
}

// Worlds without the conditions: a pool that is too small, FIFO, level 1 beside decode.
constexpr char kOutside[] =
    " policy { level1: ASYNC eviction: FIFO reserve_entries: 1280 }"
    " engine { level1_interference: 1 recall_interference: 1 }";

int64_t StallNs(const Counters& c) {
  int64_t sum = 0;
  for (const SimDuration d : c.stall) sum += d.ns;
  return sum;
}
int64_t Misses(const Counters& c) { return c.inactive.all + c.evicted.all; }

void Print(const char* what, int violations, int rounds) {
  std::printf("outside the conditions: %s in %d of %d worlds\n", what, violations, rounds);
  ::testing::Test::RecordProperty("violations", violations);
}

TEST(MetamorphicTest, MoreLinkBandwidthNeverAddsStall) {
  Rng rng(101);
  int less = 0, outside = 0;
  for (int round = 0; round < kRounds; ++round) {
    const World world = RandomWorld(rng);
    const auto faster = static_cast<int64_t>(static_cast<double>(world.link_bytes_per_s) *
                                             (1.0 + 3.0 * rng.NextDouble()));
    const Counters slow = world.Run(""), fast = world.Run("", faster);
    ASSERT_LE(StallNs(fast), StallNs(slow)) << round << world.text;
    ASSERT_LE(fast.decode.ns, slow.decode.ns) << round << world.text;
    ASSERT_EQ(fast.pages_recalled, slow.pages_recalled);
    less += StallNs(fast) < StallNs(slow) ? 1 : 0;
    outside += StallNs(world.Run(kOutside, faster)) > StallNs(world.Run(kOutside)) ? 1 : 0;
  }
  EXPECT_GT(less, kRounds / 2) << "the link must matter for this to say anything";
  Print("a faster link added stall", outside, kRounds);
}

TEST(MetamorphicTest, ALargerKmaxNeverLowersCoverage) {
  Rng rng(102);
  int fewer = 0, outside = 0;
  for (int round = 0; round < kRounds; ++round) {
    const World world = RandomWorld(rng);
    const uint64_t kmax = 1 + rng.NextBelow(8);
    const auto with = [](uint64_t pages) {
      return absl::StrCat(" policy { page_kmax: ", pages, " }");
    };
    const Counters small = world.Run(with(kmax)), large = world.Run(with(kmax + 1));
    ASSERT_EQ(small.selections, large.selections);
    ASSERT_LE(Misses(large), Misses(small)) << round << world.text;
    fewer += Misses(large) < Misses(small) ? 1 : 0;
    outside +=
        Misses(world.Run(with(kmax + 1) + kOutside)) > Misses(world.Run(with(kmax) + kOutside)) ? 1
                                                                                                : 0;
  }
  EXPECT_GT(fewer, kRounds / 4);
  Print("a larger KMAX lowered coverage", outside, kRounds);
}

// Want lists of a profile with scores of every height, under two thresholds. Without a bound on
// pages the higher one's list is part of the lower one's; with one it is no longer, and never
// larger.
TEST(MetamorphicTest, AHigherThresholdNeverWidensTheWantList) {
  Rng rng(103);
  int narrower = 0;
  for (int round = 0; round < kRounds; ++round) {
    ProfileHeader header;
    header.set_prompt_tokens(kPromptPages * 256);
    header.set_step_count(32);
    header.set_tick_stride_steps(kStride);
    header.set_tokens_per_entry(4);
    header.set_csa_layer_count(1);
    header.set_selections(SELECTIONS_FULL_HISTORY);
    const double low = 0.1 + 0.8 * rng.NextDouble();
    const double high = low + (0.99 - low) * rng.NextDouble();
    const uint64_t kmax = rng.NextBelow(2) == 0 ? 100 : 1 + rng.NextBelow(8);
    const auto distiller = [&](double threshold) {
      ProfileDistiller made(DemandSpecOf(ToyScenario(absl::StrCat(
          "policy { tau_steps: 4 threshold: ", threshold, " page_kmax: ", kmax, " }"))));
      EXPECT_TRUE(made.Begin(header, 0).ok());
      return made;
    };
    ProfileDistiller at_low = distiller(low), at_high = distiller(high);
    for (int32_t step = 0; step < 32; step += kStride) {
      std::vector<uint32_t> entries;
      std::vector<uint8_t> codes;
      for (uint32_t entry = 0; entry < kPromptPages * 64; entry += 1 + rng.NextBelow(60)) {
        entries.push_back(entry);
        codes.push_back(static_cast<uint8_t>(rng.NextBelow(256)));
      }
      at_low.Tick(step, -1, entries, codes);
      at_high.Tick(step, -1, entries, codes);
    }
    const ProfileDemand wide = at_low.Finish(), narrow = at_high.Finish();
    for (int32_t position = 0; position < narrow.position_count; ++position) {
      const auto few = narrow.WantList(position), many = wide.WantList(position);
      ASSERT_LE(few.size(), many.size()) << round;
      narrower += few.size() < many.size() ? 1 : 0;
      if (kmax == 100) {
        ASSERT_TRUE(std::includes(many.begin(), many.end(), few.begin(), few.end())) << round;
      }
    }
  }
  EXPECT_GT(narrower, kRounds);
}

// Every tick wants as many pages, of which `fresh` were never seen before: the hit rate falls with
// each, and a link that decode waits for makes each cost its time.
TEST(MetamorphicTest, ALowerHitRateAtASaturatedLinkAlwaysAddsTime) {
  Rng rng(104);
  int outside = 0;
  for (int round = 0; round < kRounds; ++round) {
    World world = RandomWorld(rng);
    const int wanted = 2 + static_cast<int>(rng.NextBelow(5));
    const auto with_fresh = [&](int fresh) {
      World changed = world;
      changed.windows.assign(18, {});
      PageIndex next = 0;
      std::vector<PageIndex> pages;
      for (int i = 0; i < wanted; ++i) pages.push_back(next++);
      for (size_t w = 0; w < changed.windows.size(); ++w) {
        if (w > 0) pages.erase(pages.begin(), pages.begin() + fresh);
        while (static_cast<int>(pages.size()) < wanted) pages.push_back(next++);
        changed.windows[w].scored_pages = pages;
      }
      return changed;
    };
    const std::string more =
        absl::StrCat(" policy { tau_steps: 4 page_kmax: 8 reserve_entries: 640000 } workload {",
                     " output_tokens: 40 context_tokens: ", 128 * 256, " }");
    const int fresh = static_cast<int>(rng.NextBelow(static_cast<uint64_t>(wanted)));
    const auto run = [&](const World& w, const std::string& extra) {
      Scenario scenario = ToyScenario(w.text + more + extra);
      scenario.mutable_hardware()->mutable_host_link()->set_peak_bytes_per_s(
          std::min<int64_t>(w.link_bytes_per_s, 500'000'000));
      const WindowDemand demand = ToyDemand(scenario, 128, kStride, w.windows);
      return std::move(RunToy(scenario, &demand).outcome.counters);
    };
    const World hot = with_fresh(fresh), cold = with_fresh(fresh + 1);
    const Counters more_hits = run(hot, ""), fewer_hits = run(cold, "");
    ASSERT_EQ(more_hits.pages_wanted, fewer_hits.pages_wanted) << round;
    ASSERT_LT(more_hits.pages_recalled, fewer_hits.pages_recalled) << round;
    ASSERT_LT(more_hits.decode.ns, fewer_hits.decode.ns) << round << world.text;
    const std::string async = " policy { level1: ASYNC }";
    outside += run(hot, async).decode.ns >= run(cold, async).decode.ns ? 1 : 0;
  }
  Print("a lower hit rate added no time beside decode", outside, kRounds);
}

// More blocks may add recalls: FIFO's held sets are not nested (Belady, 1969), and under any policy
// the pages that requests are filling cannot be taken.
TEST(MetamorphicTest, AnomaliesOfASmallReserveAreCounted) {
  for (const char* eviction : {"FIFO", "CLOCK", "LRU"}) {
    Rng rng(105);
    int anomalies = 0;
    for (int round = 0; round < kRounds; ++round) {
      const World world = RandomWorld(rng);
      const auto recalled = [&](uint64_t pages) {
        return world
            .Run(absl::StrCat(" policy { eviction: ", eviction,
                              " page_kmax: 8 tau_steps: 4 reserve_entries: ", pages * 64, " }"))
            .pages_recalled;
      };
      const uint64_t pages = 16 + rng.NextBelow(40);
      anomalies += recalled(pages + 1) > recalled(pages) ? 1 : 0;
    }
    Print(absl::StrCat("one block more added recalls under ", eviction).c_str(), anomalies,
          kRounds);
  }
}

}  // namespace
}  // namespace tierscope::testing

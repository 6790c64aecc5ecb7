// Policy FLASHMEMORY in the toy world (testing/toy.h), worked by hand: a step takes 10 ms, level 1
// scores 1 ms, a page takes 1 ms on the link. Eight prompt pages, 0 to 7, so the newest page at the
// first tick is 7, and page 8, which opens with step 0, is the first of the decode region.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

constexpr int64_t kDecodeRegion = 128 * 512 + 1;

Scenario FlashMemoryToy(int64_t recall_pages, const std::string& more) {
  return ToyScenario(absl::StrCat(R"(
    workload { context_tokens: 2048 output_tokens: 9 request_limit: 1 attention { random_offset: false } }
    engine { simulated_s: 0 }
    policy { kind: FLASHMEMORY tau_steps: 4 page_kmax: 2 eviction: FIFO reserve_entries: )",
                                  kDecodeRegion + recall_pages * 64, " } ", more));
}

// Pages 0 and 1 are scored, pages 0 (3 per step) and 5 (1 per step) selected.
std::vector<ToyWindow> Steady(int windows) {
  return std::vector<ToyWindow>(static_cast<size_t>(windows), ToyWindow{{0, 1}, {{0, 3}, {5, 1}}});
}

SelectionCount Selections(int64_t of_prompt_pages, int64_t stride = 4) {
  return SelectionCount{of_prompt_pages, of_prompt_pages} * stride;
}

// The forced page 7 counts inside KMAX, so one more is taken: page 0, the lower of two equals.
// After step 0 decode goes on with nothing active; the list {0, 7} is published at 13, during
// step 1. At the second tick page 8 is the newest: {0, 8}, and nothing has to be recalled for it.
TEST(FlashMemoryTest, DecodesOnBeforeTheFirstPublishAndMissesEverything) {
  const Scenario scenario = FlashMemoryToy(100, "");
  const WindowDemand demand = ToyDemand(scenario, 8, 4, Steady(4));
  const ToyRun run = RunToy(scenario, &demand);
  EXPECT_EQ(run.diary,
            "0 step of 1 for 10\n10 step of 1 for 10\n10 scored 1 until 11\n"
            "11 recalled 2 until 13\n13 published\n20 step of 1 for 10\n30 step of 1 for 10\n"
            "40 step of 1 for 10\n50 step of 1 for 10\n50 scored 1 until 51\n51 published\n"
            "60 step of 1 for 10\n70 step of 1 for 10\n80 step of 1 for 10");
  const Counters& c = run.outcome.counters;
  EXPECT_EQ(c.pages_wanted, 4);
  EXPECT_EQ(c.pages_recalled, 2);
  // Step 1: all 4 selections. Steps 2 to 8: the one of page 5.
  EXPECT_EQ(c.selections, Selections(32));
  EXPECT_EQ(c.inactive, Selections(4 + 7));
  EXPECT_EQ(c.evicted, Selections(0));
  EXPECT_EQ(run.outcome.counters.stall[static_cast<size_t>(StallCause::kAdmission)].ns, 0);
}

// A chunk of 10 ms in the place of step 0 gives the first token; from there on nothing differs.
TEST(FlashMemoryTest, DecodesOnAfterAChunkToo) {
  const Scenario scenario =
      FlashMemoryToy(100, "engine { prefill: COLOCATED_CHUNKED prefill_tokens_per_s: 204800 }");
  const WindowDemand demand = ToyDemand(scenario, 8, 4, Steady(4));
  const ToyRun run = RunToy(scenario, &demand);
  EXPECT_EQ(run.diary,
            "0 step of 0 for 10\n10 step of 1 for 10\n10 scored 1 until 11\n"
            "11 recalled 2 until 13\n13 published\n20 step of 1 for 10\n30 step of 1 for 10\n"
            "40 step of 1 for 10\n50 step of 1 for 10\n50 scored 1 until 51\n51 published\n"
            "60 step of 1 for 10\n70 step of 1 for 10\n80 step of 1 for 10");
  EXPECT_EQ(run.outcome.counters.inactive, Selections(4 + 7));
  EXPECT_EQ(run.outcome.counters.ttft_ns.values(), (std::vector<int64_t>{10'000'000}));
  EXPECT_TRUE(run.outcome.violations.empty());
}

// The tick after step 4 asks for page 5 in the place of page 0; published at 52, during step 5.
// Step 1: 4 misses. Steps 2 to 5 miss page 5, steps 6 to 8 page 0.
TEST(FlashMemoryTest, APublishInMidWindowMovesTheInactiveMisses) {
  const Scenario scenario = FlashMemoryToy(100, "");
  std::vector<ToyWindow> windows = Steady(4);
  windows[1].scored_pages = {5};
  const WindowDemand demand = ToyDemand(scenario, 8, 4, windows);
  const Counters c = RunToy(scenario, &demand).outcome.counters;
  EXPECT_EQ(c.inactive, Selections(4 + 4 * 1 + 3 * 3));
  EXPECT_EQ(c.pages_recalled, 3);
}

// Three blocks, FIFO. First request: pages 0 and 7 at 11. Second, one step later: at 21 its page 0
// takes the free block and its page 7 that of the first one's page 0, the oldest, while the first
// is in step 2. At 51 the first wants page 0 again and takes the block of its own page 7.
TEST(FlashMemoryTest, AnotherRequestsRecallTakesALivePage) {
  const Scenario scenario = FlashMemoryToy(
      3, R"(workload { arrivals: TRACE concurrency: 0 trace: "toy" request_limit: 0 })");
  const WindowDemand demand = ToyDemand(scenario, 8, 4, Steady(4));
  RequestTrace trace;
  trace.requests = {{SimTime{0}, 2048, 9, {}, -1}, {SimTime{1'000'000}, 2048, 9, {}, -1}};
  const Counters c = RunToy(scenario, &demand, &trace).outcome.counters;
  EXPECT_EQ(c.pages_evicted, 2);
  EXPECT_EQ(c.pages_recalled, 2 + 2 + 1);
  // Page 0, 3 selections a step, in steps 3 to 5: published again at 52.
  EXPECT_EQ(c.evicted, Selections(9));
  EXPECT_EQ(c.inactive, Selections(2 * (4 + 7)));
  // Protected, nothing live is taken.
  Scenario protecting = FlashMemoryToy(
      4, R"(workload { arrivals: TRACE concurrency: 0 trace: "toy" request_limit: 0 })");
  protecting.mutable_policy()->set_eviction(Policy::LRU_PROTECTED);
  EXPECT_EQ(RunToy(protecting, &demand, &trace).outcome.counters.evicted, Selections(0));
}

// The first recall of 40 pages lasts until 51; the tick after step 4 is due at 50 and joins it.
TEST(FlashMemoryTest, ADueTickJoinsAndDecodeWaits) {
  const Scenario scenario = FlashMemoryToy(100,
                                           "workload { context_tokens: 12288 output_tokens: 7 } "
                                           "policy { page_kmax: 40 }");
  ToyWindow many;
  for (PageIndex page = 0; page < 39; ++page) many.scored_pages.push_back(page);
  many.selections = {{0, 1}};
  const WindowDemand demand = ToyDemand(scenario, 48, 4, std::vector<ToyWindow>(4, many));
  ToyRun run = RunToy(scenario, &demand);
  EXPECT_EQ(run.diary,
            "0 step of 1 for 10\n10 step of 1 for 10\n10 scored 1 until 11\n20 step of 1 for 10\n"
            "30 step of 1 for 10\n40 step of 1 for 10\n11 recalled 40 until 51\n51 published\n"
            "50 waited for join until 51\n51 step of 1 for 10\n51 scored 1 until 52\n52 published\n"
            "61 step of 1 for 10");
  EXPECT_EQ(run.outcome.counters.StallOf(StallCause::kJoin).ns, 1'000'000);
  EXPECT_EQ(run.outcome.counters.inactive, Selections(4));  // steps 1 to 4: nothing is active yet
}

// One block for lists of {0, 1, 7} and then {0, 1}: each page takes the block of the one before.
// Step 1: 4 inactive; then page 5 inactive and page 0 evicted to the end.
TEST(FlashMemoryTest, AListLargerThanThePoolEvictsItself) {
  const Scenario scenario = FlashMemoryToy(1, "policy { page_kmax: 3 }");
  const WindowDemand demand = ToyDemand(scenario, 8, 4, Steady(4));
  const ToyRun run = RunToy(scenario, &demand);
  const Counters& c = run.outcome.counters;
  EXPECT_EQ(c.pages_recalled, 3 + 2);
  EXPECT_EQ(c.pages_evicted, 2 + 2);
  EXPECT_EQ(c.inactive, Selections(4 + 7));
  EXPECT_EQ(c.evicted, Selections(7 * 3));
  EXPECT_EQ(run.outcome.peaks.blocks_in_use, 1);
  EXPECT_TRUE(run.outcome.violations.empty());
}

// 2,400 tokens are 600 entries, 88 more than the decode region holds. Its pages are 8 to 15; page
// 16, from entry 1,024 on, found no room. Windows of 256 steps; the tick after step 2,304 wants
// pages 15 and 16 and the 95 steps that follow select from both.
TEST(FlashMemoryTest, TheDecodeRegionOverflows) {
  const Scenario scenario = FlashMemoryToy(
      100, "workload { output_tokens: 2400 } policy { tau_steps: 256 level1: SYNC }");
  std::vector<ToyWindow> windows(10);
  windows[9] = {{15}, {{15, 1}, {16, 2}}};
  const WindowDemand demand = ToyDemand(scenario, 8, 256, windows);
  const ToyRun run = RunToy(scenario, &demand);
  const Counters& c = run.outcome.counters;
  EXPECT_EQ(c.entries_lost, 88);
  EXPECT_EQ(c.selections, (SelectionCount{95 * 3, 0} * 256));
  EXPECT_EQ(c.inactive, (SelectionCount{95 * 2, 0} * 256));
  EXPECT_EQ(c.evicted, (SelectionCount{0, 0}));
  // Nothing is scored at the other ticks: page 0 fills up beside the newest. Generated pages take
  // no block, are not written back and do not grow the cold pool.
  EXPECT_EQ(c.pages_recalled, 2);
  EXPECT_EQ(c.pages_written_back, 0);
  EXPECT_EQ(run.outcome.peaks.blocks_in_use, 2);
  EXPECT_EQ(run.outcome.peaks.host_pages_in_use, 8);
  EXPECT_EQ(run.outcome.peaks.host_pages_reserved, 8);
}

// Nothing scored and KMAX 5 of 8 pages: the newest and the four lowest, all recalled.
TEST(FlashMemoryTest, ZeroScorePagesFillUpToExactlyKmax) {
  const Scenario scenario = FlashMemoryToy(100, "policy { page_kmax: 5 }");
  const WindowDemand demand = ToyDemand(scenario, 8, 4, std::vector<ToyWindow>(4));
  const auto list = demand.profiles[0].WantList(0);
  EXPECT_EQ(std::vector<PageIndex>(list.begin(), list.end()),
            (std::vector<PageIndex>{0, 1, 2, 3, 7}));
  Scenario all = scenario;
  all.mutable_policy()->set_page_kmax(50);
  EXPECT_EQ(ToyDemand(all, 8, 4, std::vector<ToyWindow>(4)).profiles[0].WantList(0).size(), 8u);
}

// The decode region has 128 slots, however much memory is left.
TEST(FlashMemoryTest, AdmitsNoMoreThanTheDecodeRegionHolds) {
  const Scenario scenario =
      FlashMemoryToy(400, "workload { concurrency: 140 request_limit: 140 output_tokens: 3 }");
  const WindowDemand demand = ToyDemand(scenario, 8, 4, Steady(4));
  const ReplicaOutcome outcome = RunToy(scenario, &demand).outcome;
  EXPECT_EQ(outcome.peaks.requests_admitted, 128);
  EXPECT_EQ(outcome.finished, 140);
}

// Tick after step 4 at 50: page 8 holds one entry, of step 3. Steps 5 to 8 select that entry and
// the next one, which forms after the tick and cannot be selected.
TEST(FlashMemoryTest, EntriesFormedAfterATickAreInactive) {
  const Scenario scenario = FlashMemoryToy(100, "policy { level1: SYNC }");
  std::vector<ToyWindow> windows(4);
  windows[1] = {{}, {{8, 2}}};
  const WindowDemand demand = ToyDemand(scenario, 8, 4, windows);
  const Counters c = RunToy(scenario, &demand).outcome.counters;
  EXPECT_EQ(c.selections, (SelectionCount{8, 0} * 4));
  EXPECT_EQ(c.inactive, (SelectionCount{4, 0} * 4));
}

// Level 1 takes 1.5 ms on the host, which no step feels; every step is 0.25 ms longer; a publish
// takes 0.5 ms. The scenario's launch of 1 ms is not added.
TEST(FlashMemoryTest, FixedTimesOfTheHost) {
  const Scenario scenario =
      FlashMemoryToy(100,
                     "policy { level1_fixed_ms: 1.5 publish_fixed_ms: 0.5 } "
                     "workload { output_tokens: 3 } "
                     "engine { level1_interference: 1 host_contention_ms_per_step: 0.25 }");
  const WindowDemand demand = ToyDemand(scenario, 8, 4, Steady(4));
  const ToyRun run = RunToy(scenario, &demand);
  EXPECT_EQ(run.diary,
            "0 step of 1 for 10.25 (interference 0.25)\n"
            "10.25 step of 1 for 10.25 (interference 0.25)\n10.25 scored 1 until 11.75\n"
            "11.75 recalled 2 until 14.25\n14.25 published\n"
            "20.5 step of 1 for 10.25 (interference 0.25)");
  EXPECT_EQ(run.outcome.counters.link_busy.ns, 2'000'000);
}

// Worlds of a few requests on a small pool, published synchronously, so that the steps of all runs
// are the same: no other policy recalls less than the one that knows what comes.
TEST(FlashMemoryTest, BeladyRecallsNoMoreThanAnyOther) {
  Rng rng(11);
  int64_t fewer = 0;
  for (int round = 0; round < 120; ++round) {
    const bool flashmemory = rng.NextBelow(2) == 0;
    const int64_t concurrency = 1 + static_cast<int64_t>(rng.NextBelow(4));
    const int64_t list_max = 6 + 2;  // LSA: KMAX, forced and open page
    const int64_t pages =
        (flashmemory ? 1 : list_max + concurrency) + static_cast<int64_t>(rng.NextBelow(12));
    const std::string kind =
        flashmemory ? absl::StrCat("FLASHMEMORY reserve_entries: ", kDecodeRegion + pages * 64)
                    : absl::StrCat("LSA reserve_entries: ", pages * 64);
    Scenario scenario = ToyScenario(absl::StrCat(
        "workload { context_tokens: 4096 request_limit: 12 output_tokens: ", 2 + rng.NextBelow(30),
        " concurrency: ", concurrency,
        " attention { random_offset: true } } engine { simulated_s: 0 } ",
        "policy { tau_steps: 4 level1: SYNC page_kmax: ", 1 + rng.NextBelow(6), " kind: ", kind,
        " }"));
    scenario.set_seed(static_cast<uint64_t>(round));
    std::vector<ToyWindow> windows(12);
    for (ToyWindow& window : windows) {
      for (PageIndex page = 0; page < 16; ++page) {
        if (rng.NextBelow(3) == 0) window.scored_pages.push_back(page);
      }
    }
    const WindowDemand demand = ToyDemand(scenario, 16, 4, windows);
    const auto recalls = [&](Policy::Eviction eviction) {
      scenario.mutable_policy()->set_eviction(eviction);
      const ReplicaOutcome outcome = RunToy(scenario, &demand).outcome;
      EXPECT_TRUE(outcome.violations.empty());
      EXPECT_LE(outcome.peaks.blocks_in_use, pages);
      return outcome.counters.pages_recalled;
    };
    const int64_t least = recalls(Policy::BELADY);
    for (const Policy::Eviction other :
         {Policy::LRU, Policy::FIFO, Policy::CLOCK, Policy::S3FIFO, Policy::SIEVE}) {
      const int64_t its = recalls(other);
      ASSERT_LE(least, its) << round << " " << Policy::Eviction_Name(other);
      fewer += its > least;
    }
  }
  EXPECT_GT(fewer, 150);  // the worlds are tight enough to tell them apart
}

}  // namespace
}  // namespace tierscope::testing

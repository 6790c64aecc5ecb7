// StreamingLLM, H2O and Quest in the toy world (testing/toy.h), and the golden entries that a
// policy's pages hold, worked by hand.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "reports/schema/metrics.h"
#include "sim/engine/indexer_metrics.h"
#include "sim/engine/simulate.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

// Eight prompt pages, 0 to 7; page 8 opens with step 0. Ticks behind steps 0 and 4.
Scenario Toy(const std::string& policy) {
  return ToyScenario(absl::StrCat(
      "workload { context_tokens: 2048 output_tokens: 9 request_limit: 1 ",
      "attention { random_offset: false } } engine { simulated_s: 0 } policy { tau_steps: 4 ",
      "page_kmax: 2 ", policy, " }"));
}

SelectionCount Prompt(int64_t selections) { return SelectionCount{selections, selections} * 4; }

// All of a step's selections in the prompt go to page 0 (3) and page 5 (1).
std::vector<ToyWindow> Steady() {
  return std::vector<ToyWindow>(4, ToyWindow{{0, 5}, {{0, 3}, {5, 1}}});
}

void ExpectNothingMoves(const ToyRun& run) {
  const Counters& c = run.outcome.counters;
  EXPECT_EQ(c.recall_bytes, 0);
  EXPECT_EQ(c.pages_recalled, 0);
  EXPECT_EQ(c.pages_written_back, 0);
  EXPECT_EQ(c.evicted, SelectionCount());
  for (const SimDuration stall : c.stall) EXPECT_EQ(stall.ns, 0);
  EXPECT_EQ(c.decode.ns, 9 * 10'000'000);
  EXPECT_TRUE(run.outcome.violations.empty());
}

// Kept are pages 5 and 6 beside the newest, 7: steps 1 to 8 miss page 0.
TEST(RivalsTest, StreamingLlmKeepsTheNewest) {
  const Scenario scenario = Toy("kind: STREAMING_LLM");
  const WindowDemand demand = ToyDemand(scenario, 8, 4, Steady());
  const ToyRun run = RunToy(scenario, &demand);
  ExpectNothingMoves(run);
  // Tick 0: {5, 6, 7}. Tick 4: page 8 is the newest, {6, 7, 8}: page 5 is gone as well.
  EXPECT_EQ(run.outcome.counters.selections, Prompt(8 * 4));
  EXPECT_EQ(run.outcome.counters.inactive, Prompt(4 * 3 + 4 * 4));
  // A sink of one entry forces page 0.
  Scenario sink = scenario;
  sink.mutable_policy()->set_sink_entries(1);
  const WindowDemand with_sink = ToyDemand(sink, 8, 4, Steady());
  EXPECT_EQ(RunToy(sink, &with_sink).outcome.counters.inactive, Prompt(4 * 1));
}

// Nothing is known at tick 0 (no step 0 is recorded): the newest two of equals, 5 and 6, stay. At
// tick 4 page 5 has had 4 selections, 6 and 7 none: 5 stays and of the others the newer, 7.
TEST(RivalsTest, H2oKeepsWhatWasAttendedTo) {
  const Scenario scenario = Toy("kind: H2O");
  const WindowDemand demand = ToyDemand(scenario, 8, 4, Steady());
  const auto list = demand.profiles[0].WantList(1);
  EXPECT_EQ(std::vector<PageIndex>(list.begin(), list.end()), (std::vector<PageIndex>{5, 7, 8}));
  const ToyRun run = RunToy(scenario, &demand);
  ExpectNothingMoves(run);
  EXPECT_EQ(run.outcome.counters.inactive, Prompt(8 * 3));
}

// Only the reserve and its keys, nothing in the host; a request takes what its pages take.
TEST(RivalsTest, DroppersHoldTheirPagesAndTheirKeys) {
  const MemoryPlan plan = *MakeMemoryPlan(Toy("kind: H2O"));
  EXPECT_EQ(plan.reserve_blocks, 100);
  EXPECT_EQ(plan.hbm_reserve_bytes, 100'000'000);
  EXPECT_EQ(plan.hbm_index_fixed_bytes, 6400);  // a key is a byte
  EXPECT_EQ(plan.BudgetBytes(1 << 20), 0);      // no HCA layers: nothing grows with the context
  EXPECT_FALSE(plan.has_cold_pool);
  EXPECT_EQ(plan.host_page_bytes_node, 0);
  const MemoryPlan lsa = *MakeMemoryPlan(Toy("kind: LSA"));
  EXPECT_EQ(lsa.hbm_index_fixed_bytes, 0);
  EXPECT_EQ(lsa.BudgetBytes(1024), 256);
}

// Pages 0 and 5 have the highest bounds: nothing is missed, and all KV is in HBM. A step scores the
// two bounds of 8 pages and the entries of the active ones: none in step 0, then {0, 5, 7} and page
// 8, from step 5 on {0, 5, 8}. A scored entry is 4 flop here, a token 1e9.
TEST(RivalsTest, QuestReadsThePagesWithTheHighestBounds) {
  const Scenario scenario = Toy("kind: QUEST");
  const WindowDemand demand = ToyDemand(scenario, 8, 4, Steady());
  const ToyRun run = RunToy(scenario, &demand);
  ExpectNothingMoves(run);
  EXPECT_EQ(run.outcome.counters.inactive, Prompt(0));
  const double scored = 9 * 16 + 4 * (4 * 64) + 4 * (3 * 64);
  EXPECT_DOUBLE_EQ(run.outcome.counters.flop, 9e9 + 4 * scored);
  EXPECT_EQ(run.outcome.peaks.blocks_in_use, 0);
  const MemoryPlan plan = *MakeMemoryPlan(scenario);
  const MemoryPlan full = *MakeMemoryPlan(Toy("kind: FULL"));
  EXPECT_EQ(plan.hbm_reserve_bytes, 0);
  // All that FULL budgets, and of every page of 256 tokens two keys.
  EXPECT_EQ(plan.BudgetBytes(1024), full.BudgetBytes(1024) + 4 * 2);
}

// Two windows with golden entries. Tick 0 wants {0, 5} and the newest, 7: of entries in pages 0, 1
// and 7 two are held. Tick 4 wants {0, 5, 8}: page 7 is not.
TEST(GoldenRecallTest, CountsGoldenEntriesOfActivePages) {
  const Scenario scenario = Toy("kind: LSA");
  const WindowDemand demand = ToyDemand(scenario, 8, 4, Steady());
  std::vector<IndexerQualityCounts> counts(1);
  counts[0].golden_lists = {{0, {3, 70, 7 * 64 + 1}}, {4, {7 * 64 + 1}}, {400, {1}}};
  const GoldenCover cover = CoverGolden(counts, demand);
  EXPECT_EQ(cover.golden, 4);  // the last window lies behind the profile's end
  EXPECT_EQ(cover.active, 2);
}

const Metric* Find(const RunResult& result, const char* name) { return FindMetric(result, name); }

// At the run's threshold, by hand: codes 200 and 100 are needed, 150 and 64 are not, and one needed
// entry lies under the floor. At 0.5: wanted are 200 and 150.
TEST(IndexerMetricsTest, AreOfTheRunsThreshold) {
  std::vector<IndexerQualityCounts> counts(1);
  ScoreCounts& native = counts[0].selected;
  native.windows = 1;
  native.floor_code = 64;
  native.needed[1 + 200] = native.needed[1 + 100] = native.needed[0] = 1;
  native.other[1 + 150] = native.other[1 + 64] = 1;
  native.other[0] = 5;
  Scenario scenario = Toy("kind: LSA");
  const WindowDemand demand = ToyDemand(scenario, 8, 4, Steady());
  SimulationInputs inputs;
  inputs.demand = &demand;
  inputs.indexer = &counts;
  scenario.mutable_policy()->set_threshold(0.5);
  const RunResult at_half = Simulate(scenario, inputs)->result;
  EXPECT_DOUBLE_EQ(Find(at_half, "indexer_precision.native")->value(), 0.5);
  EXPECT_DOUBLE_EQ(Find(at_half, "indexer_recall.native")->value(), 1.0 / 3);
  EXPECT_DOUBLE_EQ(Find(at_half, "indexer_f1.native")->value(), 0.4);
  EXPECT_DOUBLE_EQ(Find(at_half, "indexer_kept_fraction")->value(), 0.2);
  // Pairs of 3 needed and 7 others: 200 above 7, 100 above 6, the one under the floor ties with 5.
  EXPECT_DOUBLE_EQ(Find(at_half, "indexer_auc.native")->value(), (7 + 6 + 2.5) / 21);
  scenario.mutable_policy()->set_threshold(100.0 / 256);
  const RunResult lower = Simulate(scenario, inputs)->result;
  EXPECT_DOUBLE_EQ(Find(lower, "indexer_recall.native")->value(), 2.0 / 3);
  EXPECT_FALSE(HasValue(*Find(lower, "indexer_recall.golden")));
  EXPECT_FALSE(HasValue(*Find(lower, "golden_recall")));
  inputs.indexer = nullptr;
  const RunResult unseen = Simulate(scenario, inputs)->result;
  EXPECT_FALSE(HasValue(*Find(unseen, "indexer_auc.native")));
}

}  // namespace
}  // namespace tierscope::testing

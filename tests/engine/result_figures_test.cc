// Figures of a result that are easily wrong at the edges of a run: its end, prefill in its steps,
// short requests. Hand-worked in the toy world of steps of 10 ms (tests/testing/toy.h).
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "reports/schema/metrics.h"
#include "sim/engine/simulate.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

RunResult ResultOf(const Scenario& scenario, const WindowDemand* demand = nullptr) {
  SimulationInputs inputs;
  inputs.demand = demand;
  absl::StatusOr<Simulation> simulation = Simulate(scenario, inputs);
  EXPECT_TRUE(simulation.ok()) << simulation.status();
  return simulation.ok() ? simulation->result : RunResult();
}

double Value(const RunResult& result, absl::string_view name) {
  const Metric* metric = FindMetric(result, name);
  EXPECT_TRUE(HasValue(*metric)) << name << ": " << metric->absent();
  return metric->value();
}

WindowDemand Demand(const Scenario& scenario, int32_t pages) {
  return ToyDemand(scenario, pages, 4, std::vector<ToyWindow>(4, ToyWindow{{0}, {{0, 1}}}));
}

// Whatever the steps take, 60 requests that decode all the time are 60.
TEST(ResultFiguresTest, ConcurrencyIsExactWhereItIsWhole) {
  for (int i = 0; i < 40; ++i) {
    const RunResult result = ResultOf(ToyScenario(absl::StrCat(
        "workload { concurrency: 60 context_tokens: 90 output_tokens: 5000 } policy { kind: FULL }"
        " engine { simulated_s: 3 } hardware { step_model { base_ms: ",
        10.0 + 0.137 * i, " } }")));
    EXPECT_EQ(Value(result, "concurrency_mean"), 60.0) << i;
  }
}

// Step 0 to 10 ms, then a job of 2 s that decode waits for (sync), or that holds the only request's
// first pages (async). Half a second is 10 ms of a step and 490 of a wait.
TEST(ResultFiguresTest, AWaitThatTheEndCutsCounts) {
  for (const char* level1 : {"SYNC", "ASYNC"}) {
    const Scenario scenario = ToyScenario(absl::StrCat(
        "workload { context_tokens: 2048 output_tokens: 9 attention { random_offset: false } }"
        " hardware { step_model { level1_launch_ms: 2000 } }"
        " policy { kind: LSA tau_steps: 4 level1: ",
        level1, " } engine { simulated_s: 0.5 }"));
    const WindowDemand demand = Demand(scenario, 8);
    const RunResult result = ResultOf(scenario, &demand);
    EXPECT_DOUBLE_EQ(Value(result, "decode_s"), 0.5) << level1;
    EXPECT_DOUBLE_EQ(Value(result, "stall_ms_total"), 490) << level1;
    EXPECT_DOUBLE_EQ(Value(result, "stall_ms_by_cause.admission"), 490) << level1;
    EXPECT_DOUBLE_EQ(Value(result, "stall_fraction"), 0.98) << level1;
    EXPECT_EQ(Value(result, "steps"), 1) << level1;
    EXPECT_EQ(result.violations_size(), 0) << result.violations(0).what();
  }
}

// A job of 35 ms for every second of four steps; the run ends 2 ms into the step after one: that
// step is not counted, and the wait before it is. To 10 step 0, to 45 the job, four steps to 85, a
// job to 120, 2 ms.
TEST(ResultFiguresTest, AWaitBeforeTheStepThatTheEndCutsCounts) {
  const Scenario scenario = ToyScenario(
      "workload { context_tokens: 256 output_tokens: 40 attention { random_offset: false } }"
      " hardware { step_model { level1_launch_ms: 35 } }"
      " policy { kind: LSA tau_steps: 4 level1: SYNC page_kmax: 1 } engine { simulated_s: 0.122 }");
  const WindowDemand demand = Demand(scenario, 1);
  const RunResult result = ResultOf(scenario, &demand);
  EXPECT_EQ(Value(result, "steps"), 5);
  EXPECT_NEAR(Value(result, "decode_s"), 0.120, 0.003);
  EXPECT_NEAR(Value(result, "stall_ms_by_cause.index"), 35, 1e-9);
  EXPECT_EQ(result.violations_size(), 0);
}

// A prompt of 1,000 tokens in chunks, 10 ms, gives the first of two tokens; the one step of 10 ms
// has 1,001 tokens of history at 3,906.5 bytes and 1 GFLOP.
TEST(ResultFiguresTest, ChunkedPrefillDoesNotDiluteWhatIsPerToken) {
  const RunResult result = ResultOf(ToyScenario(
      "workload { context_tokens: 1000 output_tokens: 2 request_limit: 1 } policy { kind: FULL }"
      " engine { simulated_s: 0 prefill: COLOCATED_CHUNKED prefill_tokens_per_s: 1e5"
      " prefill_chunk_tokens: 400 }"));
  EXPECT_EQ(Value(result, "output_tokens"), 2);
  EXPECT_EQ(Value(result, "steps"), 1);
  EXPECT_DOUBLE_EQ(Value(result, "decode_s"), 0.01);
  EXPECT_DOUBLE_EQ(Value(result, "step_ms_mean"), 10);
  EXPECT_DOUBLE_EQ(Value(result, "concurrency_mean"), 1);
  EXPECT_DOUBLE_EQ(Value(result, "throughput_tok_per_s"), 2 / 0.02);
  EXPECT_NEAR(Value(result, "hbm_kv_gib_per_request"), 1001 * 3906.5 / (1 << 30), 1e-9);
  EXPECT_NEAR(Value(result, "gflop_per_token"), 1.0, 1e-6);
}

// Requests of one page and four tokens can have two pages: three of them fit seven blocks, which is
// what one long request may need. Of three pages each there is room for one.
TEST(ResultFiguresTest, AShortRequestIsPromisedNoMorePagesThanItCanHave) {
  const std::string text =
      "workload { concurrency: 5 output_tokens: 4 attention { random_offset: false } }"
      " policy { kind: LSA tau_steps: 4 page_kmax: 4 reserve_entries: 448 }"
      " engine { simulated_s: 1 } workload { context_tokens: ";
  for (const auto& [pages, admitted] : {std::pair{1, 3}, {3, 1}, {6, 1}}) {
    const Scenario scenario = ToyScenario(absl::StrCat(text, 256 * pages, " }"));
    ASSERT_EQ(MakeMemoryPlan(scenario)->live_pages_max, 7);
    const WindowDemand demand = Demand(scenario, pages);
    const ToyRun run = RunToy(scenario, &demand);
    EXPECT_EQ(run.outcome.peaks.requests_admitted, admitted) << pages;
    EXPECT_TRUE(run.outcome.violations.empty());
    EXPECT_GT(run.outcome.finished, 10);
  }
}

// 2,000 tokens of FULL take 7,813,000 bytes to swap.
TEST(ResultFiguresTest, SwapThatCanNeverFitIsRefused) {
  const auto status = [](int64_t host_bytes) {
    return Simulate(ToyScenario(absl::StrCat(
                        "workload { context_tokens: 1900 output_tokens: 100 request_limit: 3 }"
                        " policy { kind: FULL } engine { simulated_s: 0 admit: OPTIMISTIC"
                        " preemption: SWAP } node { host_bytes: ",
                        host_bytes, " }")),
                    {})
        .status();
  };
  EXPECT_TRUE(status(7'813'000).ok()) << status(7'813'000);
  EXPECT_EQ(status(7'812'999).message(),
            "a request of 1900 + 100 tokens does not fit: with engine.preemption SWAP it may take "
            "7813000 bytes of host DRAM over all ranks, 7812999 are usable; raise node.host_bytes, "
            "lower workload.context_tokens or set engine.preemption=recompute");
}

// Four at once where graphs end at two.
TEST(ResultFiguresTest, ABatchBeyondTheLargestGraphIsNoted) {
  const auto noted = [](const char* sizes) {
    const RunResult result = ResultOf(ToyScenario(absl::StrCat(
        "workload { concurrency: 4 context_tokens: 90 output_tokens: 50 } policy { kind: FULL }"
        " engine { simulated_s: 2 graph_batch_sizes: ",
        sizes, " }")));
    for (const std::string& note : result.notes()) {
      if (absl::StrContains(note,
                            "up to 4 requests decoded at once, more than the largest of "
                            "engine.graph_batch_sizes, 2")) {
        return true;
      }
    }
    return false;
  };
  EXPECT_TRUE(noted("[1, 2]"));
  EXPECT_FALSE(noted("[1, 2, 4]"));
}

}  // namespace
}  // namespace tierscope::testing

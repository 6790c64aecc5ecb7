// What the first request in line waits for, and the tokens of single seconds: hand-worked, in the
// toy world of steps of 10 ms.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "reports/schema/metrics.h"
#include "sim/engine/simulate.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

// Requests of 90 tokens of prompt, at their arrival in ms.
RequestTrace Requests(const std::vector<std::pair<int, int>>& arrival_and_output) {
  RequestTrace trace;
  for (const auto& [ms, output] : arrival_and_output) {
    TraceRequest& request = trace.requests.emplace_back();
    request.arrival = SimTime{int64_t{ms} * 1'000'000};
    request.input_tokens = 90;
    request.output_tokens = output;
  }
  return trace;
}

Scenario World(const std::string& more) {
  return ToyScenario(
      absl::StrCat("workload { arrivals: TRACE trace: 'toy' concurrency: 0 } policy { kind: FULL }"
                   " engine { simulated_s: 0 } ",
                   more));
}

class Result {
 public:
  Result(const Scenario& scenario, const RequestTrace& trace,
         const WindowDemand* demand = nullptr) {
    SimulationInputs inputs;
    inputs.requests = &trace;
    inputs.demand = demand;
    absl::StatusOr<Simulation> simulation = Simulate(scenario, inputs);
    EXPECT_TRUE(simulation.ok()) << simulation.status();
    if (simulation.ok()) result_ = simulation->result;
  }
  double operator[](absl::string_view name) const {
    const Metric* metric = FindMetric(result_, name);
    EXPECT_NE(metric, nullptr) << name;
    EXPECT_TRUE(HasValue(*metric)) << name << ": " << metric->absent();
    return metric->value();
  }
  bool Absent(absl::string_view name) const { return !HasValue(*FindMetric(result_, name)); }

 private:
  RunResult result_;
};

// HBM for 100 tokens at 1,000 B. A decodes 0-100, B comes at 40 and waits to 100, decodes to 200.
// C at 300 finds it empty, ends at 400. 60 of 400 ms.
TEST(AdmissionWaitTest, TimeInLineForHbm) {
  const Result result(World("hardware { hbm_bytes: 100000 }"),
                      Requests({{0, 10}, {40, 10}, {300, 10}}));
  EXPECT_DOUBLE_EQ(result["admission_wait_fraction.hbm"], 60.0 / 400);
  EXPECT_EQ(result["admission_wait_fraction.slots"], 0);
  EXPECT_EQ(result["admission_wait_fraction.host"], 0);
  EXPECT_EQ(result["admission_wait_fraction.reserve"], 0);
}

// The same with a bound of one request at once; D at 50 stands behind B from 40 to 100 and is first
// itself from 100 to 200: the line is not empty from 40 to 200, which counts once.
TEST(AdmissionWaitTest, TheFirstInLineCountsNotTheLine) {
  const Result result(World("workload { concurrency: 1 }"),
                      Requests({{0, 10}, {40, 10}, {50, 10}, {400, 10}}));
  EXPECT_DOUBLE_EQ(result["admission_wait_fraction.slots"], 160.0 / 500);
  EXPECT_EQ(result["admission_wait_fraction.hbm"], 0);
}

// B lacks a slot until A ends at 100 and HBM until C ends at 200: only HBM has room for 200 tokens,
// and B wants all of it. A and C, of 100 tokens each, came first.
TEST(AdmissionWaitTest, EachWaitGoesToWhatLacksThen) {
  RequestTrace trace = Requests({{0, 10}, {0, 20}, {40, 10}});
  trace.requests[1].input_tokens = 80;
  trace.requests[2].input_tokens = 190;
  const Result result(World("workload { concurrency: 2 } hardware { hbm_bytes: 200000 }"), trace);
  EXPECT_DOUBLE_EQ(result["admission_wait_fraction.slots"], 60.0 / 300);
  EXPECT_DOUBLE_EQ(result["admission_wait_fraction.hbm"], 100.0 / 300);
}

// The warm-up of one window, 5 steps, ends at 50: of B's wait from 40 to 100 count 50 of 350 ms.
TEST(AdmissionWaitTest, TheWarmUpIsLeftOut) {
  const Result result(World("workload { concurrency: 1 } policy { tau_steps: 5 }"
                            " engine { warmup_windows: 1 }"),
                      Requests({{0, 10}, {40, 10}, {300, 10}}));
  EXPECT_DOUBLE_EQ(result["admission_wait_fraction.slots"], 50.0 / 350);
}

// LSA: 2 pages of prompt and one to come, 1 MB each in the host, which holds 3. A: step 0 to 10,
// scored to 11, page 0 and the newest recalled to 13, nine more steps to 103. B comes at 40, is
// looked at when the step in progress ends at 43, lacks host DRAM to 103, and ends 103 ms later: 60
// of 206 ms. The same with a reserve of nine blocks, of which one request is promised five: its two
// pages and the three that its profile grows by.
TEST(AdmissionWaitTest, TimeInLineForHostAndReserve) {
  const std::string lsa = "policy { kind: LSA } workload { attention { random_offset: false } } ";
  RequestTrace trace = Requests({{0, 10}, {40, 10}});
  for (TraceRequest& request : trace.requests) request.input_tokens = 512;
  const Scenario host = World(lsa + "node { host_bytes: 3000000 }");
  const WindowDemand demand = ToyDemand(host, 2, 16, {{{0}, {{0, 1}}}});
  const Result by_host(host, trace, &demand);
  EXPECT_DOUBLE_EQ(by_host["admission_wait_fraction.host"], 60.0 / 206);
  EXPECT_EQ(by_host["admission_wait_fraction.reserve"], 0);
  const Scenario reserve = World(lsa + "policy { page_kmax: 4 reserve_entries: 576 }");
  const WindowDemand longer =
      ToyDemand(reserve, 2, 16, std::vector<ToyWindow>(40, ToyWindow{{0}, {{0, 1}}}));
  const Result by_reserve(reserve, trace, &longer);
  EXPECT_DOUBLE_EQ(by_reserve["admission_wait_fraction.reserve"], 60.0 / 206);
  EXPECT_EQ(by_reserve["admission_wait_fraction.host"], 0);
}

// Steps of 10 ms for 2.5 s: the k-th second of one request holds the steps that end in (k, k + 1],
// 100 of them; the half second at the end is left out. With a second request from 1 s on, 200.
TEST(DecodeSecondsTest, TokensOfEachWholeSecond) {
  const Result one(World("engine { simulated_s: 2.5 }"), Requests({{0, 1000}}));
  EXPECT_EQ(one["throughput_tok_per_s_1s_min"], 100);
  EXPECT_EQ(one["throughput_tok_per_s_1s_max"], 100);
  const Result two(World("engine { simulated_s: 3 }"), Requests({{0, 1000}, {1000, 1000}}));
  EXPECT_EQ(two["throughput_tok_per_s_1s_min"], 100);
  EXPECT_EQ(two["throughput_tok_per_s_1s_p1"], 100);
  EXPECT_EQ(two["throughput_tok_per_s_1s_max"], 200);
  const Result brief(World("engine { simulated_s: 0.5 }"), Requests({{0, 1000}}));
  EXPECT_TRUE(brief.Absent("throughput_tok_per_s_1s_min"));
}

// Idle time is not decode time: 60 steps, a pause of 5 s and 60 more are one second and a fifth.
TEST(DecodeSecondsTest, IdleTimeIsCutOut) {
  const Result result(World(""), Requests({{0, 60}, {5600, 60}}));
  EXPECT_EQ(result["throughput_tok_per_s_1s_min"], 100);
  EXPECT_EQ(result["throughput_tok_per_s_1s_max"], 100);
}

// A step of 2.5 s: the second it ends in has its token, the two before have none.
TEST(DecodeSecondsTest, ALongStepLeavesSecondsWithoutTokens) {
  const Result result(
      World("hardware { step_model { base_ms: 2500 } } engine { simulated_s: 5.1 }"),
      Requests({{0, 10}}));
  EXPECT_EQ(result["throughput_tok_per_s_1s_min"], 0);  // (0, 1], (1, 2], (3, 4]
  EXPECT_EQ(result["throughput_tok_per_s_1s_max"], 1);  // (2, 3], (4, 5]
}

}  // namespace
}  // namespace tierscope::testing

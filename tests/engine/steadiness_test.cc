// Whether a run says that its load has not settled: backlog growth and the notes, hand-worked in
// the toy world of steps of 10 ms and on queues below and above what one server carries.
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "reports/schema/metrics.h"
#include "sim/base/rng.h"
#include "sim/engine/simulate.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

RunResult ResultOf(const Scenario& scenario, const RequestTrace* trace) {
  SimulationInputs inputs;
  inputs.requests = trace;
  absl::StatusOr<Simulation> simulation = Simulate(scenario, inputs);
  EXPECT_TRUE(simulation.ok()) << simulation.status();
  return simulation.ok() ? simulation->result : RunResult();
}

double Backlog(const RunResult& result) { return FindMetric(result, "backlog_growth")->value(); }

// The notes that flag the run.
std::vector<std::string> Flags(const RunResult& result) {
  std::vector<std::string> flags;
  for (const std::string& note : result.notes()) {
    if (absl::StartsWith(note, "not steady: ")) flags.push_back(note);
  }
  return flags;
}

Scenario OpenLoop(double simulated_s, int concurrency, const std::string& more = "") {
  return ToyScenario(
      absl::StrCat("workload { arrivals: TRACE trace: 'toy' concurrency: ", concurrency,
                   " } policy { kind: FULL tau_steps: 5 } engine { "
                   "simulated_s: ",
                   simulated_s, " } ", more));
}

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

// One at a time, 100 ms each. At half time, 200 ms, the third of three runs; at 400 D is done and E
// to G, of the four that came since, are there: two more than at half time.
TEST(BacklogGrowthTest, WhatPilesUpOfWhatArrivedInTheSecondHalf) {
  const RequestTrace trace =
      Requests({{0, 10}, {40, 10}, {60, 10}, {210, 10}, {250, 10}, {300, 10}, {390, 10}});
  EXPECT_DOUBLE_EQ(Backlog(ResultOf(OpenLoop(0.4, 1), &trace)), 2.0 / 4);
}

// At 300 D runs; E comes at 450 and is done at 550.
TEST(BacklogGrowthTest, IsNegativeWhereTheLineShrinks) {
  const RequestTrace trace = Requests({{0, 10}, {40, 10}, {60, 10}, {80, 10}, {450, 10}});
  EXPECT_DOUBLE_EQ(Backlog(ResultOf(OpenLoop(0.6, 1), &trace)), -1.0);
}

// The warm-up of 5 steps ends at 50 ms, so half of 450 is 250, where C runs alone; D comes at 260.
TEST(BacklogGrowthTest, HalfTimeIsCountedFromTheWarmUpOn) {
  const RequestTrace trace = Requests({{0, 10}, {40, 10}, {60, 10}, {260, 10}, {350, 10}});
  const Scenario scenario = OpenLoop(0.45, 1, "engine { warmup_windows: 1 }");
  EXPECT_DOUBLE_EQ(Backlog(ResultOf(scenario, &trace)), 0.0 / 2);
  const RunResult brief = ResultOf(OpenLoop(0.04, 1, "engine { warmup_windows: 1 }"), &trace);
  EXPECT_FALSE(HasValue(*FindMetric(brief, "backlog_growth")));
  const RunResult endless = ResultOf(OpenLoop(0, 1), &trace);
  EXPECT_FALSE(HasValue(*FindMetric(endless, "backlog_growth")));
}

// A request every 50 ms that takes 2 s, as many at once as come: 40 are there from 2 s on. A fifth
// of all that arrive in 10 s are there at the end, and nothing piles up.
TEST(BacklogGrowthTest, TheFillingOfTheSystemIsNoBacklog) {
  std::vector<std::pair<int, int>> requests;
  for (int ms = 0; ms <= 10'000; ms += 50) requests.emplace_back(ms, 200);
  const RequestTrace trace = Requests(requests);
  const RunResult result = ResultOf(OpenLoop(10, 0), &trace);
  EXPECT_DOUBLE_EQ(FindMetric(result, "requests_unfinished")->value(), 40);
  EXPECT_DOUBLE_EQ(Backlog(result), 0.0);
  EXPECT_TRUE(Flags(result).empty());
}

// Poisson arrivals at `load` of one server whose service takes 20 steps on average, exponential and
// rounded up.
RequestTrace Customers(double load, uint64_t seed) {
  Rng rng(seed);
  const auto exponential = [&](double mean) { return -mean * std::log1p(-rng.NextDouble()); };
  RequestTrace trace;
  double now_s = 0.0;
  while (now_s < 1300.0) {
    now_s += exponential(0.2 / load);
    TraceRequest& request = trace.requests.emplace_back();
    request.arrival = SimTime{static_cast<int64_t>(now_s * 1e9)};
    request.input_tokens = 16;
    request.output_tokens = 1 + static_cast<int64_t>(exponential(19.5));
  }
  return trace;
}

// Half of 1,300 s are some 2,900 arrivals. At 0.9 the line is nine long on average and as wide;
// at 1.1 one of eleven stays.
TEST(BacklogGrowthTest, AnOverloadedServerGrowsAndAStableOneDoesNot) {
  for (const uint64_t seed : {1, 2, 3, 4, 5}) {
    const RequestTrace stable = Customers(0.9, seed);
    const RunResult carried = ResultOf(OpenLoop(1300, 1), &stable);
    EXPECT_LT(std::abs(Backlog(carried)), 0.02) << seed;
    EXPECT_TRUE(Flags(carried).empty()) << seed << ": " << Flags(carried).front();
    const RequestTrace overload = Customers(1.1, seed);
    const RunResult piled = ResultOf(OpenLoop(1300, 1), &overload);
    EXPECT_NEAR(Backlog(piled), 1.0 - 1.0 / 1.1, 0.04) << seed;
    ASSERT_EQ(Flags(piled).size(), 1u) << seed;
    EXPECT_TRUE(absl::StrContains(Flags(piled)[0], "more than the replica carries"));
  }
}

Scenario ClosedLoop(const std::string& more) {
  return ToyScenario(
      absl::StrCat("workload { concurrency: 4 context_tokens: 100 output_tokens: 100 }"
                   " policy { kind: FULL tau_steps: 5 } engine { simulated_s: 10 } ",
                   more));
}

TEST(SteadinessTest, ARunThatSettlesHasNoFlag) {
  EXPECT_TRUE(Flags(ResultOf(ClosedLoop(""), nullptr)).empty());
}

// Requests of 20 s in a run of 10.
TEST(SteadinessTest, ARunInWhichNobodyFinishesIsFlagged) {
  const std::vector<std::string> flags =
      Flags(ResultOf(ClosedLoop("workload { output_tokens: 2000 }"), nullptr));
  ASSERT_EQ(flags.size(), 1u);
  EXPECT_TRUE(absl::StrContains(flags[0], "no request finished")) << flags[0];
}

// Four users of one request each, of 1, 2, 3 and 4 s, in 4 s: 700 tokens in the first half, 300 in
// the second.
TEST(SteadinessTest, AThroughputThatFallsIsFlagged) {
  const std::vector<std::string> flags =
      Flags(ResultOf(ClosedLoop("workload { output_tokens: 400 request_limit: 4 ramp_start: true }"
                                " engine { simulated_s: 4 }"),
                     nullptr));
  ASSERT_EQ(flags.size(), 1u);
  EXPECT_TRUE(absl::StrContains(flags[0], "second half is -57 % against the first")) << flags[0];
}

}  // namespace
}  // namespace tierscope::testing

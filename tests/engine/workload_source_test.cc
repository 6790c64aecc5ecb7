#include "sim/engine/workload_source.h"

#include <cmath>

#include "gtest/gtest.h"

#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

std::vector<Arrival> Drain(WorkloadSource& source, size_t most) {
  std::vector<Arrival> arrivals;
  while (arrivals.size() < most) {
    const std::optional<Arrival> next = source.Next();
    if (!next) break;
    arrivals.push_back(*next);
  }
  return arrivals;
}

TEST(WorkloadSourceTest, ClosedLoopRampsTheFirstRequests) {
  const Scenario scenario = ToyScenario(R"(
    workload { concurrency: 4 ramp_start: true context_tokens: 100 output_tokens: 10 think_s: 0.5 })");
  WorkloadSource source(scenario, nullptr);
  const std::vector<Arrival> first = Drain(source, 100);
  ASSERT_EQ(first.size(), 4u);
  EXPECT_EQ(first[0].output_tokens, 3);  // ceil(10 / 4)
  EXPECT_EQ(first[1].output_tokens, 5);
  EXPECT_EQ(first[3].output_tokens, 10);
  const std::optional<Arrival> next = source.AfterFinish(2, SimTime{1'000'000'000});
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->time.ns, 1'500'000'000);
  EXPECT_EQ(next->output_tokens, 10);
  EXPECT_EQ(next->user, 2);
}

TEST(WorkloadSourceTest, GapsHaveTheirMeanAndVariation) {
  for (const char* process : {"arrivals: POISSON", "arrivals: GAMMA arrival_cv: 2"}) {
    const Scenario scenario = ToyScenario(
        std::string("workload { requests_per_s: 10 context_tokens: 1 output_tokens: 1 ") + process +
        " }");
    WorkloadSource source(scenario, nullptr);
    const std::vector<Arrival> arrivals = Drain(source, 40000);
    double sum = 0, squares = 0;
    for (size_t i = 1; i < arrivals.size(); ++i) {
      const double gap = ToSeconds(arrivals[i].time - arrivals[i - 1].time);
      sum += gap;
      squares += gap * gap;
    }
    const double n = static_cast<double>(arrivals.size() - 1);
    const double mean = sum / n;
    const double cv = std::sqrt(squares / n - mean * mean) / mean;
    EXPECT_NEAR(mean, 0.1, 0.005) << process;
    EXPECT_NEAR(cv, std::string(process).find("GAMMA") == std::string::npos ? 1.0 : 2.0, 0.08)
        << process;
  }
}

TEST(WorkloadSourceTest, ClassesAreDrawnByWeightAndTheWorkloadOutranksThem) {
  const std::string mix = R"(workload { arrivals: POISSON requests_per_s: 1
    classes { weight: 3 context_tokens: 100 output_tokens: 7 } classes { weight: 1 context_tokens: 900 output_tokens: 8 } })";
  const Scenario scenario = ToyScenario(mix);
  WorkloadSource source(scenario, nullptr);
  int large = 0;
  for (const Arrival& a : Drain(source, 8000)) large += a.context_tokens == 900 ? 1 : 0;
  EXPECT_NEAR(large, 2000, 150);
  const Scenario fixed = ToyScenario(mix + "workload { context_tokens: 55 }");
  WorkloadSource outranked(fixed, nullptr);
  for (const Arrival& a : Drain(outranked, 50)) {
    EXPECT_EQ(a.context_tokens, 55);
    EXPECT_TRUE(a.output_tokens == 7 || a.output_tokens == 8);
  }
}

RequestTrace TwoConversations() {
  RequestTrace trace;
  trace.conversation_count = 2;
  const auto at = [](int64_t s) { return SimTime{s * 1'000'000'000}; };
  const auto think = [](int64_t s) { return SimDuration{s * 1'000'000'000}; };
  trace.requests = {{at(0), 10, 1, think(9), 0},
                    {at(0), 20, 1, think(9), 1},
                    {at(5), 11, 1, think(2), 0},
                    {at(7), 21, 1, think(3), 1}};
  return trace;
}

TEST(WorkloadSourceTest, TraceKeepsItsOwnTimes) {
  const Scenario scenario = ToyScenario("workload { arrivals: TRACE }");
  const RequestTrace trace = TwoConversations();
  WorkloadSource source(scenario, &trace);
  const std::vector<Arrival> arrivals = Drain(source, 100);
  ASSERT_EQ(arrivals.size(), 4u);
  EXPECT_EQ(arrivals[2].time.ns, 5'000'000'000);
  EXPECT_EQ(arrivals[3].context_tokens, 21);
  EXPECT_FALSE(source.AfterFinish(-1, SimTime{0}).has_value());
}

// One user plays conversation 0 with its think times, then conversation 1 from its own start.
TEST(WorkloadSourceTest, ClosedLoopPlaysConversationsWithTheirThinkTimes) {
  const Scenario scenario = ToyScenario("workload { concurrency: 1 }");
  const RequestTrace trace = TwoConversations();
  WorkloadSource source(scenario, &trace);
  const std::vector<Arrival> first = Drain(source, 100);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].time.ns, 0);
  EXPECT_EQ(first[0].context_tokens, 10);
  std::vector<std::pair<int64_t, int64_t>> rest;
  SimTime now{100};
  while (const std::optional<Arrival> next = source.AfterFinish(0, now)) {
    rest.emplace_back(next->time.ns - now.ns, next->context_tokens);
    now = next->time;
  }
  EXPECT_EQ(rest, (std::vector<std::pair<int64_t, int64_t>>{
                      {2'000'000'000, 11}, {0, 20}, {3'000'000'000, 21}}));
}

// Under an arrival process conversations start at drawn times and keep their own gaps.
TEST(WorkloadSourceTest, PoissonShiftsWholeConversations) {
  const Scenario scenario = ToyScenario("workload { arrivals: POISSON requests_per_s: 0.01 }");
  const RequestTrace trace = TwoConversations();
  WorkloadSource source(scenario, &trace);
  std::vector<Arrival> arrivals = Drain(source, 100);
  ASSERT_EQ(arrivals.size(), 4u);
  EXPECT_TRUE(std::is_sorted(arrivals.begin(), arrivals.end(),
                             [](const Arrival& a, const Arrival& b) { return a.time < b.time; }));
  std::map<int64_t, SimTime> by_context;
  for (const Arrival& a : arrivals) by_context[a.context_tokens] = a.time;
  EXPECT_EQ((by_context[11] - by_context[10]).ns, 5'000'000'000);
  EXPECT_EQ((by_context[21] - by_context[20]).ns, 7'000'000'000);
  EXPECT_GT(by_context[10].ns, 0);
}

}  // namespace
}  // namespace tierscope::testing

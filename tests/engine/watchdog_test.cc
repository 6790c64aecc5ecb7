// A run that cannot go on ends with what waits for what. Each stuck state is real: one event is
// lost, put off for ever, or repeated for ever (ReplicaOptions::fault).
#include "absl/strings/match.h"
#include "gtest/gtest.h"

#include "sim/engine/simulate.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

constexpr char kFull[] = R"(
  workload { concurrency: 2 context_tokens: 2048 output_tokens: 9 request_limit: 6 }
  policy { kind: FULL tau_steps: 100 } engine { simulated_s: 0 } )";
constexpr char kLsa[] = R"(
  workload { context_tokens: 2048 output_tokens: 9 request_limit: 2 attention { random_offset: false } }
  policy { kind: LSA tau_steps: 4 } engine { simulated_s: 0 } )";
constexpr char kOpen[] = R"(
  workload { arrivals: POISSON requests_per_s: 50 concurrency: 2 context_tokens: 2048
             output_tokens: 9 }
  policy { kind: FULL tau_steps: 100 } engine { simulated_s: 3600 } )";

// What Simulate says of the scenario with the fault.
std::string Report(const Scenario& scenario, Fault fault) {
  WindowDemand demand;
  SimulationInputs inputs;
  if (NeedsDemand(scenario)) {
    demand = ToyDemand(scenario, 8, 4, std::vector<ToyWindow>(4, ToyWindow{{0, 1}, {{0, 1}}}));
    inputs.demand = &demand;
  }
  inputs.options.fault = fault;
  const absl::StatusOr<Simulation> simulation = Simulate(scenario, inputs);
  if (simulation.ok()) return "ok";
  EXPECT_TRUE(absl::IsAborted(simulation.status()));
  return std::string(simulation.status().message());
}

Scenario WithHbm(Scenario scenario, int64_t bytes) {
  scenario.mutable_hardware()->set_hbm_bytes(bytes);
  return scenario;
}

TEST(WatchdogTest, SoundRunsEnd) {
  for (const char* text : {kFull, kLsa}) EXPECT_EQ(Report(ToyScenario(text), {}), "ok");
}

// The first step never ends: both requests of the batch wait for it, and nothing else happens.
TEST(WatchdogTest, ALostStepEnd) {
  EXPECT_EQ(Report(ToyScenario(kFull), {Fault::kDrop, Replica::kStepEnd, 1}),
            "the simulation is stuck at 0.010000 s: nothing is under way and requests wait; "
            "waiting:\n"
            "  request 0 since 0.000000 s for the end of its batch step\n"
            "  request 1 since 0.000000 s for the end of its batch step");
}

// The same with one slot, or HBM for one: the second request says what it waits for.
TEST(WatchdogTest, WaitingRequestsNameTheResource) {
  const Fault fault{Fault::kDrop, Replica::kStepEnd, 1};
  const std::string tokens = Report(WithHbm(ToyScenario(kFull), 3'000'000), fault);
  EXPECT_TRUE(absl::StrContains(
      tokens, "request 1 since 0.000000 s for HBM tokens: needs 2057, 943 of 3000 are free"))
      << tokens;
  const std::string slots = Report(
      ToyScenario(std::string(kOpen) + "workload { concurrency: 1 requests_per_s: 500 }"), fault);
  EXPECT_TRUE(absl::StrContains(slots, "for a slot: 1 requests are admitted, of at most 1"))
      << slots;
  Scenario lsa = ToyScenario(std::string(kLsa) + "workload { concurrency: 2 }");
  lsa.mutable_policy()->set_reserve_entries(64 * 9);
  const std::string blocks = Report(lsa, fault);
  EXPECT_TRUE(absl::StrContains(blocks, "for reserve blocks: needs 7 of 9")) << blocks;
  lsa.mutable_policy()->set_reserve_entries(6400);
  lsa.mutable_node()->set_host_bytes(16'000'000);
  const std::string host = Report(lsa, fault);
  EXPECT_TRUE(absl::StrContains(host, "for host DRAM: needs 9 pages of the cold pool")) << host;
}

TEST(WatchdogTest, ALostLevel1Job) {
  const Fault fault{Fault::kDrop, Replica::kLevel1Scored, 1};
  EXPECT_TRUE(absl::StrContains(Report(ToyScenario(kLsa), fault), "level-1 job 1, which scores"));
  EXPECT_TRUE(absl::StrContains(Report(ToyScenario(std::string(kLsa) + "policy { level1: SYNC }"),
                                       {Fault::kDrop, Replica::kLevel1Scored, 2}),
                                "request 0 since 0.014000 s for level-1 job 2, which its batch "
                                "waits for"));
}

TEST(WatchdogTest, ALostTransfer) {
  const Fault fault{Fault::kDrop, Replica::kFlowDone, 1};
  EXPECT_TRUE(absl::StrContains(Report(ToyScenario(kLsa), fault), "its recall is on the link"));
  const char* disaggregated = "engine { prefill: DISAGGREGATED prefill_tokens_per_s: 102400 }";
  const Scenario ingest = ToyScenario(std::string(kLsa) + disaggregated);
  EXPECT_TRUE(absl::StrContains(Report(ingest, fault),
                                "request 0 since 0.020000 s for its KV from the network"));
  EXPECT_TRUE(absl::StrContains(Report(ingest, {Fault::kDrop, Replica::kPrefillDone, 1}),
                                "request 0 since 0.000000 s for its prefill to end"));
}

TEST(WatchdogTest, ALostSwap) {
  Scenario scenario = ToyScenario(std::string(kFull) + R"(
    workload { context_tokens: 768 output_tokens: 300 ramp_start: false }
    engine { admit: OPTIMISTIC preemption: SWAP })");
  scenario = WithHbm(scenario, 2'048'000);
  EXPECT_TRUE(absl::StrContains(Report(scenario, {Fault::kDrop, Replica::kFlowDone, 1}),
                                "for a swap-out (flow writeback)"));
  EXPECT_TRUE(absl::StrContains(Report(scenario, {Fault::kDrop, Replica::kFlowDone, 2}),
                                "for its KV from the host (flow recall)"));
}

// Arrivals go on, decode does not: found at the first arrival after, not at the end of the hour.
TEST(WatchdogTest, ArrivalsDoNotHideIt) {
  const std::string report = Report(ToyScenario(kOpen), {Fault::kDrop, Replica::kStepEnd, 3});
  EXPECT_TRUE(absl::StrContains(report, "nothing is under way")) << report;
  EXPECT_TRUE(absl::StrContains(report, "stuck at 0.")) << report;
}

// Time moves and events happen, but no request gets anywhere: 60 s and 16 times the longest thing
// that was ever under way (a step of 10 ms) are the bound, 60.16 s; the next event after it is that
// of 61.01 s.
TEST(WatchdogTest, TimeMovesAndNothingHappens) {
  const std::string report = Report(ToyScenario(kFull), {Fault::kPostpone, Replica::kStepEnd, 1});
  EXPECT_TRUE(absl::StrContains(report, "stuck at 61.010000 s: no request makes progress"))
      << report;
}

TEST(WatchdogTest, TimeStandsStill) {
  EXPECT_TRUE(absl::StrContains(Report(ToyScenario(kFull), {Fault::kRepeat, Replica::kStepEnd, 1}),
                                "time stands still"));
}

// A long silence with something under way is no stuck run: a prefill of three hours.
TEST(WatchdogTest, PatienceWithWhatTakesLong) {
  EXPECT_EQ(Report(ToyScenario(std::string(kLsa) +
                               "engine { prefill: DISAGGREGATED prefill_tokens_per_s: 0.2 }"),
                   {}),
            "ok");
}

// Nor one in chunks, of 34 minutes where the bound of a chunk's step would be 18.
TEST(WatchdogTest, PatienceWithChunks) {
  EXPECT_EQ(Report(ToyScenario(std::string(kLsa) +
                               "engine { prefill: COLOCATED_CHUNKED prefill_chunk_tokens: 64 "
                               "prefill_tokens_per_s: 1 }"),
                   {}),
            "ok");
}

// Nor is an empty replica: the first request ends at 70 s, which is beyond the bound of 60.16 s and
// so where the watchdog looks, and the next one comes a quarter of an hour later.
TEST(WatchdogTest, PatienceWhileNobodyIsThere) {
  RequestTrace trace;
  trace.requests = {{SimTime{0}, 100, 7000, {}, -1}, {SimTime{1'000'000'000'000}, 100, 2, {}, -1}};
  SimulationInputs inputs;
  inputs.requests = &trace;
  const auto simulation = Simulate(
      ToyScenario("workload { arrivals: TRACE concurrency: 0 trace: 'toy' } policy { kind: FULL"
                  " tau_steps: 100 } engine { simulated_s: 0 }"),
      inputs);
  EXPECT_TRUE(simulation.ok()) << simulation.status();
}

// Long lists are cut.
TEST(WatchdogTest, TheReportIsBounded) {
  const std::string report =
      Report(ToyScenario(std::string(kFull) + "workload { concurrency: 500 request_limit: 500 }"),
             {Fault::kDrop, Replica::kStepEnd, 1});
  EXPECT_LT(report.size(), 2000u);
  EXPECT_TRUE(absl::StrContains(report, "and 488 more")) << report;
}

}  // namespace
}  // namespace tierscope::testing

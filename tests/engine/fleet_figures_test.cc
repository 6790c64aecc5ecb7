// Figures of several replicas and groups that are easily wrong at the edges of a run: its end, half
// time, prefill in its steps. The same of one replica: result_figures_test.cc, steadiness_test.cc.
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/engine/fleet_world.h"

namespace tierscope::testing {
namespace {

void AddHalves(const std::optional<ReplicaOutcome::Halves>& one, ReplicaOutcome::Halves* sum) {
  if (!one) return;
  sum->arrived += one->arrived;
  sum->piled_up += one->piled_up;
  sum->first.tokens += one->first.tokens;
  sum->first.decode += one->first.decode;
  sum->second.tokens += one->second.tokens;
  sum->second.decode += one->second.decode;
}

std::string HalvesText(const ReplicaOutcome::Halves& h) {
  return absl::StrCat(h.arrived, " arrived, ", h.piled_up, " more; ", h.first.tokens, " in ",
                      h.first.decode.ns, ", ", h.second.tokens, " in ", h.second.decode.ns);
}

// Prompts of 1,000 tokens in chunks, 10 ms, give the first of two tokens each: a replica makes two
// tokens in 20 ms, of which 10 decode, and its request has 1,001 tokens of history.
TEST(FleetFiguresTest, StepsThatOnlyPrefillOfSeveralReplicas) {
  for (const int replicas : {1, 2, 3}) {
    const absl::StatusOr<Simulation> run = Simulate(
        ToyScenario(absl::StrCat(
            "workload { context_tokens: 1000 output_tokens: 2 request_limit: ", replicas,
            " concurrency: ", replicas,
            " ramp_start: false } policy { kind: FULL } engine { simulated_s: 0 prefill: "
            "COLOCATED_CHUNKED prefill_tokens_per_s: 1e5 prefill_chunk_tokens: 400 replicas: ",
            replicas, " }")),
        {});
    ASSERT_TRUE(run.ok()) << run.status();
    EXPECT_DOUBLE_EQ(ValueOf(run->result, "throughput_tok_per_s"), replicas * 2 / 0.02);
    EXPECT_DOUBLE_EQ(ValueOf(run->result, "concurrency_mean"), replicas);
    EXPECT_DOUBLE_EQ(ValueOf(run->result, "decode_s"), replicas * 0.01);
    EXPECT_DOUBLE_EQ(ValueOf(run->result, "tokens_per_request_step"), 1.0);
    EXPECT_NEAR(ValueOf(run->result, "hbm_kv_gib_per_request"), 1001 * 3906.5 / (1 << 30), 1e-9);
    EXPECT_EQ(run->result.violations_size(), 0);
  }
}

// Step 0 to 10 ms, then a job of 2 s in each group: of half a second 490 ms are the common wait.
TEST(FleetFiguresTest, ACommonWaitThatTheEndCutsCountsOnce) {
  for (const char* level1 : {"SYNC", "ASYNC"}) {
    const RunResult result = ResultOf(ToyScenario(absl::StrCat(
        kClosed, kTwoGroups, "workload { concurrency: 2 } engine { simulated_s: 0.5 ",
        "warmup_windows: 0 } hardware { step_model { level1_launch_ms: 2000 } } policy { level1: ",
        level1, " }")));
    EXPECT_DOUBLE_EQ(ValueOf(result, "decode_s"), 0.5) << level1;
    EXPECT_DOUBLE_EQ(ValueOf(result, "stall_ms_by_cause.admission"), 490) << level1;
    EXPECT_EQ(ValueOf(result, "steps"), 1) << level1;
    if (level1[0] == 'S') {
      EXPECT_EQ(ValueOf(result, "concurrency_mean"), 2);
    }
  }
}

// A differential test of the whole: over random traces, what a fleet does is, replica by replica,
// what one replica does with the requests that were routed there. Every other pair of rounds has an
// end that cuts steps and waits, and a warm-up of each replica's own, with half time after that.
TEST(FleetFiguresTest, EachReplicaIsARunOfItsOwnRequests) {
  Rng rng(23, 1);
  int64_t recalled = 0, waited = 0, grown = 0, decoded = 0;
  for (int round = 0; round < 60; ++round) {
    const bool tiered = round % 2 == 0;
    std::vector<Sent> sent;
    int64_t at = 0;
    for (int i = 0; i < 40; ++i) {
      at += static_cast<int64_t>(rng.NextBelow(60));
      sent.push_back({at, 1500 + static_cast<int64_t>(rng.NextBelow(548)),
                      1 + static_cast<int64_t>(rng.NextBelow(60))});
    }
    const auto replicas = static_cast<int32_t>(2 + rng.NextBelow(3));
    Scenario scenario = ToyScenario(absl::StrCat(
        kTraced,
        "workload { attention { random_offset: false } } policy { tau_steps: 8 page_kmax: 2 ",
        "reserve_entries: 2560 kind: ", tiered ? "LSA" : "FULL", " level1: ",
        rng.NextBelow(2) == 0 ? "SYNC" : "ASYNC", " } engine { replicas: ", replicas, " }"));
    scenario.mutable_hardware()->mutable_step_model()->set_per_request_ms(0.5);
    if (!tiered) scenario.mutable_hardware()->set_hbm_bytes(5'000'000);  // two or three requests
    if (rng.NextBelow(2) == 0) scenario.mutable_engine()->set_routing(Engine::LEAST_LOADED);
    if (round % 4 < 2) {
      scenario.mutable_engine()->set_simulated_s(1.1);
      scenario.mutable_engine()->set_warmup_windows(1);
    }
    const WindowDemand demand = BusyDemand(scenario);
    const RequestTrace trace = TraceOf(sent);
    FleetRun all = RunFleet(scenario, &trace, tiered ? &demand : nullptr);
    Ns latency, queue;
    Counters sum;
    ReplicaOutcome::Halves halves;
    for (int32_t replica = 0; replica < replicas; ++replica) {
      std::vector<Sent> own;
      for (size_t i = 0; i < all.routed.size(); ++i) {  // the others come after the end
        if (all.routed[i] == replica) own.push_back(sent[i]);
      }
      Scenario one = scenario;
      one.mutable_engine()->clear_replicas();
      one.mutable_engine()->clear_routing();
      const RequestTrace part = TraceOf(own);
      const ReplicaOutcome outcome = RunFleet(one, &part, tiered ? &demand : nullptr).outcome;
      const Counters& c = outcome.counters;
      AddHalves(outcome.halves, &halves);
      latency.insert(latency.end(), c.latency_ns.values().begin(), c.latency_ns.values().end());
      queue.insert(queue.end(), c.queue_ns.values().begin(), c.queue_ns.values().end());
      sum.steps += c.steps;
      sum.pages_recalled += c.pages_recalled;
      sum.selections += c.selections;
      sum.decode += c.decode;
      sum.decode_tokens += c.decode_tokens;
      sum.request_ns += c.request_ns;
      for (size_t i = 0; i < c.stall.size(); ++i) sum.stall[i] += c.stall[i];
    }
    const Counters& c = all.outcome.counters;
    ASSERT_EQ(c.latency_ns.values(), latency) << round;
    ASSERT_EQ(c.queue_ns.values(), queue) << round;
    ASSERT_EQ(c.steps, sum.steps);
    ASSERT_EQ(c.pages_recalled, sum.pages_recalled);
    ASSERT_EQ(c.selections.all, sum.selections.all);
    ASSERT_EQ(c.decode, sum.decode);
    ASSERT_EQ(c.decode_tokens, sum.decode_tokens);
    ASSERT_TRUE(c.request_ns == sum.request_ns);
    ASSERT_EQ(c.stall, sum.stall);
    ASSERT_EQ(all.outcome.halves.has_value(), round % 4 < 2);
    if (all.outcome.halves) {
      ASSERT_EQ(HalvesText(*all.outcome.halves), HalvesText(halves)) << round;
      grown += std::abs(halves.piled_up);
      decoded += halves.first.tokens;
    }
    recalled += c.pages_recalled;
    waited += *std::max_element(queue.begin(), queue.end());
  }
  EXPECT_GT(recalled, 1000);
  EXPECT_GT(waited, 0);
  EXPECT_GT(grown, 10);
  EXPECT_GT(decoded, 1000);
}

}  // namespace
}  // namespace tierscope::testing

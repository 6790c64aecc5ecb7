// Several replicas and dp_attention groups on one clock, worked out by hand in the toy world
// (testing/toy.h), and against what one replica does.
//
// What a wrong version would do and which test it fails: multiply one replica by N
// (UnequalRequests, LeastLoadedLooksAtTokens); divide KV by the groups and take a mean step
// (AStepTakesTheFullestGroup, TheFullestRankHoldsItsOwnRequests); let groups step by themselves
// (GroupsWaitForEachOther); ignore the stores (TheHolderOfAPrefixGetsIt).
#include "sim/engine/fleet.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/engine/fleet_world.h"

namespace tierscope::testing {
namespace {

// A goes to replica 0, decodes from 0 to 100 ms; B, at 1 ms, to replica 1, until 11; C, at 2 ms, is
// replica 0's again and waits for the end of A's step: 10 to 20.
TEST(FleetTest, UnequalRequestsInTurn) {
  const RequestTrace trace = TraceOf({{0, 1024, 10}, {1, 1024, 1}, {2, 1024, 1}});
  const FleetRun run =
      RunFleet(ToyScenario(absl::StrCat(kTraced, "engine { replicas: 2 }")), &trace);
  EXPECT_EQ(run.routed, (std::vector<int32_t>{0, 1, 0}));
  const Counters& c = run.outcome.counters;
  EXPECT_EQ(c.latency_ns.values(), (Ns{18'000'000, 100'000'000, 10'000'000}));
  EXPECT_EQ(c.steps, 10 + 1);
  EXPECT_EQ(c.output_tokens, 12);
  EXPECT_EQ(run.outcome.peaks.requests_admitted, 2);  // of the fuller one
  EXPECT_EQ(run.outcome.shares[0].tokens_routed, 1034 + 1025);
  EXPECT_EQ(run.outcome.shares[1].tokens_routed, 1025);
}

// The same: when C comes replica 0 has A's 1,034 tokens outstanding, replica 1 B's 1,025. C waits
// for B's step: 11 to 21. D, at 50 ms, finds A alone and goes to the idle one.
TEST(FleetTest, LeastLoadedLooksAtTokens) {
  const RequestTrace trace = TraceOf({{0, 1024, 10}, {1, 1024, 1}, {2, 1024, 1}, {50, 1024, 1}});
  const FleetRun run = RunFleet(
      ToyScenario(absl::StrCat(kTraced, "engine { replicas: 2 routing: LEAST_LOADED }")), &trace);
  EXPECT_EQ(run.routed, (std::vector<int32_t>{0, 1, 1, 1}));
  EXPECT_EQ(run.outcome.counters.latency_ns.values(),
            (Ns{100'000'000, 10'000'000, 19'000'000, 10'000'000}));
}

// A (blocks 0, 1) to the first of two idle replicas, B (2, 3), that comes meanwhile, to the other.
// B's prompt then goes to replica 1, which has it, A's to replica 0, B's again to replica 1. In
// turn they would go to 0, 1 and 0, and only the last find something, what the third left there.
TEST(FleetTest, TheHolderOfAPrefixGetsIt) {
  const RequestTrace trace = TraceOf({{0, 1024, 20, {0, 1}},
                                      {1, 1024, 20, {2, 3}},
                                      {1000, 1024, 1, {2, 3}},
                                      {2000, 1024, 1, {0, 1}},
                                      {3000, 1024, 1, {2, 3}}});
  const std::string text = absl::StrCat(kTraced, R"(node { gpus: 2 }
      engine { replicas: 2 prefix_store { host_bytes: 100000000000 }
               prefill: DISAGGREGATED prefill_tokens_per_s: 102400 routing: )");
  const FleetRun aware = RunFleet(ToyScenario(absl::StrCat(text, "PREFIX_AWARE }")), &trace);
  EXPECT_EQ(aware.routed, (std::vector<int32_t>{0, 1, 1, 0, 1}));
  EXPECT_EQ(aware.outcome.counters.prefix_tokens_reused, 3 * 768);
  const FleetRun turns = RunFleet(ToyScenario(absl::StrCat(text, "ROUND_ROBIN }")), &trace);
  EXPECT_EQ(turns.routed, (std::vector<int32_t>{0, 1, 0, 1, 0}));
  EXPECT_EQ(turns.outcome.counters.prefix_tokens_reused, 768);  // the last finds the third's
}

// Toy world in which scoring an entry takes 0.64 ns and a request's CSA attention 10 us.
constexpr char kScoring[] = "hardware { hbm_bytes_per_s: 1562500000 } ";
// A has 62.5 M tokens, 15.625 M entries, 10 ms of scoring, B half. On ranks that hold both a step
// of 10 ms takes 15 + 0.02 more; in a group each it takes A's 10.01 more, not the mean 7.51.
TEST(FleetTest, AStepTakesTheFullestGroup) {
  const RequestTrace trace = TraceOf({{0, 62'500'000, 1}, {0, 31'250'000, 1}});
  const std::string text = absl::StrCat(kTraced, kScoring);
  const FleetRun together = RunFleet(ToyScenario(text), &trace);
  EXPECT_EQ(together.outcome.counters.latency_ns.values(), (Ns{25'020'000, 25'020'000}));
  const FleetRun apart = RunFleet(ToyScenario(text + kTwoGroups), &trace);
  EXPECT_EQ(apart.routed, (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(apart.outcome.counters.latency_ns.values(), (Ns{20'010'000, 20'010'000}));
  EXPECT_EQ(apart.outcome.counters.steps, 1);  // one, of both
  EXPECT_EQ(apart.outcome.counters.output_tokens, 2);
  // Two requests of one group and none of the other cost what they cost together.
  const RequestTrace three = TraceOf({{0, 62'500'000, 1}, {0, 31'250'000, 1}, {0, 15'625'000, 1}});
  const FleetRun uneven = RunFleet(ToyScenario(text + kTwoGroups), &three);
  EXPECT_EQ(uneven.routed, (std::vector<int32_t>{0, 1, 1}));
  EXPECT_EQ(uneven.outcome.counters.step_longest.ns, 20'010'000);
  EXPECT_EQ(uneven.outcome.counters.fullest_group_steps, 2);
  EXPECT_EQ(uneven.outcome.counters.request_steps, 3);
}

// per_request_ms stands for dense products of all requests: 1 ms each, of both groups.
TEST(FleetTest, DenseProductsAreOfAllGroups) {
  const RequestTrace trace = TraceOf({{0, 1024, 1}, {0, 1024, 1}});
  Scenario scenario = ToyScenario(absl::StrCat(kTraced, kTwoGroups));
  scenario.mutable_hardware()->mutable_step_model()->set_per_request_ms(1.0);
  EXPECT_EQ(RunFleet(scenario, &trace).outcome.counters.step_longest.ns, 12'000'000);
}

TEST(FleetTest, TheFullestRankHoldsItsOwnRequests) {
  const RequestTrace trace = TraceOf({{0, 40'000, 5}, {0, 10'000, 5}, {0, 10'000, 5}});
  const std::string text = kTraced;
  EXPECT_EQ(RunFleet(ToyScenario(text), &trace).outcome.peaks.tokens_reserved, 60'015);
  const Peaks apart = RunFleet(ToyScenario(text + kTwoGroups), &trace).outcome.peaks;
  EXPECT_EQ(apart.tokens_reserved, 40'005);  // and not half of all
  EXPECT_EQ(apart.requests_admitted, 2);
}

// Weights 100 sharded, of them 30 attention's, 7 replicated, 4 ranks: 7 + 100 / 4 = 32; with 4
// groups 7 + 70 / 4 + 30 = 54.5, with 2 7 + 17.5 + 15. A rank's pages are mirrored once a group: by
// 4 ranks, 2, 1. A group has its share of the host for good.
TEST(FleetTest, FootprintOfGroups) {
  for (const auto& [groups, weights] : {std::pair{1, 32}, {2, 7 + 18 + 15}, {4, 7 + 18 + 30}}) {
    Scenario scenario = ToyScenario(
        "policy { kind: LSA } node { gpus: 4 } engine { tensor_parallel: 4 } "
        "model { weight_bytes_sharded: 100 weight_bytes_replicated: 7 "
        "attention_weight_bytes_sharded: 30 }");
    scenario.mutable_engine()->set_dp_attention(groups);
    const absl::StatusOr<MemoryPlan> plan = MakeMemoryPlan(scenario);
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan->hbm_weight_bytes, weights);
    EXPECT_EQ(plan->ranks, 4 / groups);
    EXPECT_EQ(plan->host_page_bytes_node, 1'000'000 * 4 / groups);
    EXPECT_EQ(plan->host_usable_bytes_node, 1'000'000'000'000 / groups);
    // Pages of one group: as many as one group of all ranks has; of all: groups times that.
    EXPECT_EQ(plan->host_pages_max, 250'000);
  }
}

// Two replicas of one GPU on a node of two share its host; four are two nodes.
TEST(FleetTest, ReplicasShareTheirNode) {
  Scenario scenario = ToyScenario("policy { kind: LSA } node { gpus: 2 }");
  for (const auto& [replicas, share] : {std::pair{1, 1}, {2, 2}, {3, 2}, {4, 2}}) {
    scenario.mutable_engine()->set_replicas(replicas);
    const absl::StatusOr<MemoryPlan> plan = MakeMemoryPlan(scenario);
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(plan->host_usable_bytes_node, 1'000'000'000'000 / share);
    EXPECT_EQ(plan->groups, replicas);
  }
}

// Whoever gets the same requests does the same: sums are N times, all that is one rank's or taken
// over requests is the same, to the last bit.
void ExpectTimes(double n, const RunResult& one, const RunResult& all) {
  for (const char* name :
       {"throughput_tok_per_s", "output_tokens", "requests_completed", "concurrency_mean",
        "selections", "miss_inactive", "requests_unfinished"}) {
    EXPECT_DOUBLE_EQ(ValueOf(all, name), n * ValueOf(one, name)) << name;
  }
  for (const char* name : {"coverage",
                           "recall_gib",
                           "pages_recalled",
                           "recall_miss_rate",
                           "tpot_ms_p50",
                           "tpot_ms_p99",
                           "step_ms_mean",
                           "step_ms_p99",
                           "step_ms_max",
                           "request_latency_ms_p99",
                           "stall_fraction",
                           "stall_ms_per_token",
                           "hbm_kv_gib_peak",
                           "hbm_total_gib_peak_in_use",
                           "hbm_kv_gib_per_request",
                           "link_utilisation",
                           "backlog_growth",
                           "sideband_utilisation",
                           "gflop_per_token",
                           "recall_gib_per_s",
                           "warmup_s"}) {
    EXPECT_DOUBLE_EQ(ValueOf(all, name), ValueOf(one, name)) << name;
  }
}

TEST(FleetTest, NReplicasWithEqualShareAreNTimesOne) {
  for (const char* level1 : {"SYNC", "ASYNC"}) {
    const std::string text = absl::StrCat(kClosed, "policy { level1: ", level1, " } ");
    const RunResult one = ResultOf(ToyScenario(text + "workload { concurrency: 3 }"));
    EXPECT_GT(ValueOf(one, "pages_recalled"), 0);
    EXPECT_GT(ValueOf(one, "stall_ms_total"), 0);
    for (const char* routing : {"ROUND_ROBIN", "LEAST_LOADED"}) {
      // Users 0, 3, 6 have replica 0, and so on: each ends its requests when the others do.
      const RunResult three = ResultOf(ToyScenario(absl::StrCat(
          text, "workload { concurrency: 9 } engine { replicas: 3 routing: ", routing, " }")));
      ExpectTimes(3.0, one, three);
      EXPECT_DOUBLE_EQ(ValueOf(three, "steps"), 3.0 * ValueOf(one, "steps"));
      EXPECT_DOUBLE_EQ(ValueOf(three, "stall_ms_total"), 3.0 * ValueOf(one, "stall_ms_total"));
      EXPECT_DOUBLE_EQ(ValueOf(three, "replica_imbalance"), 1.0);
      EXPECT_DOUBLE_EQ(ValueOf(three, "host_gib_peak"), ValueOf(one, "host_gib_peak"));
    }
  }
}

// Groups with the same requests do the same beside each other, and their common waits count once.
// The host of a node of two groups has twice the bytes and rate.
TEST(FleetTest, NGroupsWithEqualShareAreNTimesOne) {
  for (const char* level1 : {"SYNC", "ASYNC"}) {
    const std::string text = absl::StrCat(kClosed, "policy { level1: ", level1, " } ");
    const RunResult one = ResultOf(ToyScenario(text + "workload { concurrency: 3 }"));
    const RunResult two = ResultOf(ToyScenario(absl::StrCat(
        text, kTwoGroups, "workload { concurrency: 6 } node { host_bytes: ", 2'000'000'000'000,
        " dram_bytes_per_s_per_socket: 4000000000 }")));
    ExpectTimes(2.0, one, two);
    EXPECT_EQ(ValueOf(two, "steps"), ValueOf(one, "steps"));
    EXPECT_EQ(ValueOf(two, "stall_ms_total"), ValueOf(one, "stall_ms_total"));
    EXPECT_DOUBLE_EQ(ValueOf(two, "dp_attention_imbalance"), 1.0);
    EXPECT_DOUBLE_EQ(ValueOf(two, "host_gib_peak"), 2.0 * ValueOf(one, "host_gib_peak"));
  }
}

// Two requests that come at different times, so that their ticks do, one in each group. While one
// waits for its pages the other waits too: everyone's time per token has both groups' waits in it.
TEST(FleetTest, GroupsWaitForEachOther) {
  const std::string text = absl::StrCat(kClosed, R"(
    workload { arrivals: POISSON requests_per_s: 40 request_limit: 2 concurrency: 0 }
    engine { simulated_s: 0 warmup_windows: 0 } node { dram_bytes_per_s_per_socket: 4000000000 } )");
  const RunResult together = ResultOf(ToyScenario(absl::StrCat(text, kTwoGroups)));
  const RunResult apart =
      ResultOf(ToyScenario(absl::StrCat(text, "engine { replicas: 2 } node { gpus: 2 }")));
  // Alone each has its own stall only; in lockstep each has both, and the steps are shared.
  EXPECT_LT(ValueOf(together, "steps"), 1.2 * ValueOf(apart, "steps") / 2.0);
  EXPECT_GT(ValueOf(together, "tpot_ms_p50"), ValueOf(apart, "tpot_ms_p50"));
  EXPECT_GT(ValueOf(together, "stall_fraction"), 1.5 * ValueOf(apart, "stall_fraction"));
  EXPECT_EQ(ValueOf(together, "output_tokens"), ValueOf(apart, "output_tokens"));
}

// A workload of prompts that share 24 prefixes: asking the stores finds at least what turns find.
TEST(FleetTest, PrefixAwareReusesNoLess) {
  Rng rng(11, 3);
  double more = 0;
  for (int round = 0; round < 40; ++round) {
    std::vector<Sent> sent;
    int64_t at = 0;
    for (int i = 0; i < 150; ++i) {
      at += static_cast<int64_t>(rng.NextBelow(60));
      const auto prefix = static_cast<uint32_t>(rng.NextBelow(24)) * 3;
      sent.push_back({at,
                      2048,
                      1 + static_cast<int64_t>(rng.NextBelow(8)),
                      {prefix, prefix + 1, prefix + 2, 100 + static_cast<uint32_t>(i)}});
    }
    const RequestTrace trace = TraceOf(sent);
    // Stores of 40 blocks of 2 MB each: no replica holds all prefixes.
    const std::string text = absl::StrCat(kTraced, R"(node { gpus: 3 }
        engine { replicas: 3 prefix_store { host_bytes: 240000000 }
                 prefill: DISAGGREGATED prefill_tokens_per_s: 200000 routing: )");
    const auto rate = [&](const char* routing) {
      const Counters c =
          RunFleet(ToyScenario(absl::StrCat(text, routing, " }")), &trace).outcome.counters;
      return static_cast<double>(c.prefix_tokens_reused) /
             static_cast<double>(c.prefix_prompt_tokens);
    };
    const double aware = rate("PREFIX_AWARE"), turns = rate("ROUND_ROBIN");
    const Scenario asking = ToyScenario(absl::StrCat(text, "PREFIX_AWARE }"));
    ReplicaOptions stepping;
    stepping.leap = false;
    EXPECT_EQ(RunFleet(asking, &trace).outcome.event_digest,
              RunFleet(asking, &trace, nullptr, stepping).outcome.event_digest);
    EXPECT_GE(aware, turns) << round;
    more += aware - turns;
  }
  EXPECT_GT(more / 40, 0.05);
}

// At a given open-loop demand more replicas should not lower what comes out. Counted where it
// fails: an arrival in turn may find a longer step of its replica than it would have found of
// another.
TEST(FleetTest, MoreReplicasServeNoLess) {
  Rng rng(5, 9);
  int lower = 0, rounds = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<Sent> sent;
    int64_t at = 0;
    for (int i = 0; i < 60; ++i) {
      at += static_cast<int64_t>(rng.NextBelow(40));
      sent.push_back({at, 1000 + static_cast<int64_t>(rng.NextBelow(3000)),
                      1 + static_cast<int64_t>(rng.NextBelow(30))});
    }
    const RequestTrace trace = TraceOf(sent);
    int64_t before_ns = 0;
    for (int replicas = 1; replicas <= 4; ++replicas) {
      Scenario scenario = ToyScenario(absl::StrCat(kTraced, "engine { replicas: ", replicas, " }"));
      scenario.mutable_hardware()->set_hbm_bytes(12'000'000);  // three or four requests
      scenario.mutable_hardware()->mutable_step_model()->set_per_request_ms(1.0);
      if (replicas > 1) scenario.mutable_engine()->set_routing(Engine::LEAST_LOADED);
      const FleetRun run = RunFleet(scenario, &trace);
      EXPECT_EQ(run.outcome.finished, 60);
      if (replicas > 1) ++rounds, lower += run.outcome.end.ns > before_ns ? 1 : 0;
      before_ns = run.outcome.end.ns;
    }
  }
  std::printf("a replica more took longer for the same requests in %d of %d cases\n", lower,
              rounds);
  EXPECT_LT(lower, rounds / 10);
}

// A group that cannot go on stops the run, and the report says which one.
TEST(FleetTest, TheWatchdogSeesEveryReplica) {
  const RequestTrace trace = TraceOf({{0, 1024, 50}, {0, 1024, 50}});
  const Scenario scenario = ToyScenario(absl::StrCat(kTraced, "engine { replicas: 2 }"));
  const absl::StatusOr<MemoryPlan> plan = MakeMemoryPlan(scenario);
  ASSERT_TRUE(plan.ok());
  ReplicaOptions options;
  options.fault = {Fault::kDrop, Replica::kStepEnd, 2};  // the first step of replica 1
  options.leap = false;
  Fleet fleet(scenario, *plan, nullptr, &trace, nullptr, options);
  const ReplicaOutcome outcome = fleet.Run();
  EXPECT_NE(outcome.stuck.find("nothing is under way"), std::string::npos) << outcome.stuck;
  EXPECT_NE(outcome.stuck.find("group 1: request 0"), std::string::npos) << outcome.stuck;
}

}  // namespace
}  // namespace tierscope::testing

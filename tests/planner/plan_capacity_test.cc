// Capacity of toy worlds (tests/testing/toy.h), where every answer is a division.
#include "sim/planner/plan_capacity.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "sim/planner/ceilings.h"
#include "tests/testing/toy.h"

namespace tierscope {
namespace {

using testing::RunToy;
using testing::ToyDemand;
using testing::ToyScenario;

// FULL takes 1,000 B a token: `requests` of 150 tokens fill the HBM. A step takes 10 ms and 1 ms a
// request, so TPOT is 10 + n.
Scenario FullWorld(int64_t requests, const std::string& more = "") {
  return ToyScenario(absl::StrCat(
      "hardware { hbm_bytes: ", requests * 150'000, " step_model { per_request_ms: 1 } }",
      " workload { context_tokens: 100 output_tokens: 50 } policy { kind: FULL }",
      " engine { simulated_s: 60 slo { tpot_ms: 50 } }", more));
}

CapacityReport Plan(const Scenario& scenario, const CapacityOptions& options = {}) {
  absl::StatusOr<CapacityReport> report = PlanCapacity(scenario, {}, options);
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? *std::move(report) : CapacityReport();
}

// 1 ms a request: 40 users give a TPOT of 50 ms, 41 one of 51.
TEST(PlanCapacity, TheSloBindsInFrontOfHbm) {
  const CapacityReport report = Plan(FullWorld(100));
  EXPECT_EQ(report.capacity.load, 40);
  ASSERT_EQ(report.capacity.binding.limit, 0);
  EXPECT_EQ(report.search.limits[0].metric, "tpot_ms_p99");
  EXPECT_DOUBLE_EQ(report.capacity.PointAt(40)->readings[0].value, 50.0);
  ASSERT_EQ(report.capacity.next.bound.ceiling, 0);
  EXPECT_EQ(report.search.ceilings[0].label, "HBM");
  EXPECT_EQ(report.capacity.next.load_holds, 100);
  EXPECT_TRUE(report.steady);
  EXPECT_TRUE(report.capacity.monotone);
}

TEST(PlanCapacity, HbmBindsInFrontOfTheSlo) {
  const CapacityReport report = Plan(FullWorld(30));
  EXPECT_EQ(report.capacity.load, 30);
  EXPECT_EQ(report.capacity.binding.ceiling, 0);
  EXPECT_EQ(report.capacity.next.bound.limit, 0) << "TPOT, seen with more HBM";
  EXPECT_LE(report.capacity.next.load_holds, 40);
  EXPECT_GT(report.capacity.next.load_fails, 40);
}

// Two replicas hold 30 requests each, 60 in all, at a TPOT of 40 ms. In turn they do not stay
// evenly full, and somebody waits before that.
TEST(PlanCapacity, ReplicasHoldEachTheirOwn) {
  const CapacityReport even = Plan(FullWorld(30, " engine { replicas: 2 routing: LEAST_LOADED }"));
  EXPECT_EQ(even.capacity.load, 60);
  EXPECT_EQ(even.capacity.binding.ceiling, 0);
  EXPECT_DOUBLE_EQ(even.capacity.PointAt(60)->readings[0].value, 40.0);
  const CapacityReport turns = Plan(FullWorld(30, " engine { replicas: 2 }"));
  EXPECT_TRUE(turns.search.ceilings.empty());
  EXPECT_LE(turns.capacity.load, 60);
  EXPECT_GT(turns.capacity.load, 30);
}

// Two attention groups hold 60 too, but the dense products of a step are of all: TPOT is 10 + n.
TEST(PlanCapacity, GroupsHoldTheirOwnAndStepTogether) {
  const std::string groups =
      " node { gpus: 2 } engine { tensor_parallel: 2 dp_attention: 2 }"
      " model { attention_weight_bytes_sharded: 0 }";
  const CapacityReport slow = Plan(FullWorld(30, groups));
  EXPECT_EQ(slow.capacity.load, 40);
  EXPECT_EQ(slow.capacity.binding.limit, 0);
  ASSERT_FALSE(slow.search.ceilings.empty());
  EXPECT_EQ(slow.search.ceilings[0].load, 60);
  EXPECT_EQ(Plan(FullWorld(15, groups)).capacity.load, 30);
}

TEST(PlanCapacity, TheLargestGraphBoundsUsers) {
  const CapacityReport report =
      Plan(FullWorld(30, " engine { graph_batch_sizes: 8 graph_batch_sizes: 16 }"));
  EXPECT_EQ(report.capacity.load, 16);
  ASSERT_GE(report.capacity.binding.ceiling, 0);
  EXPECT_EQ(report.search.ceilings[static_cast<size_t>(report.capacity.binding.ceiling)].label,
            "CUDA graph batch");
}

TEST(PlanCapacity, NothingFits) {
  const CapacityReport report = Plan(FullWorld(1, " workload { context_tokens: 1000 }"));
  EXPECT_EQ(report.capacity.load, 0);
  EXPECT_EQ(report.capacity.binding.ceiling, 0);
  EXPECT_TRUE(report.capacity.points.empty());
}

// Two classes of 150 and 300 tokens, HBM for 6,000 tokens: 20 of the larger, 40 of the smaller.
TEST(PlanCapacity, AMixIsBoundByWhoWaits) {
  Scenario scenario = FullWorld(40, " engine { slo { tpot_ms: 1000 } }");
  scenario.mutable_workload()->clear_context_tokens();
  scenario.mutable_workload()->clear_output_tokens();
  for (const int64_t context : {100, 250}) {
    RequestClass* c = scenario.mutable_workload()->add_classes();
    c->set_weight(1.0);
    c->set_context_tokens(context);
    c->set_output_tokens(50);
  }
  const CapacityReport mix = Plan(scenario);
  EXPECT_GE(mix.capacity.load, 20);
  EXPECT_LE(mix.capacity.load, 27);  // 26.7 of the mean size
  ASSERT_GE(mix.capacity.binding.limit, 0);
  EXPECT_EQ(mix.search.limits[static_cast<size_t>(mix.capacity.binding.limit)].metric,
            "admission_wait_fraction.hbm");
  const LoadPoint* beyond = mix.capacity.PointAt(mix.capacity.load + 1);
  ASSERT_NE(beyond, nullptr);
  EXPECT_FALSE(beyond->holds);
}

// Four at a time, 50 steps of 10 ms each: 8 requests per second are the most.
TEST(PlanCapacity, AnOpenLoopIsBoundByWhatItCarries) {
  const Scenario scenario = ToyScenario(
      "workload { arrivals: POISSON requests_per_s: 8 concurrency: 4 context_tokens: 100"
      " output_tokens: 50 } policy { kind: FULL } engine { simulated_s: 2000 }");
  CapacityOptions options;
  options.rate_step = 0.25;
  const CapacityReport report = Plan(scenario, options);
  EXPECT_FALSE(report.closed_loop);
  EXPECT_GE(report.capacity.load, 30);  // 7.5 req/s
  EXPECT_LE(report.capacity.load, 33);  // 8.25: 3 % over, of which 2 % may pile up
  EXPECT_EQ(report.saturated_by, "requests that may decode at once");
  EXPECT_GT(report.saturated_fraction, 0.9);
  EXPECT_TRUE(report.capacity.next.bound.none()) << "a saturated replica shows nothing behind it";
}

// A request takes 5 s and as many decode at once as come, so any rate is carried, though a
// twentieth of all that arrive in 100 s are there at the end.
TEST(PlanCapacity, TheFillingOfTheSystemIsNoBacklog) {
  const Scenario scenario = ToyScenario(
      "workload { arrivals: POISSON requests_per_s: 100 concurrency: 0 context_tokens: 1"
      " output_tokens: 500 } policy { kind: FULL } engine { simulated_s: 100 }");
  CapacityOptions options;
  options.rate_step = 100.0;
  options.load_max = 2;
  const CapacityReport report = Plan(scenario, options);
  EXPECT_EQ(report.capacity.load, 2);
}

// Requests of 20 s in a run of 10: nobody finishes, and the run says nothing about what would come.
TEST(PlanCapacity, AWorkloadThatNeverSettlesIsFlagged) {
  Scenario scenario =
      FullWorld(100, " workload { output_tokens: 2000 } engine { simulated_s: 10 }");
  scenario.mutable_engine()->clear_slo();
  const CapacityReport report = Plan(scenario);
  EXPECT_GT(report.capacity.load, 0);
  EXPECT_FALSE(report.steady);
  scenario.mutable_engine()->set_simulated_s(600);
  EXPECT_TRUE(Plan(scenario).steady);
}

void ExpectRefused(const Scenario& scenario, const std::string& part,
                   const CapacityOptions& options = {}) {
  const absl::Status status = PlanCapacity(scenario, {}, options).status();
  EXPECT_FALSE(status.ok()) << part;
  EXPECT_NE(std::string(status.message()).find(part), std::string::npos) << status;
}

TEST(PlanCapacity, RefusesWhatHasNoAnswer) {
  ExpectRefused(FullWorld(9, " workload { arrivals: TRACE }"), "workload.arrivals TRACE");
  ExpectRefused(FullWorld(9, " engine { simulated_s: 0 }"), "engine.simulated_s");
  ExpectRefused(FullWorld(9, " workload { request_limit: 5 }"), "workload.request_limit");
  ExpectRefused(FullWorld(9, " engine { slo { ttft_ms: 5 } }"), "engine.slo.ttft_ms");
  CapacityOptions options;
  options.limits = {{"coverage", true, 0.5, ""}, {"coverage", false, 0.75, ""}};
  ExpectRefused(FullWorld(9), "contradict", options);
  options.limits = {{"ttft_ms_p99", true, 5, ""}};
  ExpectRefused(FullWorld(9), "engine.prefill is NONE", options);
}

// Over random worlds with every kind of bound (SLO, reserve, graphs, a mix of two sizes): host DRAM
// is a bound or it is none.
TEST(PlanCapacity, MoreHostDramNeverLowersCapacity) {
  Rng rng(106);
  int more = 0;
  for (int round = 0; round < 60; ++round) {
    const int64_t prompt_pages = 4 + static_cast<int64_t>(rng.NextBelow(8));
    const std::string sizes =
        rng.NextBelow(2) == 0
            ? absl::StrCat("context_tokens: ", prompt_pages * 256, " output_tokens: 40")
            : absl::StrCat(
                  "classes { context_tokens: ", prompt_pages * 256,
                  " output_tokens: 40 } classes { context_tokens: 512 output_tokens: 20 }");
    const auto host_pages = static_cast<int64_t>(10 + rng.NextBelow(300));
    const std::string text = absl::StrCat(
        "hardware { step_model { per_request_ms: 1 } } workload { ", sizes,
        " attention { random_offset: false } } policy { kind: LSA reserve_entries: ",
        64 * (20 + rng.NextBelow(400)),
        " } engine { simulated_s: 20 slo { tpot_ms: ", 15 + rng.NextBelow(60), " } ",
        rng.NextBelow(2) == 0 ? "graph_batch_sizes: 24 " : "", "} node { host_bytes: ");
    SCOPED_TRACE(text);
    const Scenario less_host = ToyScenario(absl::StrCat(text, host_pages * 1'000'000, " }"));
    const Scenario more_host =
        ToyScenario(absl::StrCat(text, (host_pages + 1 + rng.NextBelow(100)) * 1'000'000, " }"));
    const WindowDemand demand =
        ToyDemand(less_host, static_cast<int32_t>(prompt_pages), 16, {{{0, 1, 2}, {{0, 1}}}});
    SimulationInputs inputs;
    inputs.demand = &demand;
    CapacityOptions options;
    options.load_max = 128;
    const auto with_less = PlanCapacity(less_host, inputs, options);
    const auto with_more = PlanCapacity(more_host, inputs, options);
    ASSERT_TRUE(with_less.ok()) << with_less.status();
    ASSERT_TRUE(with_more.ok()) << with_more.status();
    ASSERT_GE(with_more->capacity.load, with_less->capacity.load);
    more += with_more->capacity.load > with_less->capacity.load ? 1 : 0;
  }
  EXPECT_GT(more, 5) << "host DRAM must bind for this to say anything";
}

// The closed forms against the engine: with more users than fit, as many are admitted as the lowest
// ceiling says, under every policy and eviction.
TEST(AdmissionCeilings, AreWhatTheEngineAdmits) {
  Rng rng(5);
  const char* kinds[] = {"FULL", "LSA", "FLASHMEMORY"};
  const char* evictions[] = {"LRU_PROTECTED", "LRU", "FIFO"};
  int bound_by[6] = {};
  for (int round = 0; round < 300; ++round) {
    const std::string kind = kinds[rng.NextBelow(3)];
    const int64_t prompt_pages = 4 + static_cast<int64_t>(rng.NextBelow(12));
    const int64_t region = kind == "FLASHMEMORY" ? 128 * 512 + 1 : 0;
    const int64_t reserve = 64 * (40 + static_cast<int64_t>(rng.NextBelow(600))) + region;
    const Scenario scenario = ToyScenario(
        absl::StrCat("node { host_bytes: ", 1'000'000 * (100 + rng.NextBelow(2000)),
                     " host_usable_fraction: 0.85 } workload { concurrency: 200 context_tokens: ",
                     prompt_pages * 256, " output_tokens: ", 260 + rng.NextBelow(600),
                     " attention { random_offset: false } } hardware { hbm_bytes: ",
                     1'000'000 * (kind == "FULL" ? 10 + rng.NextBelow(400) : 2500),
                     " } policy { kind: ", kind, " eviction: ", evictions[rng.NextBelow(3)],
                     " reserve_entries: ", reserve, " } engine { simulated_s: 2 }"));
    SCOPED_TRACE(absl::StrCat(round, "\n", scenario.ShortDebugString()));
    const absl::StatusOr<MemoryPlan> plan = MakeMemoryPlan(scenario);
    if (!plan.ok()) continue;
    const WindowDemand demand =
        ToyDemand(scenario, static_cast<int32_t>(prompt_pages), 16, {{{0, 1, 2}, {{0, 1}}}});
    const auto ceilings = AdmissionCeilings(scenario, *plan, scenario.workload().context_tokens(),
                                            scenario.workload().output_tokens(),
                                            GrownPagesMax(kind == "FULL" ? nullptr : &demand));
    const auto lowest =
        std::min_element(ceilings.begin(), ceilings.end(),
                         [](const Ceiling& a, const Ceiling& b) { return a.load < b.load; });
    const ReplicaOutcome outcome = RunToy(scenario, kind == "FULL" ? nullptr : &demand).outcome;
    ASSERT_EQ(outcome.peaks.requests_admitted, std::min<int64_t>(200, lowest->load))
        << lowest->label;
    if (lowest->load < 200) ++bound_by[static_cast<size_t>(lowest->resource)];
  }
  for (const Bottleneck resource :
       {Bottleneck::kHbm, Bottleneck::kHost, Bottleneck::kReserve, Bottleneck::kRequestSlots}) {
    EXPECT_GT(bound_by[static_cast<size_t>(resource)], 0) << static_cast<int>(resource);
  }
}

}  // namespace
}  // namespace tierscope

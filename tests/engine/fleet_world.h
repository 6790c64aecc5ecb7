// Fleets of the toy world (testing/toy.h): request traces, where requests go, busy closed loops.
#ifndef TIERSCOPE_TESTS_ENGINE_FLEET_WORLD_H_
#define TIERSCOPE_TESTS_ENGINE_FLEET_WORLD_H_

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "reports/schema/metrics.h"
#include "sim/engine/fleet.h"
#include "sim/engine/simulate.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {

struct Sent {
  int64_t at_ms;
  int64_t input_tokens;
  int64_t output_tokens;
  std::vector<uint32_t> ids = {};
};

inline RequestTrace TraceOf(const std::vector<Sent>& requests) {
  RequestTrace trace;
  trace.format = trace.source_name = "toy";
  trace.block_tokens = 512;
  trace.block_begin = {0};
  for (const Sent& sent : requests) {
    trace.requests.push_back(
        {SimTime{sent.at_ms * 1'000'000}, sent.input_tokens, sent.output_tokens, {}, -1});
    trace.block_ids.insert(trace.block_ids.end(), sent.ids.begin(), sent.ids.end());
    trace.block_begin.push_back(trace.block_ids.size());
    for (const uint32_t id : sent.ids) {
      trace.block_count = std::max<int64_t>(trace.block_count, int64_t{id} + 1);
    }
  }
  trace.block_reference_count = static_cast<int64_t>(trace.block_ids.size());
  return trace;
}

inline constexpr char kTraced[] = R"(
  workload { arrivals: TRACE concurrency: 0 trace: "toy" }
  policy { kind: FULL tau_steps: 100000 } engine { simulated_s: 0 } )";

// Writes down where requests go.
class RoutesSeen : public Diary {
 public:
  void Routed(SimTime, int64_t number, int32_t group) override {
    EXPECT_EQ(number, static_cast<int64_t>(groups.size()));
    groups.push_back(group);
  }
  std::vector<int32_t> groups;
};

struct FleetRun {
  std::vector<int32_t> routed;
  ReplicaOutcome outcome;
};

inline FleetRun RunFleet(const Scenario& scenario, const RequestTrace* trace,
                         const WindowDemand* demand = nullptr, const ReplicaOptions& options = {}) {
  const absl::StatusOr<MemoryPlan> plan = MakeMemoryPlan(scenario);
  EXPECT_TRUE(plan.ok()) << plan.status();
  RoutesSeen seen;
  Fleet fleet(scenario, *plan, demand, trace, &seen, options);
  FleetRun run;
  run.outcome = fleet.Run();
  EXPECT_TRUE(run.outcome.violations.empty());
  EXPECT_EQ(run.outcome.stuck, "");
  run.routed = seen.groups;
  return run;
}

using Ns = std::vector<int64_t>;

inline constexpr char kTwoGroups[] =
    "node { gpus: 2 } engine { tensor_parallel: 2 dp_attention: 2 } "
    "model { attention_weight_bytes_sharded: 0 } ";

// A tiered closed loop: demand that keeps level 1 and recall busy.
inline WindowDemand BusyDemand(const Scenario& scenario) {
  std::vector<ToyWindow> windows(24);
  for (size_t w = 0; w < windows.size(); ++w) {
    windows[w].scored_pages = {static_cast<PageIndex>(w % 5), static_cast<PageIndex>(5 + w % 3)};
    windows[w].selections = {{static_cast<PageIndex>((w + 1) % 5), 2}};
  }
  return ToyDemand(scenario, 8, 4, windows);
}

inline constexpr char kClosed[] = R"(
  workload { context_tokens: 2048 output_tokens: 150 request_limit: 0 ramp_start: false
             attention { random_offset: false } }
  policy { kind: LSA tau_steps: 8 page_kmax: 2 level1: SYNC reserve_entries: 2560 }
  engine { simulated_s: 8 warmup_windows: 2 } )";

inline double ValueOf(const RunResult& result, const char* name) {
  const Metric* metric = FindMetric(result, name);
  EXPECT_NE(metric, nullptr) << name;
  return metric == nullptr ? 0.0 : metric->value();
}

inline RunResult ResultOf(const Scenario& scenario) {
  const WindowDemand demand = BusyDemand(scenario);
  SimulationInputs inputs;
  inputs.demand = &demand;
  absl::StatusOr<Simulation> simulation = Simulate(scenario, inputs);
  EXPECT_TRUE(simulation.ok()) << simulation.status();
  EXPECT_EQ(simulation->result.violations_size(), 0);
  return std::move(simulation->result);
}

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_ENGINE_FLEET_WORLD_H_

// Runs a resolved scenario on the simulated hardware and turns what happened into a RunResult.
#ifndef TIERSCOPE_SIM_ENGINE_SIMULATE_H_
#define TIERSCOPE_SIM_ENGINE_SIMULATE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

#include "reports/schema/result.pb.h"
#include "scenarios/scenario.pb.h"
#include "sim/demand/demand.h"
#include "sim/demand/distil.h"
#include "sim/demand/golden_cover.h"
#include "sim/engine/observer.h"
#include "sim/engine/replica_options.h"
#include "traces/request_trace.h"

namespace tierscope {

// Whether the scenario's policy needs an attention trace.
bool NeedsDemand(const Scenario& scenario);

// Whether the request trace is read with its block ids.
bool NeedsBlockIds(const Scenario& scenario);

// What to distil the attention trace for. Precondition: NeedsDemand. A threshold off the grid of
// 1/256 is rounded up; the result says so.
DemandSpec DemandSpecOf(const Scenario& scenario);

// The memory errors of Simulate, known without its inputs.
absl::Status CheckMemory(const Scenario& scenario);

struct SimulationInputs {
  const WindowDemand* demand = nullptr;  // of DemandSpecOf(scenario); null when not NeedsDemand
  // Null when the scenario names no request trace; with block ids where NeedsBlockIds.
  const RequestTrace* requests = nullptr;
  // Of the demand's trace in windows of tau steps, a profile each; null: not looked at.
  const std::vector<IndexerQualityCounts>* indexer = nullptr;
  Observer* observer = nullptr;  // null: nobody watches
  ReplicaOptions options;
};

struct Simulation {
  RunResult result;    // same bytes for the same scenario, inputs and build, on any x86-64
  int64_t events = 0;  // taken from the queues
  int64_t steps_leapt = 0;
};

// The scenario comes from the loader. Errors: memory that does not add up, a request that fits no
// empty replica, an empty request trace, one without block ids for a prefix store; Aborted, with
// what waits for what, when the run cannot go on. Thread-safe; deterministic.
absl::StatusOr<Simulation> Simulate(const Scenario& scenario, const SimulationInputs& inputs);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_SIMULATE_H_

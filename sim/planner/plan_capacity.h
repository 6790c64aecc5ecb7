// What one replica of a scenario can carry: FindCapacity over simulated runs, with the resources
// that bound it by arithmetic alone and what its HBM is traded for.
#ifndef TIERSCOPE_SIM_PLANNER_PLAN_CAPACITY_H_
#define TIERSCOPE_SIM_PLANNER_PLAN_CAPACITY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "scenarios/scenario.pb.h"
#include "sim/engine/simulate.h"
#include "sim/planner/capacity.h"

namespace tierscope {

struct CapacityOptions {
  std::vector<Limit> limits;  // besides those of engine.slo and of the resources
  int64_t load_max = 4096;    // units: requests (closed loop) or steps of rate (open loop)
  double rate_step = 0.0;  // open loop: req/s of a unit; 0 = a hundredth of workload.requests_per_s
};

// What one request of the largest kind costs, beside the same with all KV in HBM.
struct TradedMemory {
  int64_t tokens = 0;                // of that request, prompt and output; 0 = a trace's, unknown
  double hbm_gib_per_request = 0.0;  // of one rank, with its share of live pages
  double full_hbm_gib_per_request = 0.0;  // of one rank, policy FULL
  double host_gib_per_request = 0.0;      // of the node, all ranks
  double level1_gflop_per_token = 0.0;    // logical
};

struct CapacityReport {
  bool closed_loop = true;
  double unit = 1.0;  // load 1 is so many requests at once, or requests per second
  CapacitySearch search;
  Capacity capacity;
  // Throughput and TPOT of a run half as long at the answer, against the run that decided; beyond
  // kSteadyChange, or where nobody finished, the workload never settled and the answer is not to be
  // trusted.
  double steady_change = 0.0;
  bool steady = true;
  // Open loop that does not keep up: what the first request in line lacks in the failing run, and
  // for which part of the time. Empty: nothing, decode itself is too slow.
  std::string saturated_by;
  double saturated_fraction = 0.0;
  int64_t whole_host_load = 0;  // host DRAM's ceiling at host_usable_fraction 1; 0 = no cold pool
  TradedMemory traded;
};
inline constexpr double kSteadyChange = 0.05;

// `inputs` as for Simulate; concurrency or rate of the scenario are replaced. Errors: a workload
// whose load is its own (arrivals TRACE), a run without an end, limits that contradict each other,
// those of Simulate.
absl::StatusOr<CapacityReport> PlanCapacity(const Scenario& scenario,
                                            const SimulationInputs& inputs,
                                            const CapacityOptions& options);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_PLANNER_PLAN_CAPACITY_H_

#include "sim/planner/plan_capacity.h"

#include <algorithm>
#include <cmath>

#include "reports/schema/metrics.h"
#include "sim/base/status_macros.h"
#include "sim/base/units.h"
#include "sim/engine/memory_plan.h"
#include "sim/model/footprint.h"
#include "sim/model/step_model.h"
#include "sim/planner/ceilings.h"

namespace tierscope {
namespace {

// Part of the time for which somebody may wait for memory before a load counts as not admitted.
constexpr double kAdmissionWaitMax = 0.01;
// Requests that pile up per second, as a part of those that arrive, before a rate counts as not
// carried.
constexpr double kBacklogMax = 0.02;

struct RequestShape {
  int64_t context_tokens = 0;
  int64_t output_tokens = 0;
  bool uniform = true;
};

// The largest request of the workload, and whether all are like it.
RequestShape LargestRequest(const Workload& workload) {
  RequestShape shape{workload.context_tokens(), workload.output_tokens(), true};
  if (workload.has_context_tokens() && workload.has_output_tokens()) return shape;
  shape.uniform = !workload.has_trace() && workload.classes_size() <= 1;
  for (const RequestClass& c : workload.classes()) {
    if (!workload.has_context_tokens())
      shape.context_tokens = std::max(shape.context_tokens, c.context_tokens());
    if (!workload.has_output_tokens())
      shape.output_tokens = std::max(shape.output_tokens, c.output_tokens());
  }
  return shape;
}

void AddResourceLimits(const Scenario& scenario, std::vector<Limit>* limits) {
  limits->push_back({"admission_wait_fraction.hbm", true, kAdmissionWaitMax, "HBM"});
  if (!NeedsDemand(scenario)) return;
  limits->push_back({"admission_wait_fraction.host", true, kAdmissionWaitMax, "host DRAM"});
  limits->push_back({"admission_wait_fraction.reserve", true, kAdmissionWaitMax, "page reserve"});
}

void AddSloLimits(const Engine& engine, std::vector<Limit>* limits) {
  if (!engine.has_slo()) return;
  if (engine.slo().has_ttft_ms()) {
    limits->push_back({"ttft_ms_p99", true, engine.slo().ttft_ms(), "TTFT (engine.slo)"});
  }
  if (engine.slo().has_tpot_ms()) {
    limits->push_back({"tpot_ms_p99", true, engine.slo().tpot_ms(), "TPOT (engine.slo)"});
  }
}

absl::Status CheckWorkload(const Scenario& scenario) {
  const Workload& workload = scenario.workload();
  if (workload.arrivals() == Workload::TRACE) {
    return absl::InvalidArgumentError(
        "workload.arrivals TRACE: the trace sets the load; set workload.arrivals to CLOSED_LOOP, "
        "POISSON or GAMMA");
  }
  if (scenario.engine().simulated_s() <= 0) {
    return absl::InvalidArgumentError(
        "engine.simulated_s 0: a load is judged over a fixed time; set engine.simulated_s");
  }
  return absl::OkStatus();
}

double ValueOf(const RunResult& result, absl::string_view name) {
  const Metric* metric = FindMetric(result, name);
  return metric != nullptr && HasValue(*metric) ? metric->value() : 0.0;
}

TradedMemory Traded(const Scenario& scenario, const MemoryPlan& plan, const RequestShape& shape) {
  const int64_t tokens = shape.context_tokens + shape.output_tokens;
  TradedMemory traded;
  traded.full_hbm_gib_per_request = ToGiB(FullKvBudgetBytes(scenario.model(), tokens));
  if (!plan.tiered) {
    traded.hbm_gib_per_request = traded.full_hbm_gib_per_request;
    return traded;
  }
  traded.hbm_gib_per_request =
      ToGiB(plan.BudgetBytes(tokens) + plan.live_pages_max * plan.page_bytes);
  traded.host_gib_per_request =
      ToGiB(CeilDiv(tokens, plan.page_tokens) * plan.host_page_bytes_node);
  const StepTimeModel step_model(scenario);
  traded.level1_gflop_per_token = step_model.Level1Flop(tokens * kPageEntries / plan.page_tokens) /
                                  1e9 / scenario.policy().tau_steps();
  return traded;
}

class Planner {
 public:
  Planner(const Scenario& scenario, const SimulationInputs& inputs, const CapacityOptions& options)
      : scenario_(scenario), inputs_(inputs), options_(options) {
    report_.closed_loop = scenario.workload().arrivals() == Workload::CLOSED_LOOP;
    report_.unit = report_.closed_loop       ? 1.0
                   : options.rate_step > 0.0 ? options.rate_step
                                             : scenario.workload().requests_per_s() / 100.0;
  }

  absl::StatusOr<CapacityReport> Plan() {
    TIERSCOPE_RETURN_IF_ERROR(CheckWorkload(scenario_));
    TIERSCOPE_ASSIGN_OR_RETURN(const MemoryPlan plan, MakeMemoryPlan(scenario_));
    const RequestShape shape = LargestRequest(scenario_.workload());
    FillSearch(plan, shape);
    TIERSCOPE_ASSIGN_OR_RETURN(report_.capacity, FindCapacity(report_.search, [this](int64_t load) {
                                 return Run(load, 1.0);
                               }));
    TIERSCOPE_RETURN_IF_ERROR(CheckSteady());
    report_.traded = Traded(scenario_, plan, shape);
    return std::move(report_);
  }

 private:
  // Equal requests of a closed loop are bounded by arithmetic; where they differ, or come by
  // themselves, a run shows whether somebody waits.
  void FillSearch(const MemoryPlan& plan, const RequestShape& shape) {
    CapacitySearch& search = report_.search;
    search.load_max = options_.load_max;
    search.limits = options_.limits;
    AddSloLimits(scenario_.engine(), &search.limits);
    const int64_t tokens = shape.context_tokens + shape.output_tokens;
    if (report_.closed_loop && shape.uniform) {
      search.ceilings = AdmissionCeilings(scenario_, plan, tokens);
      if (plan.tiered) report_.whole_host_load = WholeHostCeiling(scenario_, plan, tokens);
    } else if (report_.closed_loop) {
      AddResourceLimits(scenario_, &search.limits);
    } else {
      search.limits.push_back({"backlog_growth", true, kBacklogMax, "keeps up with arrivals"});
    }
  }

  absl::StatusOr<RunResult> Run(int64_t load, double longer) {
    Scenario scenario = scenario_;
    if (report_.closed_loop) {
      scenario.mutable_workload()->set_concurrency(static_cast<int32_t>(load));
    } else {
      scenario.mutable_workload()->set_requests_per_s(static_cast<double>(load) * report_.unit);
    }
    scenario.mutable_engine()->set_simulated_s(scenario_.engine().simulated_s() * longer);
    TIERSCOPE_ASSIGN_OR_RETURN(Simulation simulation, Simulate(scenario, inputs_));
    return std::move(simulation.result);
  }

  absl::Status CheckSteady() {
    const LoadPoint* point = report_.capacity.PointAt(report_.capacity.load);
    if (point == nullptr) return absl::OkStatus();
    TIERSCOPE_ASSIGN_OR_RETURN(const RunResult longer, Run(point->load, 2.0));
    for (const char* name : {"throughput_tok_per_s", "tpot_ms_mean"}) {
      const double base = ValueOf(point->result, name);
      if (base <= 0.0) continue;
      report_.steady_change =
          std::max(report_.steady_change, std::abs(ValueOf(longer, name) / base - 1.0));
    }
    report_.steady = report_.steady_change <= kSteadyChange;
    return absl::OkStatus();
  }

  const Scenario& scenario_;
  const SimulationInputs& inputs_;
  const CapacityOptions& options_;
  CapacityReport report_;
};

}  // namespace

absl::StatusOr<CapacityReport> PlanCapacity(const Scenario& scenario,
                                            const SimulationInputs& inputs,
                                            const CapacityOptions& options) {
  return Planner(scenario, inputs, options).Plan();
}

}  // namespace tierscope

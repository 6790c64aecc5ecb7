#include "sim/planner/plan_capacity.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

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
// Both are small parts of a run, in which chance weighs much.
constexpr double kResourceNoise = 0.5;
// Runs beyond a lifted resource only name what is behind it: a quarter as long, unless that is
// short.
constexpr double kLiftedLength = 0.25;
constexpr double kLiftedLengthMinS = 600.0;

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

// Whether so many users are so many equal requests that hold memory at once: arithmetic then bounds
// them. Who thinks or is prefilled elsewhere holds none; an optimistic promise grows; replicas in
// turn, or by prefixes, do not stay evenly full.
bool AllAdmittedAtOnce(const Scenario& scenario, const RequestShape& shape) {
  const Workload& workload = scenario.workload();
  const Engine& engine = scenario.engine();
  return workload.arrivals() == Workload::CLOSED_LOOP && shape.uniform && workload.think_s() == 0 &&
         engine.prefill() != Engine::DISAGGREGATED && engine.admit() == Engine::FULL &&
         (engine.replicas() == 1 ? engine.routing() != Engine::PREFIX_AWARE
                                 : engine.routing() == Engine::LEAST_LOADED);
}

void AddResourceLimits(const Scenario& scenario, std::vector<Limit>* limits) {
  const auto add = [limits](const char* name, const char* label, Bottleneck resource) {
    limits->push_back({absl::StrCat("admission_wait_fraction.", name), true, kAdmissionWaitMax,
                       label, resource, kResourceNoise});
  };
  add("hbm", "HBM", Bottleneck::kHbm);
  if (HasColdPool(scenario.policy().kind())) add("host", "host DRAM", Bottleneck::kHost);
  if (HasReserve(scenario.policy().kind())) add("reserve", "page reserve", Bottleneck::kReserve);
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
  if (workload.request_limit() > 0) {
    return absl::InvalidArgumentError(
        "workload.request_limit: a load is judged while requests keep coming; set it to 0");
  }
  return absl::OkStatus();
}

// A TTFT that no run will have is known before the first.
absl::Status CheckSlo(const Engine& engine) {
  if (engine.slo().has_ttft_ms() && engine.prefill() == Engine::NONE) {
    return absl::InvalidArgumentError(
        "engine.slo.ttft_ms: engine.prefill NONE gives no TTFT; set engine.prefill or drop the "
        "limit");
  }
  return absl::OkStatus();
}

// The scenario with far more of a resource than the search asks for.
void Lift(Bottleneck resource, Scenario* scenario) {
  constexpr int64_t kFactor = 8;
  Policy& policy = *scenario->mutable_policy();
  Hardware& hardware = *scenario->mutable_hardware();
  switch (resource) {
    case Bottleneck::kHbm:
      hardware.set_hbm_bytes(hardware.hbm_bytes() * kFactor);
      return;
    case Bottleneck::kHost:
      scenario->mutable_node()->set_host_bytes(scenario->node().host_bytes() * kFactor);
      return;
    case Bottleneck::kReserve:
      policy.set_reserve_entries(policy.reserve_entries() * kFactor);
      policy.set_index_key_pool_entries(policy.index_key_pool_entries() * kFactor);
      hardware.set_hbm_bytes(hardware.hbm_bytes() * kFactor);
      return;
    case Bottleneck::kNone:
    case Bottleneck::kGraphBatch:    // beyond the last graph a batch is not padded
    case Bottleneck::kRequestSlots:  // a constant of FlashMemory's code
      return;
  }
}

double ValueOf(const RunResult& result, absl::string_view name) {
  const Metric* metric = FindMetric(result, name);
  return metric != nullptr && HasValue(*metric) ? metric->value() : 0.0;
}

TradedMemory Traded(const Scenario& scenario, const MemoryPlan& plan, const RequestShape& shape,
                    int64_t grown_pages_max) {
  const int64_t tokens = shape.context_tokens + shape.output_tokens;
  TradedMemory traded;
  traded.tokens = tokens;
  if (tokens == 0) return traded;
  traded.full_hbm_gib_per_request = ToGiB(FullKvBudgetBytes(scenario.model(), tokens));
  if (plan.placement == KvPlacement::kAllInHbm) {
    traded.hbm_gib_per_request = traded.full_hbm_gib_per_request;
    return traded;
  }
  traded.hbm_gib_per_request =
      ToGiB(plan.PromisedBytes(1, tokens) + plan.LivePages(shape.context_tokens, grown_pages_max) *
                                                (plan.page_bytes + plan.page_index_bytes));
  traded.host_gib_per_request =
      ToGiB(plan.HostPages(shape.context_tokens, shape.output_tokens) * plan.host_page_bytes_node);
  if (plan.placement != KvPlacement::kTiered) return traded;
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
    TIERSCOPE_RETURN_IF_ERROR(CheckSlo(scenario_.engine()));
    TIERSCOPE_ASSIGN_OR_RETURN(const MemoryPlan plan, MakeMemoryPlan(scenario_));
    const RequestShape shape = LargestRequest(scenario_.workload());
    FillSearch(plan, shape);
    TIERSCOPE_ASSIGN_OR_RETURN(
        report_.capacity, FindCapacity(report_.search, [this](int64_t load, Bottleneck lifted) {
          return lifted == Bottleneck::kNone ? Run(load, 1.0) : RunLifted(load, lifted);
        }));
    TIERSCOPE_RETURN_IF_ERROR(CheckSteady());
    if (!report_.closed_loop) NameSaturation();
    report_.traded = Traded(scenario_, plan, shape, GrownPagesMax(inputs_.demand));
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
    if (AllAdmittedAtOnce(scenario_, shape)) {
      const auto [context, output, uniform] = shape;
      search.ceilings =
          AdmissionCeilings(scenario_, plan, context, output, GrownPagesMax(inputs_.demand));
      if (plan.has_cold_pool) {
        report_.whole_host_load = WholeHostCeiling(scenario_, plan, context, output);
      }
    } else if (report_.closed_loop) {
      AddResourceLimits(scenario_, &search.limits);
      search.ceilings = GraphCeilings(scenario_);
    } else {
      search.limits.push_back({"backlog_growth", true, kBacklogMax, "keeps up with arrivals",
                               Bottleneck::kNone, kResourceNoise, true});
    }
  }

  Scenario AtLoad(int64_t load) const {
    Scenario scenario = scenario_;
    Workload& workload = *scenario.mutable_workload();
    if (report_.closed_loop) {
      workload.set_concurrency(static_cast<int32_t>(load));
      return scenario;
    }
    workload.set_requests_per_s(static_cast<double>(load) * report_.unit);
    for (const Ceiling& graph : GraphCeilings(scenario)) {  // no more decode at once
      const auto most = static_cast<int32_t>(graph.load / scenario.engine().replicas());
      const int32_t asked = workload.concurrency();
      workload.set_concurrency(asked == 0 ? most : std::min(asked, most));
    }
    return scenario;
  }

  absl::StatusOr<RunResult> Run(int64_t load, double length) const {
    Scenario scenario = AtLoad(load);
    scenario.mutable_engine()->set_simulated_s(scenario_.engine().simulated_s() * length);
    TIERSCOPE_ASSIGN_OR_RETURN(Simulation simulation, Simulate(scenario, inputs_));
    return std::move(simulation.result);
  }

  absl::StatusOr<RunResult> RunLifted(int64_t load, Bottleneck resource) const {
    Scenario scenario = AtLoad(load);
    Lift(resource, &scenario);
    const double whole_s = scenario_.engine().simulated_s();
    scenario.mutable_engine()->set_simulated_s(
        std::max(kLiftedLength * whole_s, std::min(whole_s, kLiftedLengthMinS)));
    TIERSCOPE_ASSIGN_OR_RETURN(Simulation simulation, Simulate(scenario, inputs_));
    return std::move(simulation.result);
  }

  absl::Status CheckSteady() {
    const LoadPoint* point = report_.capacity.PointAt(report_.capacity.load);
    if (point == nullptr) return absl::OkStatus();
    TIERSCOPE_ASSIGN_OR_RETURN(const RunResult half, Run(point->load, 0.5));
    for (const char* name : {"throughput_tok_per_s", "tpot_ms_mean"}) {
      const double whole = ValueOf(point->result, name);
      if (whole <= 0.0) {
        report_.steady = false;
        continue;
      }
      report_.steady_change =
          std::max(report_.steady_change, std::abs(ValueOf(half, name) / whole - 1.0));
    }
    report_.steady = report_.steady && report_.steady_change <= kSteadyChange;
    return absl::OkStatus();
  }

  void NameSaturation() {
    const LoadPoint* failing = report_.capacity.FirstFailing();
    if (failing == nullptr) return;
    constexpr std::pair<const char*, const char*> kResources[] = {
        {"admission_wait_fraction.slots", "requests that may decode at once"},
        {"admission_wait_fraction.hbm", "HBM"},
        {"admission_wait_fraction.host", "host DRAM"},
        {"admission_wait_fraction.reserve", "page reserve"}};
    for (const auto& [metric, label] : kResources) {
      const double part = ValueOf(failing->result, metric);
      if (part <= std::max(kAdmissionWaitMax, report_.saturated_fraction)) continue;
      report_.saturated_by = label;
      report_.saturated_fraction = part;
    }
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

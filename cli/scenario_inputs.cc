#include "cli/scenario_inputs.h"

#include "absl/strings/str_cat.h"
#include "cli/indexer_cache.h"

#include "scenarios/loader.h"
#include "sim/base/status_macros.h"

namespace tierscope::cli {

SimulationInputs ScenarioInputs::ForSimulation(Observer* observer) const {
  SimulationInputs simulation;
  simulation.demand = demand ? &*demand : nullptr;
  simulation.requests = requests ? &*requests : nullptr;
  simulation.indexer = indexer ? &*indexer : nullptr;
  simulation.observer = observer;
  return simulation;
}

absl::Status PrepareInputs(const std::string& path, const std::vector<std::string>& sets,
                           ScenarioInputs& inputs) {
  TIERSCOPE_ASSIGN_OR_RETURN(inputs.scenario, LoadScenario(path, sets));
  TIERSCOPE_RETURN_IF_ERROR(CheckMemory(inputs.scenario));
  if (!NeedsDemand(inputs.scenario)) return absl::OkStatus();
  TIERSCOPE_ASSIGN_OR_RETURN(inputs.attention,
                             FindAttentionTrace(inputs.scenario, DemandSpecOf(inputs.scenario)));
  return absl::OkStatus();
}

absl::Status LoadRequests(ScenarioInputs& inputs) {
  const Workload& workload = inputs.scenario.workload();
  if (!workload.has_trace()) return absl::OkStatus();
  RequestTraceOptions options;
  options.load_block_ids = NeedsBlockIds(inputs.scenario);
  TIERSCOPE_ASSIGN_OR_RETURN(inputs.requests, LoadRequestTrace(workload.trace(), options));
  return absl::OkStatus();
}

absl::Status LoadDemand(ScenarioInputs& inputs) {
  if (!NeedsDemand(inputs.scenario)) return absl::OkStatus();
  absl::StatusOr<WindowDemand> demand =
      DistilTrace(inputs.attention.path, DemandSpecOf(inputs.scenario));
  if (absl::IsDataLoss(demand.status()) && !inputs.scenario.workload().attention().has_trace()) {
    return absl::DataLossError(absl::StrCat(demand.status().message(),
                                            "; this one was generated: remove it and run again"));
  }
  TIERSCOPE_RETURN_IF_ERROR(demand.status());
  inputs.demand = *std::move(demand);
  return absl::OkStatus();
}

absl::Status LoadIndexer(ScenarioInputs& inputs) {
  if (!inputs.demand) return absl::OkStatus();
  TIERSCOPE_ASSIGN_OR_RETURN(inputs.indexer,
                             IndexerCountsOf(inputs.attention.path, inputs.demand->trace_digest,
                                             inputs.scenario.policy().tau_steps(), CacheFolder()));
  return absl::OkStatus();
}

}  // namespace tierscope::cli

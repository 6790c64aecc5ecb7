#include "cli/scenario_inputs.h"

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/demand_cache.h"
#include "cli/indexer_cache.h"

#include "scenarios/loader.h"
#include "sim/base/status_macros.h"

namespace tierscope::cli {
namespace {

// Every ready scenario takes it under every policy (scenarios/README.md); where nothing reads it
// the run notes that.
constexpr char kTakenByAll[] = "policy.threshold";

// Names the scenario where the message does not.
absl::Status InFile(const absl::Status& status, const std::string& path) {
  const auto message = absl::string_view(status.message());
  if (status.ok() || path.empty() || absl::StrContains(message, path)) return status;
  return absl::Status(status.code(), absl::StrCat(path, ": ", message));
}

absl::Status Prepare(const std::string& path, const std::vector<std::string>& sets,
                     ScenarioInputs* inputs, std::vector<UnusedField>* unused) {
  inputs->path = path;
  TIERSCOPE_ASSIGN_OR_RETURN(inputs->scenario, LoadScenario(path, sets, unused));
  return CheckMemory(inputs->scenario);
}

}  // namespace

SimulationInputs ScenarioInputs::ForSimulation(Observer* observer) const {
  SimulationInputs simulation;
  simulation.demand = demand ? &*demand : nullptr;
  simulation.requests = requests ? &*requests : nullptr;
  simulation.indexer = indexer ? &*indexer : nullptr;
  simulation.observer = observer;
  return simulation;
}

absl::StatusOr<std::vector<ScenarioInputs>> PrepareInputs(const std::vector<std::string>& paths,
                                                          const std::vector<std::string>& sets,
                                                          bool unused_allowed) {
  std::vector<ScenarioInputs> all(paths.size());
  std::map<std::string, size_t> unused_by;  // field -> how many of the scenarios do not read it
  for (size_t i = 0; i < paths.size(); ++i) {
    std::vector<UnusedField> unused;
    const absl::Status status = Prepare(paths[i], sets, &all[i], &unused);
    // Of one scenario --set says enough.
    TIERSCOPE_RETURN_IF_ERROR(paths.size() > 1 ? InFile(status, paths[i]) : status);
    for (const UnusedField& field : unused) {
      if (unused_allowed || field.path == kTakenByAll) continue;
      if (++unused_by[field.path] < paths.size()) continue;
      return UnusedError(absl::StrCat("--set ", field.path), field);
    }
  }
  return all;
}

absl::Status FindAttention(ScenarioInputs& inputs) {
  if (!NeedsDemand(inputs.scenario)) return absl::OkStatus();
  absl::StatusOr<AttentionSource> found =
      FindAttentionTrace(inputs.scenario, DemandSpecOf(inputs.scenario));
  if (!found.ok()) return InFile(found.status(), inputs.path);
  inputs.attention = *std::move(found);
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
      DemandOf(inputs.attention.path, DemandSpecOf(inputs.scenario), CacheFolder());
  if (absl::IsDataLoss(demand.status()) && !inputs.scenario.workload().attention().has_trace()) {
    return absl::DataLossError(absl::StrCat(demand.status().message(),
                                            "; this one was generated: remove it and run again"));
  }
  if (absl::IsInvalidArgument(demand.status())) return InFile(demand.status(), inputs.path);
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

// A scenario with all that a simulation of it reads: what `run` and `capacity` share.
#ifndef TIERSCOPE_CLI_SCENARIO_INPUTS_H_
#define TIERSCOPE_CLI_SCENARIO_INPUTS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/attention_source.h"

#include "scenarios/scenario.pb.h"
#include "sim/demand/demand.h"
#include "sim/engine/observer.h"
#include "sim/engine/simulate.h"
#include "traces/indexer_quality.h"
#include "traces/request_trace.h"

namespace tierscope::cli {

struct ScenarioInputs {
  std::string path;           // of the scenario, for messages
  Scenario scenario;          // resolved and valid
  AttentionSource attention;  // empty where the policy needs none
  std::optional<WindowDemand> demand;
  std::optional<RequestTrace> requests;
  std::optional<std::vector<IndexerQualityCounts>> indexer;

  SimulationInputs ForSimulation(Observer* observer) const;
};

// Loads and checks the scenarios, one for each path. Error, too: a field of `sets` that none of
// them reads, unless `unused_allowed` or it is policy.threshold.
absl::StatusOr<std::vector<ScenarioInputs>> PrepareInputs(const std::vector<std::string>& paths,
                                                          const std::vector<std::string>& sets,
                                                          bool unused_allowed);
// Finds the attention trace, which may have to be generated.
absl::Status FindAttention(ScenarioInputs& inputs);
// Reads the request trace, where the scenario names one. Needs FindAttention, as the next does.
absl::Status LoadRequests(ScenarioInputs& inputs);
// Distils the attention trace, where the policy needs one.
absl::Status LoadDemand(ScenarioInputs& inputs);
// What the trace's indexer is worth in windows of tau. Needs LoadDemand.
absl::Status LoadIndexer(ScenarioInputs& inputs);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_SCENARIO_INPUTS_H_

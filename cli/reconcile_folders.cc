#include "cli/reconcile_folders.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/text_format.h"

#include "calibration/device_profile.h"
#include "reports/result_reader.h"
#include "reports/schema/metrics.h"
#include "reports/schema/phase_log.h"
#include "scenarios/fields.h"
#include "scenarios/loader.h"
#include "scenarios/text_file.h"
#include "sim/base/quoted.h"
#include "sim/base/status_macros.h"

namespace tierscope::cli {
namespace {

constexpr int kRepeatsMax = 1000;

// Counts of a whole run that follow from decisions alone.
constexpr const char* kCounts[] = {"pages_recalled", "pages_evicted", "pages_written_back",
                                   "selections",     "miss_inactive", "miss_evicted"};

// What only says how long things take, how a run is called, how far it goes and what is shown.
bool IsOfTiming(const std::string& path) {
  static constexpr absl::string_view kPrefixes[] = {"hardware.", "node.", "engine.slo."};
  static constexpr absl::string_view kFields[] = {"name",
                                                  "description",
                                                  "hardware",
                                                  "node",
                                                  "workload.trace",
                                                  "workload.attention.trace",
                                                  "policy.level1_fixed_ms",
                                                  "policy.publish_fixed_ms",
                                                  "engine.slo",
                                                  "engine.simulated_s",
                                                  "engine.level1_interference",
                                                  "engine.recall_interference",
                                                  "engine.gather_interference",
                                                  "engine.host_contention_ms_per_step",
                                                  "engine.timeline_s",
                                                  "engine.executed_ranks"};
  return std::any_of(std::begin(kPrefixes), std::end(kPrefixes),
                     [&](absl::string_view prefix) { return absl::StartsWith(path, prefix); }) ||
         std::find(std::begin(kFields), std::end(kFields), path) != std::end(kFields);
}

std::string ValueText(const FieldValue& value) {
  std::string text;
  google::protobuf::TextFormat::PrintFieldValueToString(*value.parent, value.field, value.index,
                                                        &text);
  return text;
}

absl::Status NotARun(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": ", what, "; give the folder of a finished run"));
}

absl::Status ReadResult(const std::string& path, RunFolderInputs* run) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  TIERSCOPE_ASSIGN_OR_RETURN(run->result, ParseResult(text, path));
  return absl::OkStatus();
}

// The repeats of a measured run, or its only table.
absl::StatusOr<std::vector<RunPhases>> ReadPhases(const std::string& folder) {
  std::vector<RunPhases> repeats;
  for (int repeat = 0; repeat < kRepeatsMax; ++repeat) {
    const std::string path = absl::StrCat(folder, "/", PhaseLogOfRepeat(repeat));
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) break;
    TIERSCOPE_ASSIGN_OR_RETURN(std::vector<PhaseSpan> spans, ReadPhaseLog(path));
    repeats.push_back({std::move(spans), path});
  }
  if (!repeats.empty()) return repeats;
  const std::string path = folder + "/phases.csv";
  TIERSCOPE_ASSIGN_OR_RETURN(std::vector<PhaseSpan> spans, ReadPhaseLog(path));
  repeats.push_back({std::move(spans), path});
  return repeats;
}

std::vector<std::pair<std::string, double>> CountsOf(const RunFolderInputs& run) {
  std::vector<std::pair<std::string, double>> counts;
  for (const char* name : kCounts) {
    const Metric* metric = FindMetric(run.result, name);
    if (metric != nullptr && metric->absent().empty()) counts.emplace_back(name, metric->value());
  }
  return counts;
}

absl::Status CheckKinds(const RunFolderInputs& simulated, const RunFolderInputs& measured) {
  if (simulated.result.kind() != "simulated") {
    return NotARun(simulated.path,
                   absl::StrCat("its result is of kind ", Quoted(simulated.result.kind()),
                                ", and a simulated one comes first"));
  }
  if (measured.result.kind() != "measured") {
    return NotARun(measured.path,
                   absl::StrCat("its result is of kind ", Quoted(measured.result.kind()),
                                ", and a measured one comes second"));
  }
  if (!simulated.scenario.hardware().has_measured_ops()) {
    return NotARun(simulated.path,
                   "it was simulated on no measured device (hardware.measured_ops), so nothing of "
                   "it predicts this machine");
  }
  TIERSCOPE_RETURN_IF_ERROR(CheckProfileUnchanged(simulated.scenario.hardware()));
  const std::string& device = simulated.scenario.hardware().measured_ops().device();
  if (device == measured.result.execution().device()) return absl::OkStatus();
  return NotARun(measured.path,
                 absl::StrCat("it ran on ", Quoted(measured.result.execution().device()),
                              ", and the profile is of ", Quoted(device)));
}

// A scenario that the profile was measured at is no test of it.
absl::Status CheckOffGrid(const Scenario& scenario) {
  const GridPlace place = PlaceInGrid(scenario);
  if (place.on_grid.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      scenario.name(), ": the profile was measured at this very point (",
      absl::StrJoin(place.on_grid, "; "),
      "), so agreement would show nothing; change workload.context_tokens, workload.concurrency or "
      "policy.page_kmax"));
}

ReconcileProvenance ProvenanceOf(const RunFolderInputs& simulated,
                                 const RunFolderInputs& measured) {
  const MeasuredOps& ops = simulated.scenario.hardware().measured_ops();
  return {{"device", measured.result.execution().device()},
          {"profile", ops.sha256()},
          {"profile taken", ops.taken()},
          {"tierscope", absl::StrCat("simulated ", simulated.result.version(), ", measured ",
                                     measured.result.version())},
          {"not validated",
           "all-reduce, host bandwidth shared among ranks, expert imbalance: one rank runs alone"}};
}

std::vector<std::string> FlagsOf(const Scenario& scenario) {
  const GridPlace place = PlaceInGrid(scenario);
  std::vector<std::string> flags;
  if (!place.outside.empty()) {
    flags.push_back(absl::StrCat("Outside the grid that the profile was measured on: ",
                                 absl::StrJoin(place.outside, "; "), "."));
  }
  return flags;
}

}  // namespace

absl::StatusOr<RunFolderInputs> ReadRunFolder(const std::string& path) {
  RunFolderInputs run;
  run.path = path;
  TIERSCOPE_RETURN_IF_ERROR(ReadResult(path + "/result.json", &run));
  TIERSCOPE_ASSIGN_OR_RETURN(run.scenario, LoadScenario(path + "/scenario.txtpb", {}));
  return run;
}

Fingerprint FingerprintOf(const RunFolderInputs& run) {
  Fingerprint fingerprint;
  VisitSetFields(run.scenario, "", [&](const std::string& path, const FieldValue& value) {
    const bool message =
        value.field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE;
    if (!message && !IsOfTiming(path)) fingerprint.emplace_back(path, ValueText(value));
  });
  fingerprint.emplace_back("hardware.measured_ops.sha256",
                           run.scenario.hardware().measured_ops().sha256());
  for (const Input& input : run.result.inputs()) {
    const bool modelled = input.role() == "model" || input.role() == "device";  // field by field
    // What a live run recorded of itself is the trace that its prediction replays.
    const bool recorded = input.role() == "recording";
    if (!modelled) {
      fingerprint.emplace_back(recorded ? "attention trace" : input.role(), input.digest());
    }
  }
  return fingerprint;
}

absl::Status CheckPredictable(const std::string& path, const std::vector<std::string>& sets) {
  TIERSCOPE_ASSIGN_OR_RETURN(const Scenario scenario, LoadScenario(path, sets));
  TIERSCOPE_RETURN_IF_ERROR(CheckProfileUnchanged(scenario.hardware()));
  return CheckOffGrid(scenario);
}

absl::StatusOr<FolderReconciliation> ReconcileFolders(const std::string& simulated_path,
                                                      const std::string& measured_path) {
  TIERSCOPE_ASSIGN_OR_RETURN(const RunFolderInputs simulated, ReadRunFolder(simulated_path));
  TIERSCOPE_ASSIGN_OR_RETURN(const RunFolderInputs measured, ReadRunFolder(measured_path));
  TIERSCOPE_RETURN_IF_ERROR(CheckKinds(simulated, measured));
  TIERSCOPE_RETURN_IF_ERROR(
      CheckSameFingerprint(FingerprintOf(simulated), FingerprintOf(measured)));
  TIERSCOPE_RETURN_IF_ERROR(CheckOffGrid(simulated.scenario));
  const ReconcileBounds* bounds = FindReconcileBounds(measured.result.execution().backend());
  if (bounds == nullptr) {
    return NotARun(measured.path, absl::StrCat("there are no bounds for a backend ",
                                               Quoted(measured.result.execution().backend())));
  }
  ReconcileInput input;
  input.name = simulated.scenario.name();
  input.bounds = *bounds;
  TIERSCOPE_ASSIGN_OR_RETURN(std::vector<RunPhases> phases, ReadPhases(simulated_path));
  input.simulated = std::move(phases.front());
  TIERSCOPE_ASSIGN_OR_RETURN(input.repeats, ReadPhases(measured_path));
  input.simulated_counts = CountsOf(simulated);
  input.measured_counts = CountsOf(measured);
  const Policy& policy = simulated.scenario.policy();
  input.replays = policy.level1() == Policy::SYNC || policy.kind() == Policy::FULL;
  input.from_step = int64_t{simulated.scenario.engine().warmup_windows()} * policy.tau_steps();
  input.flags = FlagsOf(simulated.scenario);
  FolderReconciliation folders;
  TIERSCOPE_ASSIGN_OR_RETURN(folders.result, Reconcile(input));
  folders.provenance = ProvenanceOf(simulated, measured);
  return folders;
}

}  // namespace tierscope::cli

#include "cli/reconcile_folders.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/text_format.h"
#include "simdjson.h"

#include "calibration/device_profile.h"
#include "reports/schema/phase_log.h"
#include "scenarios/fields.h"
#include "scenarios/loader.h"
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

std::string TextOf(const simdjson::dom::object& object, const char* key) {
  std::string_view text;
  return object[key].get(text) == simdjson::SUCCESS ? std::string(text) : "";
}

void ReadInputs(const simdjson::dom::object& object, RunFolderInputs* run) {
  simdjson::dom::array inputs;
  if (object["inputs"].get(inputs) != simdjson::SUCCESS) return;
  for (const simdjson::dom::element element : inputs) {
    simdjson::dom::object input;
    if (element.get(input) != simdjson::SUCCESS) continue;
    run->inputs.emplace_back(TextOf(input, "role"), TextOf(input, "digest"));
  }
}

void ReadMetrics(const simdjson::dom::object& object, RunFolderInputs* run) {
  simdjson::dom::object metrics;
  if (object["metrics"].get(metrics) != simdjson::SUCCESS) return;
  for (const auto& [name, metric] : metrics) {
    double value = 0.0;
    if (metric["value"].get(value) != simdjson::SUCCESS) continue;
    run->metrics.emplace_back(std::string(name), value);
  }
}

absl::Status ReadResult(const std::string& path, RunFolderInputs* run) {
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  const auto error = parser.load(path).get(object);
  if (error != simdjson::SUCCESS) return NotARun(path, simdjson::error_message(error));
  run->kind = TextOf(object, "kind");
  run->version = TextOf(object, "version");
  ReadInputs(object, run);
  ReadMetrics(object, run);
  simdjson::dom::object execution;
  if (object["execution"].get(execution) != simdjson::SUCCESS) return absl::OkStatus();
  run->backend = TextOf(execution, "backend");
  run->device = TextOf(execution, "device");
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
    for (const auto& [metric, value] : run.metrics) {
      if (metric == name) counts.emplace_back(metric, value);
    }
  }
  return counts;
}

absl::Status CheckKinds(const RunFolderInputs& simulated, const RunFolderInputs& measured) {
  if (simulated.kind != "simulated") {
    return NotARun(simulated.path, absl::StrCat("its result is of kind ", Quoted(simulated.kind),
                                                ", and a simulated one comes first"));
  }
  if (measured.kind != "measured") {
    return NotARun(measured.path, absl::StrCat("its result is of kind ", Quoted(measured.kind),
                                               ", and a measured one comes second"));
  }
  if (!simulated.scenario.hardware().has_measured_ops()) {
    return NotARun(simulated.path,
                   "it was simulated on no measured device (hardware.measured_ops), so nothing of "
                   "it predicts this machine");
  }
  TIERSCOPE_RETURN_IF_ERROR(CheckProfileUnchanged(simulated.scenario.hardware()));
  const std::string& device = simulated.scenario.hardware().measured_ops().device();
  if (device == measured.device) return absl::OkStatus();
  return NotARun(measured.path, absl::StrCat("it ran on ", Quoted(measured.device),
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

Provenance ProvenanceOf(const RunFolderInputs& simulated, const RunFolderInputs& measured) {
  const MeasuredOps& ops = simulated.scenario.hardware().measured_ops();
  return {
      {"device", measured.device},
      {"profile", ops.sha256()},
      {"profile taken", ops.taken()},
      {"tierscope", absl::StrCat("simulated ", simulated.version, ", measured ", measured.version)},
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
  for (const auto& [role, digest] : run.inputs) fingerprint.emplace_back(role, digest);
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
  const ReconcileBounds* bounds = FindReconcileBounds(measured.backend);
  if (bounds == nullptr) {
    return NotARun(measured.path,
                   absl::StrCat("there are no bounds for a backend ", Quoted(measured.backend)));
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

#include "reports/compare/run_set.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"

#include "reports/compare/fingerprint.h"
#include "reports/host_metrics.h"
#include "reports/result_reader.h"
#include "reports/schema/metrics.h"
#include "sim/base/quoted.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

namespace fs = std::filesystem;

constexpr size_t kRunsMax = 10'000;  // of one side

// One result with the files beside it.
struct LoadedRun {
  std::string path;
  ReadResult read;
  std::string scenario_text;
  std::vector<MetricRepeats> samples;
};

bool IsThere(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

absl::StatusOr<LoadedRun> LoadFolder(const fs::path& folder, bool simulated_only) {
  LoadedRun run;
  run.path = folder.string();
  const std::string result_path = (folder / "result.json").string();
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string text, ReadResultFile(result_path));
  TIERSCOPE_ASSIGN_OR_RETURN(std::vector<ReadResult> results, ParseResults(text, result_path));
  if (results.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(result_path, ": has ", results.size(), " results; a run folder has one"));
  }
  run.read = std::move(results[0]);
  if (IsThere(folder / "scenario.txtpb")) {
    TIERSCOPE_ASSIGN_OR_RETURN(run.scenario_text,
                               ReadResultFile((folder / "scenario.txtpb").string()));
  }
  if (simulated_only) return run;
  if (const fs::path path = folder / "host.json"; IsThere(path)) {
    TIERSCOPE_ASSIGN_OR_RETURN(const std::string host, ReadResultFile(path.string()));
    TIERSCOPE_ASSIGN_OR_RETURN(run.read.host, ParseHost(host, path.string()));
    run.read.has_host = true;
  }
  if (const fs::path path = folder / "samples.csv"; IsThere(path)) {
    TIERSCOPE_ASSIGN_OR_RETURN(const std::string samples, ReadResultFile(path.string()));
    TIERSCOPE_ASSIGN_OR_RETURN(run.samples, ParseSamples(samples, path.string()));
  }
  return run;
}

absl::StatusOr<std::vector<LoadedRun>> LoadFile(const std::string& path) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string text, ReadResultFile(path));
  TIERSCOPE_ASSIGN_OR_RETURN(std::vector<ReadResult> results, ParseResults(text, path));
  std::vector<LoadedRun> runs;
  for (ReadResult& read : results) runs.push_back({path, std::move(read), "", {}});
  return runs;
}

// Folders below `path` that hold a finished run, by name.
absl::StatusOr<std::vector<fs::path>> FoldersOf(const std::string& path) {
  if (IsThere(fs::path(path) / "result.json")) return std::vector<fs::path>{path};
  std::vector<fs::path> folders;
  std::error_code error;
  for (fs::directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
    if (IsThere(at->path() / "result.json")) folders.push_back(at->path());
    if (folders.size() > kRunsMax) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": more than ", kRunsMax, " runs"));
    }
  }
  if (folders.empty()) {
    return absl::NotFoundError(
        absl::StrCat(path,
                     ": no result.json in it or in a folder of it; give a run folder, a "
                     "folder of run folders or a file with results"));
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

absl::StatusOr<std::vector<LoadedRun>> LoadRuns(const std::string& path, bool simulated_only) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    return absl::NotFoundError(absl::StrCat(path, ": is not there; check the path"));
  }
  if (!fs::is_directory(status)) return LoadFile(path);
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<fs::path> folders, FoldersOf(path));
  std::vector<LoadedRun> runs;
  for (const fs::path& folder : folders) {
    TIERSCOPE_ASSIGN_OR_RETURN(LoadedRun run, LoadFolder(folder, simulated_only));
    runs.push_back(std::move(run));
  }
  return runs;
}

bool IsSimulated(const RunResult& result) { return result.kind() == "simulated"; }

MetricSamples* FindOrAdd(const std::string& name, const std::string& unit, ScenarioRuns* scenario) {
  for (MetricSamples& metric : scenario->metrics) {
    if (metric.name == name) return &metric;
  }
  scenario->metrics.push_back({name, unit, true, {}, ""});
  return &scenario->metrics.back();
}

absl::Status AddSamples(const LoadedRun& run, ScenarioRuns* scenario) {
  for (const MetricRepeats& repeats : run.samples) {
    const Metric* of_result = FindMetric(run.read.result, repeats.metric);
    if (of_result != nullptr && IsSimulated(run.read.result)) {
      return absl::InvalidArgumentError(
          absl::StrCat(run.path, "/samples.csv: ", Quoted(repeats.metric),
                       " is simulated in result.json and cannot have repeats; remove its rows"));
    }
    MetricSamples* metric =
        FindOrAdd(repeats.metric, of_result == nullptr ? "" : of_result->unit(), scenario);
    metric->values.insert(metric->values.end(), repeats.values.begin(), repeats.values.end());
    metric->absent.clear();
  }
  return absl::OkStatus();
}

bool HasSamples(const LoadedRun& run, const std::string& metric) {
  return std::any_of(run.samples.begin(), run.samples.end(),
                     [&](const MetricRepeats& repeats) { return repeats.metric == metric; });
}

// What was measured in one run, a sample each; samples.csv has them all and outranks the others.
absl::Status AddMeasured(const LoadedRun& run, bool simulated_only, ScenarioRuns* scenario) {
  if (simulated_only) return absl::OkStatus();
  if (!IsSimulated(run.read.result)) {
    for (const Metric& metric : run.read.result.metrics()) {
      if (HasSamples(run, metric.name())) continue;
      MetricSamples* samples = FindOrAdd(metric.name(), metric.unit(), scenario);
      if (HasValue(metric)) {
        samples->values.push_back(metric.value());
      } else if (samples->values.empty()) {
        samples->absent = metric.absent();
      }
    }
  }
  for (const auto& [name, value] : run.read.host.metrics) {
    if (HasSamples(run, name)) continue;
    const auto* def = std::find_if(std::begin(kHostMetrics), std::end(kHostMetrics),
                                   [&](const HostMetricDef& d) { return d.name == name; });
    FindOrAdd(name, std::string(def->unit), scenario)->values.push_back(value);
  }
  return AddSamples(run, scenario);
}

void AddFirst(const LoadedRun& run, ScenarioRuns* scenario) {
  scenario->identity = run.read.result;
  scenario->identity.clear_metrics();
  scenario->path = run.path;
  scenario->scenario_text = run.scenario_text;
  scenario->cpu = run.read.host.cpu;
  scenario->build_type = run.read.host.build_type;
  if (!IsSimulated(run.read.result)) return;
  for (const Metric& metric : run.read.result.metrics()) {
    MetricSamples samples = {metric.name(), metric.unit(), false, {}, metric.absent()};
    if (HasValue(metric)) samples.values.push_back(metric.value());
    scenario->metrics.push_back(std::move(samples));
  }
}

absl::Status NotRepeats(const ScenarioRuns& scenario, const LoadedRun& run,
                        absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(
      run.path, ": is of the same scenario ", Quoted(run.read.result.scenario()), " as ",
      scenario.path, " and differs in ", what, "; compare them apart, or give each its own name"));
}

// A run beside others of its scenario: the same fingerprints and, where simulated, the same values.
absl::Status CheckRepeat(const ScenarioRuns& scenario, const LoadedRun& run, bool simulated_only) {
  ScenarioRuns other;
  AddFirst(run, &other);
  const std::vector<FingerprintDifference> differences = CompareFingerprints(scenario, other);
  if (!differences.empty()) return NotRepeats(scenario, run, differences[0].field);
  if (!simulated_only && scenario.cpu != other.cpu) return NotRepeats(scenario, run, "host.cpu");
  if (!simulated_only && scenario.build_type != other.build_type) {
    return NotRepeats(scenario, run, "host.build_type");
  }
  for (const MetricSamples& metric : other.metrics) {
    const MetricSamples* first = scenario.Find(metric.name);
    if (first == nullptr || first->values != metric.values) {
      return NotRepeats(scenario, run, absl::StrCat("the simulated metric ", metric.name));
    }
  }
  return absl::OkStatus();
}

absl::Status Add(const LoadedRun& run, bool simulated_only, RunSet* set) {
  if (simulated_only && !IsSimulated(run.read.result)) {
    return absl::InvalidArgumentError(absl::StrCat(run.path, ": kind ",
                                                   Quoted(run.read.result.kind()),
                                                   " was measured; leave out --simulated"));
  }
  const auto at = std::find_if(set->scenarios.begin(), set->scenarios.end(), [&](const auto& s) {
    return s.identity.scenario() == run.read.result.scenario();
  });
  if (at != set->scenarios.end()) {
    TIERSCOPE_RETURN_IF_ERROR(CheckRepeat(*at, run, simulated_only));
    ++at->run_count;
    return AddMeasured(run, simulated_only, &*at);
  }
  ScenarioRuns& scenario = set->scenarios.emplace_back();
  AddFirst(run, &scenario);
  scenario.run_count = 1;
  return AddMeasured(run, simulated_only, &scenario);
}

}  // namespace

const MetricSamples* ScenarioRuns::Find(const std::string& metric) const {
  for (const MetricSamples& samples : metrics) {
    if (samples.name == metric) return &samples;
  }
  return nullptr;
}

const ScenarioRuns* RunSet::Find(const std::string& scenario) const {
  for (const ScenarioRuns& runs : scenarios) {
    if (runs.identity.scenario() == scenario) return &runs;
  }
  return nullptr;
}

absl::StatusOr<RunSet> LoadRunSet(const std::string& path, bool simulated_only) {
  RunSet set;
  set.path = path;
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<LoadedRun> runs, LoadRuns(path, simulated_only));
  for (const LoadedRun& run : runs) {
    TIERSCOPE_RETURN_IF_ERROR(Add(run, simulated_only, &set));
  }
  return set;
}

}  // namespace tierscope

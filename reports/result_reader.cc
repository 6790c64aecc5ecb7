#include "reports/result_reader.h"

#include <cerrno>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "simdjson.h"

#include "reports/atomic_file.h"
#include "reports/host_metrics.h"
#include "reports/json_members.h"
#include "reports/schema/metrics.h"
#include "sim/base/quoted.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

constexpr size_t kMetricsMax = 10'000;
constexpr size_t kNameBytesMax = 200;
constexpr size_t kSamplesMax = 1'000'000;
constexpr absl::string_view kGiveAResult = "give a result.json of tierscope";

using simdjson::dom::element;
using simdjson::dom::object;

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

// Before all else: of another schema nothing else may be believed.
absl::Status CheckSchema(const JsonMembers& root, const std::string& path) {
  const int64_t version = root.Int("schema_version");
  if (!root.problem().status().ok() || version == kResultSchemaVersion) {
    return root.problem().status();
  }
  const bool newer = version > kResultSchemaVersion;
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": schema_version ", version, " is ", newer ? "newer" : "older", " than ",
                   kResultSchemaVersion, ", which this tierscope reads; ",
                   newer ? "use the tierscope that wrote it" : "run the scenario again"));
}

void ReadMetric(absl::string_view name, const JsonMembers& from, Metric* metric) {
  if (name.empty() || name.size() > kNameBytesMax || !IsPlainText(name)) {
    from.problem().FoundIn("metrics", absl::StrCat("has a metric named ", Quoted(name)));
  }
  metric->set_name(std::string(name));
  metric->set_unit(from.Text("unit"));
  if (from.Has("value") == from.Has("absent")) {
    from.problem().FoundIn(name, "has not one of a value and a reason why there is none");
  } else if (from.Has("value")) {
    metric->set_value(from.Number("value"));
  } else {
    metric->set_absent(from.Text("absent"));
    if (metric->absent().empty()) from.problem().FoundIn(name, "has neither value nor reason");
  }
}

void ReadMetrics(const JsonMembers& root, RunResult* result) {
  object metrics;
  if (root.element()["metrics"].get(metrics)) {
    return root.problem().FoundIn("metrics", "is no object");
  }
  std::set<std::string_view> names;
  for (const auto& [name, value] : metrics) {
    if (!names.insert(name).second) root.problem().FoundIn(ToAbsl(name), "stands there twice");
    if (names.size() > kMetricsMax) root.problem().FoundIn("metrics", "has more than 10,000");
    if (!root.problem().status().ok()) return;
    ReadMetric(ToAbsl(name), JsonMembers(value, &root.problem()), result->add_metrics());
  }
  if (names.empty()) root.problem().FoundIn("metrics", "is empty");
}

void ReadInputs(const JsonMembers& root, RunResult* result) {
  for (const JsonMembers& from : root.Objects("inputs")) {
    Input* input = result->add_inputs();
    input->set_role(from.Text("role"));
    input->set_name(from.Text("name"));
    input->set_digest(from.Text("digest"));
    input->set_provenance(from.Text("provenance"));
  }
}

void ReadFootprint(const JsonMembers& root, RunResult* result) {
  for (const JsonMembers& from : root.Objects("footprint")) {
    Pool* pool = result->add_footprint();
    pool->set_tier(from.Text("tier"));
    pool->set_pool(from.Text("pool"));
    pool->set_allocated_bytes(from.Int("allocated_bytes"));
    pool->set_in_use_bytes(from.Int("in_use_bytes"));
    pool->set_capacity_bytes(from.Int("capacity_bytes"));
  }
}

void ReadRemarks(const JsonMembers& root, RunResult* result) {
  for (const std::string_view note : root.List<std::string_view>("notes")) {
    result->add_notes(std::string(note));
  }
  for (const JsonMembers& from : root.Objects("violations")) {
    Violation* violation = result->add_violations();
    violation->set_what(from.Text("what"));
    violation->set_count(from.Int("count"));
  }
}

void ReadProfiles(const JsonMembers& root, RunResult* result) {
  for (const JsonMembers& from : root.Objects("profiles")) {
    Profile* profile = result->add_profiles();
    profile->set_index(from.Int32("index"));
    profile->set_prompt_tokens(from.Int("prompt_tokens"));
    profile->set_requests(from.Int("requests"));
    profile->set_wraps(from.Int("wraps"));
  }
}

// What a device says of itself; nothing of it on a CPU.
void ReadDevice(const JsonMembers& from, Execution* execution) {
  if (!from.Has("software")) return;
  execution->set_software(from.Text("software"));
  for (const std::string_view state : from.List<std::string_view>("device_states")) {
    execution->add_device_states(std::string(state));
  }
  for (const JsonMembers& beside : from.Objects("footprint_beside")) {
    Pool* pool = execution->add_footprint_beside();
    pool->set_pool(beside.Text("pool"));
    pool->set_allocated_bytes(beside.Int("allocated_bytes"));
  }
  execution->set_activity(from.Text("activity"));
  execution->set_step_ms_p50_traced(from.Number("step_ms_p50_traced"));
}

void ReadExecution(const JsonMembers& from, Execution* execution) {
  execution->set_backend(from.Text("backend"));
  execution->set_device(from.Text("device"));
  execution->set_decode_threads(from.Int32("decode_threads"));
  execution->set_sideband_threads(from.Int32("sideband_threads"));
  execution->set_mode(from.Text("mode"));
  execution->set_executed_ranks(from.Int32("executed_ranks"));
  execution->set_weight_format(from.Text("weight_format"));
  for (const double ms : from.List<double>("step_ms_p50_of_repeats")) {
    execution->add_step_ms_p50_of_repeats(ms);
  }
  execution->set_chosen_repeat(from.Int32("chosen_repeat"));
  execution->set_step_ms_p50_unprofiled(from.Number("step_ms_p50_unprofiled"));
  execution->set_step_ms_p50_without_ballast(from.Number("step_ms_p50_without_ballast"));
  execution->set_ballast_gflop_per_step(from.Number("ballast_gflop_per_step"));
  execution->set_level1_jobs(from.Int("level1_jobs"));
  execution->set_level1_joins(from.Int("level1_joins"));
  for (const int64_t jobs : from.List<int64_t>("publish_delay_steps")) {
    execution->add_publish_delay_steps(jobs);
  }
  for (const std::string_view what : from.List<std::string_view>("not_validated")) {
    execution->add_not_validated(std::string(what));
  }
  ReadDevice(from, execution);
}

void ReadIdentity(const JsonMembers& root, RunResult* result) {
  result->set_schema_version(kResultSchemaVersion);
  result->set_version(root.Text("version"));
  result->set_kind(root.Text("kind"));
  result->set_scenario(root.Text("scenario"));
  result->set_scenario_digest(root.Text("scenario_digest"));
  result->set_seed(root.Uint("seed"));
  result->set_event_digest(root.Text("event_digest"));
  if (result->scenario().empty() || result->scenario_digest().empty()) {
    root.problem().FoundIn("scenario", "or its digest is empty");
  }
}

HostFacts HostOf(const element& from) {
  HostFacts host;
  for (const HostMetricDef& def : kHostMetrics) {
    double value = 0;
    if (from[std::string_view(def.name.data(), def.name.size())].get(value) == simdjson::SUCCESS) {
      host.metrics.emplace_back(std::string(def.name), value);
    }
  }
  std::string_view text;
  if (from["cpu"].get(text) == simdjson::SUCCESS) host.cpu = std::string(text);
  if (from["build_type"].get(text) == simdjson::SUCCESS) host.build_type = std::string(text);
  return host;
}

absl::StatusOr<ReadResult> ResultOf(const element& value, const std::string& path,
                                    JsonProblem* problem) {
  const JsonMembers root(value, problem);
  TIERSCOPE_RETURN_IF_ERROR(CheckSchema(root, path));
  ReadResult read;
  ReadIdentity(root, &read.result);
  ReadInputs(root, &read.result);
  ReadMetrics(root, &read.result);
  ReadFootprint(root, &read.result);
  ReadRemarks(root, &read.result);
  ReadProfiles(root, &read.result);
  if (root.Has("execution")) {
    ReadExecution(root.Object("execution"), read.result.mutable_execution());
  }
  element host;
  read.has_host = value["host"].get(host) == simdjson::SUCCESS && host.is_object();
  if (read.has_host) read.host = HostOf(host);
  if (!problem->status().ok()) return problem->status();
  return read;
}

}  // namespace

absl::StatusOr<std::vector<ReadResult>> ParseResults(const std::string& text,
                                                     const std::string& path) {
  simdjson::dom::parser parser;
  JsonProblem problem(path, kGiveAResult);
  const element root = problem.Parse(text, &parser);
  if (!problem.status().ok()) return problem.status();
  std::vector<element> several = {root};
  simdjson::dom::array list;
  if (root.get(list) == simdjson::SUCCESS) several.assign(list.begin(), list.end());
  if (several.empty()) problem.Found("is an array without a result");
  if (!problem.status().ok()) return problem.status();
  std::vector<ReadResult> results;
  for (const element& value : several) {
    TIERSCOPE_ASSIGN_OR_RETURN(ReadResult one, ResultOf(value, path, &problem));
    results.push_back(std::move(one));
  }
  return results;
}

absl::StatusOr<RunResult> ParseResult(const std::string& text, const std::string& path) {
  TIERSCOPE_ASSIGN_OR_RETURN(std::vector<ReadResult> results, ParseResults(text, path));
  if (results.size() == 1) return std::move(results[0].result);
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": has ", results.size(), " results; give a file of one run"));
}

absl::StatusOr<HostFacts> ParseHost(const std::string& text, const std::string& path) {
  simdjson::dom::parser parser;
  JsonProblem problem(path, "give a host.json of tierscope");
  const element root = problem.Parse(text, &parser);
  if (problem.status().ok() && !root.is_object()) problem.Found("holds no object");
  if (!problem.status().ok()) return problem.status();
  return HostOf(root);
}

absl::StatusOr<std::string> ReadResultFile(const std::string& path) {
  std::error_code ignored;  // what cannot be looked at cannot be opened either
  if (std::filesystem::is_directory(path, ignored)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is a folder; ", kGiveAResult));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return FileError(errno, path, "open");
  std::string text;
  char block[64 << 10];
  while (file.read(block, sizeof block), file.gcount() > 0) {
    text.append(block, static_cast<size_t>(file.gcount()));
    if (text.size() > kResultBytesMax) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path, ": is larger than ", kResultBytesMax, " bytes; ", kGiveAResult));
    }
  }
  return text;
}

absl::StatusOr<std::vector<MetricRepeats>> ParseSamples(const std::string& text,
                                                        const std::string& path) {
  std::vector<std::string> order;
  std::map<std::string, std::map<int64_t, double>> samples;
  int64_t line_number = 0, rows = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    absl::ConsumeSuffix(&line, "\r");
    const auto wrong = [&](absl::string_view what) {
      return absl::InvalidArgumentError(absl::StrCat(path, ":", line_number, ": ", what));
    };
    if (line_number == 1) {
      if (line != "metric,repeat,value") return wrong("the header is not metric,repeat,value");
      continue;
    }
    if (line.empty()) continue;
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ',');
    if (fields.size() != 3) return wrong("a row has 3 fields: metric,repeat,value");
    int64_t repeat = 0;
    double value = 0;
    if (fields[0].empty() || fields[0].size() > kNameBytesMax || !IsPlainText(fields[0])) {
      return wrong(absl::StrCat(Quoted(fields[0]), " is no name of a metric"));
    }
    if (!absl::SimpleAtoi(fields[1], &repeat) || repeat < 0) {
      return wrong(absl::StrCat(Quoted(fields[1]), " is no repeat; give a whole number from 0 on"));
    }
    if (!absl::SimpleAtod(fields[2], &value) || !std::isfinite(value)) {
      return wrong(absl::StrCat(Quoted(fields[2]), " is no value; give a finite number"));
    }
    if (++rows > static_cast<int64_t>(kSamplesMax)) return wrong("more than 1,000,000 rows");
    auto [metric, fresh] = samples.try_emplace(std::string(fields[0]));
    if (fresh) order.push_back(metric->first);
    if (!metric->second.emplace(repeat, value).second) {
      return wrong(
          absl::StrCat("repeat ", repeat, " of ", Quoted(fields[0]), " stands there twice"));
    }
  }
  std::vector<MetricRepeats> repeats;
  for (const std::string& name : order) {
    repeats.push_back({name, {}});
    for (const auto& [repeat, value] : samples[name]) repeats.back().values.push_back(value);
  }
  return repeats;
}

}  // namespace tierscope

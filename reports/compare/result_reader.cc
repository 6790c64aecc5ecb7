#include "reports/compare/result_reader.h"

#include <cerrno>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "simdjson.h"

#include "reports/atomic_file.h"
#include "reports/compare/host_metrics.h"
#include "reports/schema/metrics.h"
#include "sim/base/quoted.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

constexpr size_t kMetricsMax = 10'000;
constexpr size_t kNameBytesMax = 200;
constexpr size_t kSamplesMax = 1'000'000;

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

absl::Status Wrong(absl::string_view path, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": ", what, "; give a result.json of tierscope"));
}

absl::Status BadMember(absl::string_view path, absl::string_view member, absl::string_view what) {
  return Wrong(path, absl::StrCat(Quoted(member), " ", what));
}

absl::StatusOr<std::string> StringMember(const object& from, const char* member,
                                         const std::string& path) {
  std::string_view text;
  if (from[member].get(text) != simdjson::SUCCESS) return BadMember(path, member, "is no text");
  return std::string(text);
}

absl::StatusOr<simdjson::dom::array> ArrayMember(const object& from, const char* member,
                                                 const std::string& path) {
  simdjson::dom::array array;
  if (from[member].get(array) != simdjson::SUCCESS) return BadMember(path, member, "is no array");
  return array;
}

absl::StatusOr<object> ObjectOf(const element& value, const char* what, const std::string& path) {
  object found;
  if (value.get(found) != simdjson::SUCCESS) return BadMember(path, what, "holds no object");
  return found;
}

// Before all else: of another schema nothing else may be believed.
absl::Status CheckSchema(const object& from, const std::string& path) {
  int64_t version = 0;
  if (from["schema_version"].get(version) != simdjson::SUCCESS) {
    return BadMember(path, "schema_version", "is no whole number");
  }
  if (version == kResultSchemaVersion) return absl::OkStatus();
  const bool newer = version > kResultSchemaVersion;
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": schema_version ", version, " is ", newer ? "newer" : "older", " than ",
                   kResultSchemaVersion, ", which this tierscope reads; ",
                   newer ? "compare with the tierscope that wrote it" : "run the scenario again"));
}

absl::Status ReadMetric(absl::string_view name, const element& value, const std::string& path,
                        Metric* metric) {
  if (name.empty() || name.size() > kNameBytesMax || !IsPlainText(name)) {
    return BadMember(path, "metrics", absl::StrCat("has a metric named ", Quoted(name)));
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const object members, ObjectOf(value, "metrics", path));
  metric->set_name(std::string(name));
  TIERSCOPE_ASSIGN_OR_RETURN(*metric->mutable_unit(), StringMember(members, "unit", path));
  double number = 0;
  std::string_view reason;
  const bool has_value = members["value"].get(number) == simdjson::SUCCESS;
  const bool has_reason = members["absent"].get(reason) == simdjson::SUCCESS && !reason.empty();
  if (has_value == has_reason || (has_value && !std::isfinite(number))) {
    return BadMember(path, name, "has not one of a value and a reason why there is none");
  }
  metric->set_value(number);
  metric->set_absent(std::string(reason));
  return absl::OkStatus();
}

absl::Status ReadMetrics(const object& from, const std::string& path, RunResult* result) {
  object metrics;
  if (from["metrics"].get(metrics) != simdjson::SUCCESS) {
    return BadMember(path, "metrics", "is no object");
  }
  std::set<std::string_view> names;
  for (const auto [name, value] : metrics) {
    if (!names.insert(name).second) return BadMember(path, ToAbsl(name), "stands there twice");
    if (names.size() > kMetricsMax) return BadMember(path, "metrics", "has more than 10,000");
    TIERSCOPE_RETURN_IF_ERROR(ReadMetric(ToAbsl(name), value, path, result->add_metrics()));
  }
  if (names.empty()) return BadMember(path, "metrics", "is empty");
  return absl::OkStatus();
}

absl::Status ReadInputs(const object& from, const std::string& path, RunResult* result) {
  TIERSCOPE_ASSIGN_OR_RETURN(const simdjson::dom::array inputs, ArrayMember(from, "inputs", path));
  for (const element value : inputs) {
    TIERSCOPE_ASSIGN_OR_RETURN(const object members, ObjectOf(value, "inputs", path));
    Input* input = result->add_inputs();
    TIERSCOPE_ASSIGN_OR_RETURN(*input->mutable_role(), StringMember(members, "role", path));
    TIERSCOPE_ASSIGN_OR_RETURN(*input->mutable_name(), StringMember(members, "name", path));
    TIERSCOPE_ASSIGN_OR_RETURN(*input->mutable_digest(), StringMember(members, "digest", path));
  }
  return absl::OkStatus();
}

absl::Status ReadViolations(const object& from, const std::string& path, RunResult* result) {
  TIERSCOPE_ASSIGN_OR_RETURN(const simdjson::dom::array violations,
                             ArrayMember(from, "violations", path));
  for (const element value : violations) {
    TIERSCOPE_ASSIGN_OR_RETURN(const object members, ObjectOf(value, "violations", path));
    TIERSCOPE_ASSIGN_OR_RETURN(*result->add_violations()->mutable_what(),
                               StringMember(members, "what", path));
  }
  return absl::OkStatus();
}

absl::Status ReadMembers(const object& from, const std::string& path, RunResult* result) {
  TIERSCOPE_RETURN_IF_ERROR(CheckSchema(from, path));
  result->set_schema_version(kResultSchemaVersion);
  TIERSCOPE_ASSIGN_OR_RETURN(*result->mutable_version(), StringMember(from, "version", path));
  TIERSCOPE_ASSIGN_OR_RETURN(*result->mutable_kind(), StringMember(from, "kind", path));
  TIERSCOPE_ASSIGN_OR_RETURN(*result->mutable_scenario(), StringMember(from, "scenario", path));
  TIERSCOPE_ASSIGN_OR_RETURN(*result->mutable_scenario_digest(),
                             StringMember(from, "scenario_digest", path));
  TIERSCOPE_ASSIGN_OR_RETURN(*result->mutable_event_digest(),
                             StringMember(from, "event_digest", path));
  if (result->scenario().empty() || result->scenario_digest().empty()) {
    return BadMember(path, "scenario", "or its digest is empty");
  }
  TIERSCOPE_RETURN_IF_ERROR(ReadInputs(from, path, result));
  TIERSCOPE_RETURN_IF_ERROR(ReadMetrics(from, path, result));
  return ReadViolations(from, path, result);
}

HostFacts HostOf(const object& from) {
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

absl::StatusOr<ReadResult> ResultOf(const element& value, const std::string& path) {
  TIERSCOPE_ASSIGN_OR_RETURN(const object members, ObjectOf(value, "the file", path));
  ReadResult read;
  TIERSCOPE_RETURN_IF_ERROR(ReadMembers(members, path, &read.result));
  object host;
  read.has_host = members["host"].get(host) == simdjson::SUCCESS;
  if (read.has_host) read.host = HostOf(host);
  return read;
}

absl::Status ParseJson(const std::string& text, const std::string& path,
                       simdjson::dom::parser* parser, element* root) {
  const simdjson::error_code error = parser->parse(text).get(*root);
  if (error == simdjson::SUCCESS) return absl::OkStatus();
  return Wrong(path, absl::StrCat("is no JSON (", simdjson::error_message(error), ")"));
}

}  // namespace

absl::StatusOr<std::vector<ReadResult>> ParseResults(const std::string& text,
                                                     const std::string& path) {
  simdjson::dom::parser parser;
  element root;
  TIERSCOPE_RETURN_IF_ERROR(ParseJson(text, path, &parser, &root));
  std::vector<ReadResult> results;
  simdjson::dom::array several;
  if (root.get(several) != simdjson::SUCCESS) {
    TIERSCOPE_ASSIGN_OR_RETURN(ReadResult one, ResultOf(root, path));
    results.push_back(std::move(one));
    return results;
  }
  for (const element value : several) {
    TIERSCOPE_ASSIGN_OR_RETURN(ReadResult one, ResultOf(value, path));
    results.push_back(std::move(one));
  }
  if (results.empty()) return Wrong(path, "is an array without a result");
  return results;
}

absl::StatusOr<HostFacts> ParseHost(const std::string& text, const std::string& path) {
  simdjson::dom::parser parser;
  element root;
  TIERSCOPE_RETURN_IF_ERROR(ParseJson(text, path, &parser, &root));
  TIERSCOPE_ASSIGN_OR_RETURN(const object members, ObjectOf(root, "the file", path));
  return HostOf(members);
}

absl::StatusOr<std::string> ReadResultFile(const std::string& path) {
  std::error_code ignored;  // what cannot be looked at cannot be opened either
  if (std::filesystem::is_directory(path, ignored)) return Wrong(path, "is a folder");
  std::ifstream file(path, std::ios::binary);
  if (!file) return FileError(errno, path, "open");
  std::string text;
  char block[64 << 10];
  while (file.read(block, sizeof block), file.gcount() > 0) {
    text.append(block, static_cast<size_t>(file.gcount()));
    if (text.size() > kResultBytesMax) {
      return Wrong(path, absl::StrCat("is larger than ", kResultBytesMax, " bytes"));
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

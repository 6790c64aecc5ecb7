#include "reports/result_reader.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "simdjson.h"

namespace tierscope {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

// Collects the first problem, so that a reader is a list of members.
class Members {
 public:
  Members(const element& from, std::string* problem) : from_(from), problem_(problem) {}

  std::string Text(const char* key) {
    std::string_view value;
    if (from_[key].get(value)) Miss(key);
    return std::string(value);
  }
  int64_t Int(const char* key) {
    int64_t value = 0;
    if (from_[key].get(value)) Miss(key);
    return value;
  }
  uint64_t Uint(const char* key) {
    uint64_t value = 0;
    if (from_[key].get(value)) Miss(key);
    return value;
  }
  std::vector<element> List(const char* key) {
    array value;
    if (from_[key].get(value)) {
      Miss(key);
      return {};
    }
    return {value.begin(), value.end()};
  }
  bool Has(const char* key) const { return from_[key].error() == simdjson::SUCCESS; }
  void Miss(const char* key) {
    if (problem_->empty()) *problem_ = key;
  }

 private:
  const element& from_;
  std::string* problem_;
};

void ReadMetrics(const element& root, std::string* problem, RunResult* result) {
  object metrics;
  if (root["metrics"].get(metrics)) {
    if (problem->empty()) *problem = "metrics";
    return;
  }
  for (const auto& [name, value] : metrics) {
    Members members(value, problem);
    Metric* metric = result->add_metrics();
    metric->set_name(std::string(name));
    metric->set_unit(members.Text("unit"));
    double number = 0;
    if (value["value"].get(number) == simdjson::SUCCESS) {
      metric->set_value(number);
    } else {
      metric->set_absent(members.Text("absent"));
      if (metric->absent().empty()) members.Miss("absent");
    }
  }
}

void ReadLists(Members& root, std::string* problem, RunResult* result) {
  for (const element from : root.List("inputs")) {
    Members members(from, problem);
    Input* input = result->add_inputs();
    input->set_role(members.Text("role"));
    input->set_name(members.Text("name"));
    input->set_digest(members.Text("digest"));
    input->set_provenance(members.Text("provenance"));
  }
  for (const element from : root.List("footprint")) {
    Members members(from, problem);
    Pool* pool = result->add_footprint();
    pool->set_tier(members.Text("tier"));
    pool->set_pool(members.Text("pool"));
    pool->set_allocated_bytes(members.Int("allocated_bytes"));
    pool->set_in_use_bytes(members.Int("in_use_bytes"));
    pool->set_capacity_bytes(members.Int("capacity_bytes"));
  }
  for (const element from : root.List("violations")) {
    Members members(from, problem);
    Violation* violation = result->add_violations();
    violation->set_what(members.Text("what"));
    violation->set_count(members.Int("count"));
  }
  for (const element from : root.List("profiles")) {
    Members members(from, problem);
    Profile* profile = result->add_profiles();
    profile->set_index(static_cast<int32_t>(members.Int("index")));
    profile->set_prompt_tokens(members.Int("prompt_tokens"));
    profile->set_requests(members.Int("requests"));
    profile->set_wraps(members.Int("wraps"));
  }
  for (const element from : root.List("notes")) {
    std::string_view note;
    if (from.get(note)) root.Miss("notes");
    result->add_notes(std::string(note));
  }
}

// What a measured run was executed on.
void ReadExecution(const element& root, std::string* problem, RunResult* result) {
  element from;
  if (root["execution"].get(from)) return;
  Members members(from, problem);
  Execution* execution = result->mutable_execution();
  execution->set_backend(members.Text("backend"));
  execution->set_device(members.Text("device"));
  execution->set_mode(members.Text("mode"));
  execution->set_decode_threads(static_cast<int32_t>(members.Int("decode_threads")));
  execution->set_sideband_threads(static_cast<int32_t>(members.Int("sideband_threads")));
}

}  // namespace

absl::StatusOr<RunResult> ParseResultJson(const std::string& path, const std::string& json) {
  simdjson::dom::parser parser;
  element root;
  if (const auto error = parser.parse(json).get(root)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is not JSON: ", simdjson::error_message(error)));
  }
  std::string problem;
  RunResult result;
  Members members(root, &problem);
  result.set_schema_version(static_cast<int32_t>(members.Int("schema_version")));
  result.set_version(members.Text("version"));
  result.set_kind(members.Text("kind"));
  result.set_scenario(members.Text("scenario"));
  result.set_scenario_digest(members.Text("scenario_digest"));
  result.set_seed(members.Uint("seed"));
  result.set_event_digest(members.Text("event_digest"));
  ReadMetrics(root, &problem, &result);
  ReadLists(members, &problem, &result);
  ReadExecution(root, &problem, &result);
  if (problem.empty()) return result;
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": \"", problem, "\" is missing or of another type than in result.json"));
}

}  // namespace tierscope

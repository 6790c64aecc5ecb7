#include "reports/result_json.h"

#include <cmath>

#include "reports/json_writer.h"
#include "reports/schema/metrics.h"
#include "sim/base/check.h"

namespace tierscope {
namespace {

constexpr JsonWriter::Layout kInline = JsonWriter::Layout::kInline;

void WriteInputs(const RunResult& result, JsonWriter* json) {
  json->Key("inputs").BeginArray();
  for (const Input& input : result.inputs()) {
    json->BeginObject(kInline);
    json->Key("role").String(input.role());
    json->Key("name").String(input.name());
    json->Key("digest").String(input.digest());
    json->Key("provenance").String(input.provenance());
    json->EndObject();
  }
  json->EndArray();
}

void WriteMetrics(const RunResult& result, JsonWriter* json) {
  json->Key("metrics").BeginObject();
  for (const Metric& metric : result.metrics()) {
    json->Key(metric.name()).BeginObject(kInline);
    if (HasValue(metric)) {
      json->Key("value").Double(metric.value());
    } else {
      json->Key("absent").String(metric.absent());
    }
    json->Key("unit").String(metric.unit());
    json->EndObject();
  }
  json->EndObject();
}

void WriteFootprint(const RunResult& result, JsonWriter* json) {
  json->Key("footprint").BeginArray();
  for (const Pool& pool : result.footprint()) {
    json->BeginObject(kInline);
    json->Key("tier").String(pool.tier());
    json->Key("pool").String(pool.pool());
    json->Key("allocated_bytes").Int(pool.allocated_bytes());
    json->Key("in_use_bytes").Int(pool.in_use_bytes());
    json->Key("capacity_bytes").Int(pool.capacity_bytes());
    json->EndObject();
  }
  json->EndArray();
}

void WriteRemarks(const RunResult& result, JsonWriter* json) {
  json->Key("notes").BeginArray();
  for (const std::string& note : result.notes()) json->String(note);
  json->EndArray();
  json->Key("violations").BeginArray();
  for (const Violation& violation : result.violations()) {
    json->BeginObject(kInline);
    json->Key("what").String(violation.what());
    json->Key("count").Int(violation.count());
    json->EndObject();
  }
  json->EndArray();
}

void WriteProfiles(const RunResult& result, JsonWriter* json) {
  json->Key("profiles").BeginArray();
  for (const Profile& profile : result.profiles()) {
    json->BeginObject(kInline);
    json->Key("index").Int(profile.index());
    json->Key("prompt_tokens").Int(profile.prompt_tokens());
    json->Key("requests").Int(profile.requests());
    json->Key("wraps").Int(profile.wraps());
    json->EndObject();
  }
  json->EndArray();
}

// What a device says of itself; nothing of it on a CPU.
void WriteDevice(const Execution& execution, JsonWriter* json) {
  if (execution.software().empty()) return;
  json->Key("software").String(execution.software());
  json->Key("device_states").BeginArray();
  for (const std::string& state : execution.device_states()) json->String(state);
  json->EndArray();
  json->Key("footprint_beside").BeginArray();
  for (const Pool& pool : execution.footprint_beside()) {
    json->BeginObject(kInline);
    json->Key("pool").String(pool.pool());
    json->Key("allocated_bytes").Int(pool.allocated_bytes());
    json->EndObject();
  }
  json->EndArray();
  json->Key("activity").String(execution.activity());
  json->Key("step_ms_p50_traced").Double(execution.step_ms_p50_traced());
}

void WriteExecution(const Execution& execution, JsonWriter* json) {
  json->Key("execution").BeginObject();
  json->Key("backend").String(execution.backend());
  json->Key("device").String(execution.device());
  json->Key("decode_threads").Int(execution.decode_threads());
  json->Key("sideband_threads").Int(execution.sideband_threads());
  json->Key("mode").String(execution.mode());
  json->Key("executed_ranks").Int(execution.executed_ranks());
  json->Key("weight_format").String(execution.weight_format());
  json->Key("step_ms_p50_of_repeats").BeginArray(kInline);
  for (const double ms : execution.step_ms_p50_of_repeats()) json->Double(ms);
  json->EndArray();
  json->Key("chosen_repeat").Int(execution.chosen_repeat());
  json->Key("step_ms_p50_unprofiled").Double(execution.step_ms_p50_unprofiled());
  json->Key("step_ms_p50_without_ballast").Double(execution.step_ms_p50_without_ballast());
  json->Key("ballast_gflop_per_step").Double(execution.ballast_gflop_per_step());
  WriteDevice(execution, json);
  json->Key("level1_jobs").Int(execution.level1_jobs());
  json->Key("level1_joins").Int(execution.level1_joins());
  json->Key("publish_delay_steps").BeginArray(kInline);
  for (const int64_t jobs : execution.publish_delay_steps()) json->Int(jobs);
  json->EndArray();
  json->Key("not_validated").BeginArray();
  for (const std::string& what : execution.not_validated()) json->String(what);
  json->EndArray();
  json->EndObject();
}

// The members of result.json's object, without its brackets.
void WriteResultMembers(const RunResult& result, JsonWriter* json) {
  json->Key("schema_version").Int(result.schema_version());
  json->Key("version").String(result.version());
  json->Key("kind").String(result.kind());
  json->Key("scenario").String(result.scenario());
  json->Key("scenario_digest").String(result.scenario_digest());
  json->Key("seed").Uint(result.seed());
  json->Key("event_digest").String(result.event_digest());
  WriteInputs(result, json);
  WriteMetrics(result, json);
  WriteFootprint(result, json);
  WriteRemarks(result, json);
  WriteProfiles(result, json);
  if (result.has_execution()) WriteExecution(result.execution(), json);
}

void WriteMeasured(absl::string_view key, double value, JsonWriter* json) {
  json->Key(key);
  if (std::isfinite(value)) {
    json->Double(value);
  } else {
    json->Null();
  }
}

void WriteHost(const HostResult& host, JsonWriter* json) {
  json->BeginObject();
  WriteMeasured("sim_wall_s", host.sim_wall_s, json);
  WriteMeasured("sim_speedup", host.sim_speedup, json);
  json->Key("sim_events").Int(host.sim_events);
  WriteMeasured("sim_events_per_s", host.sim_events_per_s, json);
  WriteMeasured("generate_wall_s", host.generate_wall_s, json);
  WriteMeasured("load_wall_s", host.load_wall_s, json);
  WriteMeasured("distil_wall_s", host.distil_wall_s, json);
  json->Key("peak_rss_bytes").Int(host.peak_rss_bytes);
  json->Key("build_type").String(host.build_type);
  json->Key("cpu").String(host.cpu);
  json->EndObject();
}

void WriteRunWithHost(const RunReport& run, JsonWriter* json) {
  json->BeginObject();
  WriteResultMembers(run.result, json);
  json->Key("host");
  WriteHost(run.host, json);
  json->EndObject();
}

}  // namespace

std::string ResultJson(const RunResult& result) {
  std::string out;
  JsonWriter json(&out);
  json.BeginObject();
  WriteResultMembers(result, &json);
  json.EndObject();
  TIERSCOPE_CHECK(json.complete());
  return out + "\n";
}

std::string HostJson(const HostResult& host) {
  std::string out;
  JsonWriter json(&out);
  WriteHost(host, &json);
  return out + "\n";
}

std::string StdoutJson(std::span<const RunReport> runs) {
  std::string out;
  JsonWriter json(&out);
  if (runs.size() == 1) {
    WriteRunWithHost(runs[0], &json);
    return out + "\n";
  }
  json.BeginArray();
  for (const RunReport& run : runs) WriteRunWithHost(run, &json);
  json.EndArray();
  return out + "\n";
}

}  // namespace tierscope

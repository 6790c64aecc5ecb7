#include "reports/sweep_columns.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "simdjson.h"

#include "reports/json_writer.h"
#include "reports/schema/metrics.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

constexpr JsonWriter::Layout kInline = JsonWriter::Layout::kInline;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kErrorsMax = 200;

struct Axis {
  std::string name;
  std::vector<element> values;  // a number or a text, a point
};

struct Table {
  std::vector<Axis> axes;
  std::vector<uint64_t> seeds;  // empty, or one a point
  std::vector<std::pair<int64_t, std::string>> errors;
  int64_t error_count = 0;
  int64_t points = 0;
  std::map<std::string, std::vector<double>, std::less<>> metrics;  // shorter ones end in kNone
};

absl::Status Malformed(const std::string& path, int64_t point, const char* what) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": point ", point, " ", what, ": is no output of sweep --format=json"));
}

absl::Status AddAxes(const std::string& path, const element& point, Table* table) {
  object values;
  if (point["values"].get(values)) return Malformed(path, table->points, "has no values");
  size_t at = 0;
  for (const auto& [key, value] : values) {
    if (table->points == 0) table->axes.push_back({std::string(key), {}});
    if (at >= table->axes.size() || table->axes[at].name != key) {
      return Malformed(path, table->points, "has other axes than the first");
    }
    table->axes[at++].values.push_back(value);
  }
  if (at != table->axes.size()) return Malformed(path, table->points, "lacks an axis");
  return absl::OkStatus();
}

absl::Status AddMetrics(const std::string& path, const element& point, Table* table) {
  object metrics;
  if (point["metrics"].get(metrics)) return Malformed(path, table->points, "has no metrics");
  for (const auto& [key, metric] : metrics) {
    double value = kNone;
    if (metric["value"].get(value)) continue;  // absent
    auto at = table->metrics.find(absl::string_view(key.data(), key.size()));
    if (at == table->metrics.end()) {
      at = table->metrics.emplace(std::string(key), std::vector<double>()).first;
    }
    at->second.resize(static_cast<size_t>(table->points), kNone);
    at->second.push_back(value);
  }
  return absl::OkStatus();
}

absl::Status AddPoint(const std::string& path, const element& point, Table* table) {
  TIERSCOPE_RETURN_IF_ERROR(AddAxes(path, point, table));
  uint64_t seed = 0;
  if (point["seed"].get(seed) == simdjson::SUCCESS) table->seeds.push_back(seed);
  std::string_view error;
  if (point["error"].get(error) == simdjson::SUCCESS) {
    ++table->error_count;
    if (table->errors.size() < kErrorsMax) table->errors.emplace_back(table->points, error);
  } else {
    TIERSCOPE_RETURN_IF_ERROR(AddMetrics(path, point, table));
  }
  ++table->points;
  return absl::OkStatus();
}

void WriteAxes(const Table& table, JsonWriter& json) {
  json.Key("axes").BeginArray();
  for (const Axis& axis : table.axes) {
    json.BeginObject(kInline);
    json.Key("name").String(axis.name);
    json.Key("values").BeginArray(kInline);
    for (const element& value : axis.values) {
      double number = 0;
      std::string_view text;
      if (value.get(number) == simdjson::SUCCESS) {
        json.Double(number);
      } else if (value.get(text) == simdjson::SUCCESS) {
        json.String(absl::string_view(text.data(), text.size()));
      } else {
        json.String(simdjson::minify(value));
      }
    }
    json.EndArray();
    json.EndObject();
  }
  json.EndArray();
}

std::string ColumnJson(absl::string_view name, const std::vector<double>& values) {
  std::string text;
  JsonWriter json(&text);
  const MetricDef* definition = FindMetricDefinition(name);
  json.BeginObject(kInline);
  json.Key("name").String(name);
  json.Key("unit").String(definition == nullptr ? "" : definition->unit);
  const bool constant = std::all_of(values.begin(), values.end(), [&](double v) {
    return v == values.front();  // never true of kNone
  });
  if (constant) {
    json.Key("constant").Double(values.front());
  } else {
    json.Key("values").BeginArray(kInline);
    for (const double value : values) {
      if (std::isfinite(value)) {
        json.Double(value);
      } else {
        json.Null();
      }
    }
    json.EndArray();
  }
  json.EndObject();
  return text;
}

// Names of the metrics: those of the objectives, then in the order of their definitions, then what
// this build does not know.
std::vector<std::string> Order(const element& sweep, const Table& table) {
  std::vector<std::string> names;
  const auto add = [&](absl::string_view name) {
    const bool there = table.metrics.find(name) != table.metrics.end();
    if (there && std::find(names.begin(), names.end(), name) == names.end()) {
      names.emplace_back(name);
    }
  };
  array objectives;
  if (sweep["objectives"].get(objectives) == simdjson::SUCCESS) {
    for (const element objective : objectives) {
      std::string_view name;
      if (objective["metric"].get(name) == simdjson::SUCCESS) add({name.data(), name.size()});
    }
  }
  for (const char* name : {"throughput_tok_per_s", "tpot_ms_p99", "hbm_total_gib_peak",
                           "host_gib_peak", "recall_gib_per_s", "link_utilisation"}) {
    add(name);
  }
  for (const MetricDef& definition : MetricDefinitions()) add(definition.name);
  for (const auto& [name, values] : table.metrics) add(name);
  return names;
}

// The metrics' columns while the budget lasts; the names of the others.
std::string MetricsJson(const element& sweep, const Table& table, size_t bytes_used) {
  std::string columns, left_out;
  for (const std::string& name : Order(sweep, table)) {
    std::vector<double> values = table.metrics.find(name)->second;
    values.resize(static_cast<size_t>(table.points), kNone);
    const std::string column = ColumnJson(name, values);
    const bool fits = bytes_used + columns.size() + column.size() <= kSweepColumnBytesMax;
    std::string& list = fits ? columns : left_out;
    if (!list.empty()) list += ",";
    if (fits) {
      list += column;
    } else {
      AppendJsonString(name, &list);
    }
  }
  return absl::StrCat("\"metrics\":[", columns, "],\"left_out\":[", left_out, "]");
}

std::string MemberOr(const element& sweep, const char* key, const char* otherwise) {
  element value;
  return sweep[key].get(value) == simdjson::SUCCESS ? simdjson::minify(value) : otherwise;
}

}  // namespace

absl::StatusOr<std::string> SweepColumns(const std::string& path, const element& sweep) {
  Table table;
  array points;
  if (sweep["points"].get(points)) return Malformed(path, 0, "is not there");
  for (const element point : points) {
    TIERSCOPE_RETURN_IF_ERROR(AddPoint(path, point, &table));
  }
  if (table.points == 0) return Malformed(path, 0, "is not there");
  std::string text;
  JsonWriter json(&text);
  json.BeginObject(kInline);
  json.Key("points").Int(table.points);
  json.Key("error_count").Int(table.error_count);
  WriteAxes(table, json);
  json.Key("seeds").BeginArray(kInline);
  for (const uint64_t seed : table.seeds) json.String(absl::StrCat(seed));
  json.EndArray();
  json.Key("errors").BeginArray(kInline);
  for (const auto& [point, error] : table.errors) {
    json.BeginArray(kInline).Int(point).String(error).EndArray();
  }
  json.EndArray();
  json.EndObject();
  text.pop_back();  // the bracket: more members follow
  for (const char* key : {"sweep", "build"}) {
    absl::StrAppend(&text, ",\"", key, "\":", MemberOr(sweep, key, "\"\""));
  }
  for (const char* key : {"objectives", "limits", "front"}) {
    absl::StrAppend(&text, ",\"", key, "\":", MemberOr(sweep, key, "[]"));
  }
  return absl::StrCat(text, ",", MetricsJson(sweep, table, text.size()), "}");
}

}  // namespace tierscope

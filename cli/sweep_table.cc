#include "cli/sweep_table.h"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "reports/csv.h"
#include "reports/format.h"
#include "reports/json_writer.h"
#include "reports/schema/metrics.h"
#include "sim/base/status_macros.h"
#include "sim/planner/sensitivity.h"

namespace tierscope::cli {
namespace {

constexpr size_t kFrontRowsMax = 40;  // of the summary; CSV and JSON have all
constexpr int32_t kSampledParts = 8;  // groups of a sampled axis's main effect
constexpr size_t kGroupsMax = 64;     // more distinct values than this count as sampled
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

absl::Status Refuse(int64_t point, const ResultsStore&) {
  return absl::FailedPreconditionError(
      absl::StrCat("point ", point, " has no result yet: run the sweep to its end first"));
}

size_t IndexOfMetric(absl::string_view name) {
  const auto definitions = MetricDefinitions();
  for (size_t i = 0; i < definitions.size(); ++i) {
    if (definitions[i].name == name) return i;
  }
  return definitions.size();
}

double ValueOf(const ResultRow& row, size_t metric) {
  return metric < row.values.size() ? row.values[metric] : kNone;
}

absl::Status Row(const SweepWork& work, const ResultsStore& store, int64_t point, ResultRow* row) {
  TIERSCOPE_ASSIGN_OR_RETURN(const bool found,
                             store.Get(work.keys[static_cast<size_t>(point)], row));
  return found ? absl::OkStatus() : Refuse(point, store);
}

absl::Status Flush(std::string* text) {
  if (std::fwrite(text->data(), 1, text->size(), stdout) != text->size()) {
    return absl::DataLossError(absl::StrCat("standard output: ", std::strerror(errno),
                                            "; the results are in the results file"));
  }
  text->clear();
  return absl::OkStatus();
}

std::vector<size_t> MetricsShown(const SweepPlan& plan) {
  std::vector<size_t> shown;
  for (const std::string& name : plan.metrics) shown.push_back(IndexOfMetric(name));
  for (size_t i = 0; plan.metrics.empty() && i < MetricDefinitions().size(); ++i)
    shown.push_back(i);
  return shown;
}

std::string Goal(const Objective& objective) {
  return absl::StrCat(objective.metric, objective.maximize ? " (most)" : " (least)");
}

Cell MetricCell(double value, absl::string_view metric) {
  if (!std::isfinite(value)) return Cell::Absent();
  return Cell::String(FormatQuantity(value, FindMetricDefinition(metric)->unit));
}

std::vector<Cell> PointCells(const SweepPoints& points, int64_t point) {
  std::vector<Cell> cells = {Cell::Count(point)};
  for (const AxisValue& value : points.Values(point)) cells.push_back(Cell::String(value.label));
  if (points.plan().repeats > 1) cells.push_back(Cell::String(absl::StrCat(points.Seed(point))));
  return cells;
}

std::vector<std::string> PointColumns(const SweepPlan& plan) {
  std::vector<std::string> columns = {"point"};
  for (const SweepAxis& axis : plan.axes) columns.push_back(axis.name);
  if (plan.repeats > 1) columns.emplace_back("seed");
  return columns;
}

std::string FrontText(const SweepPoints& points, const SweepValues& values,
                      const std::vector<size_t>& front) {
  Rows rows{.columns = PointColumns(points.plan()), .cells = {}};
  for (const Objective& objective : values.objectives) rows.columns.push_back(objective.metric);
  for (size_t i = 0; i < front.size() && i < kFrontRowsMax; ++i) {
    std::vector<Cell> cells = PointCells(points, static_cast<int64_t>(front[i]));
    for (size_t o = 0; o < values.objectives.size(); ++o) {
      cells.push_back(MetricCell(values.objective_values[front[i] * values.objectives.size() + o],
                                 values.objectives[o].metric));
    }
    rows.cells.push_back(std::move(cells));
  }
  std::string text = TableText(rows);
  if (front.size() > kFrontRowsMax) {
    absl::StrAppend(&text, "and ", front.size() - kFrontRowsMax,
                    " more: --format=csv or json has all\n");
  }
  return text;
}

// The best of the front in each objective alone.
std::string BestText(const SweepPoints& points, const SweepValues& values,
                     const std::vector<size_t>& front) {
  Rows rows{.columns = {"best in"}, .cells = {}};
  for (std::string& column : PointColumns(points.plan())) rows.columns.push_back(std::move(column));
  rows.columns.emplace_back("value");
  const size_t width = values.objectives.size();
  for (size_t o = 0; o < width; ++o) {
    const double sign = values.objectives[o].maximize ? -1.0 : 1.0;
    size_t best = front.front();
    for (const size_t i : front) {
      if (sign * values.objective_values[i * width + o] <
          sign * values.objective_values[best * width + o]) {
        best = i;
      }
    }
    std::vector<Cell> cells = {Cell::String(Goal(values.objectives[o]))};
    for (Cell& cell : PointCells(points, static_cast<int64_t>(best)))
      cells.push_back(std::move(cell));
    cells.push_back(
        MetricCell(values.objective_values[best * width + o], values.objectives[o].metric));
    rows.cells.push_back(std::move(cells));
  }
  return TableText(rows);
}

// Which group of an axis's main effect each point of the plan is in.
std::vector<int32_t> GroupsOf(const SweepPlan& plan, size_t axis, int32_t* group_count) {
  const auto values = static_cast<int64_t>(plan.axes[axis].values.size());
  const bool parts = static_cast<size_t>(values) > kGroupsMax ||
                     (plan.mode == SweepSpec::LATIN_HYPERCUBE && values == plan.cell_count);
  *group_count = static_cast<int32_t>(parts ? std::min<int64_t>(kSampledParts, values) : values);
  std::vector<int32_t> groups(static_cast<size_t>(plan.point_count()));
  for (size_t i = 0; i < groups.size(); ++i) {
    const int64_t value = plan.ValueAt(static_cast<int64_t>(i) / plan.repeats, axis);
    groups[i] = static_cast<int32_t>(parts ? value * *group_count / values : value);
  }
  return groups;
}

std::string SensitivityText(const SweepPoints& points, const SweepValues& values) {
  const SweepPlan& plan = points.plan();
  Rows rows{.columns = {"axis", "metric", "of its variance", "mean, least", "mean, most"},
            .cells = {}};
  const size_t width = values.objectives.size();
  for (size_t a = 0; a < plan.axes.size(); ++a) {
    int32_t group_count = 0;
    const std::vector<int32_t> groups = GroupsOf(plan, a, &group_count);
    std::vector<double> column(groups.size());
    for (size_t o = 0; o < width; ++o) {
      for (size_t i = 0; i < column.size(); ++i) column[i] = values.objective_values[i * width + o];
      const MainEffect effect = MainEffectOf(groups, group_count, column);
      const std::string& metric = values.objectives[o].metric;
      rows.cells.push_back(
          {Cell::String(plan.axes[a].name), Cell::String(metric),
           effect.points == 0 ? Cell::Absent() : Cell::String(FormatPercent(effect.share)),
           effect.points == 0 ? Cell::Absent() : MetricCell(effect.low, metric),
           effect.points == 0 ? Cell::Absent() : MetricCell(effect.high, metric)});
    }
  }
  return TableText(rows);
}

std::string LimitsText(const SweepValues& values) {
  if (values.limits.empty()) return "";
  return absl::StrCat(", under ",
                      absl::StrJoin(values.limits, ", ", [](std::string* out, const Limit& limit) {
                        out->append(limit.text());
                      }));
}

void WriteJsonValue(const AxisValue& value, JsonWriter& json) {
  if (value.number.has_value()) {
    json.Double(*value.number);
  } else {
    json.String(value.label);
  }
}

void WriteJsonPoint(const SweepPoints& points, int64_t point, const ResultRow& row,
                    const std::vector<size_t>& shown, JsonWriter& json) {
  const SweepPlan& plan = points.plan();
  json.BeginObject(JsonWriter::Layout::kInline);
  json.Key("point").Int(point);
  json.Key("values").BeginObject(JsonWriter::Layout::kInline);
  const std::vector<AxisValue> values = points.Values(point);
  for (size_t a = 0; a < values.size(); ++a) {
    json.Key(plan.axes[a].name);
    WriteJsonValue(values[a], json);
  }
  json.EndObject();
  if (plan.repeats > 1) json.Key("seed").Uint(points.Seed(point));
  if (!row.error.empty()) {
    json.Key("error").String(row.error);
  } else {
    json.Key("result_digest").String(row.result_digest);
    json.Key("event_digest").String(row.event_digest);
    json.Key("metrics").BeginObject(JsonWriter::Layout::kInline);
    for (const size_t m : shown) {
      const MetricDef& def = MetricDefinitions()[m];
      json.Key(def.name).BeginObject(JsonWriter::Layout::kInline);
      if (std::isfinite(row.values[m])) {
        json.Key("value").Double(row.values[m]);
      } else {
        json.Key("absent").String(row.absent[m]);
      }
      json.Key("unit").String(def.unit);
      json.EndObject();
    }
    json.EndObject();
  }
  json.EndObject();
}

}  // namespace

std::vector<Objective> DefaultObjectives() {
  return {{"hbm_kv_gib_per_request", false}, {"coverage", true}, {"stall_ms_per_token", false}};
}

bool SweepValues::Serves(int64_t point) const {
  const auto p = static_cast<size_t>(point);
  for (size_t l = 0; l < limits.size(); ++l) {
    const double value = limit_values[p * limits.size() + l];
    const bool holds = limits[l].is_ceiling ? value <= limits[l].bound : value >= limits[l].bound;
    if (!holds) return false;  // nor does a value that is not there
  }
  for (size_t o = 0; o < objectives.size(); ++o) {
    if (!std::isfinite(objective_values[p * objectives.size() + o])) return false;
  }
  return true;
}

std::vector<size_t> SweepValues::Front() const {
  const size_t width = objectives.size();
  std::vector<size_t> serving;
  std::vector<double> values;
  for (size_t p = 0; p < objective_values.size() / width; ++p) {
    if (!Serves(static_cast<int64_t>(p))) continue;
    serving.push_back(p);
    const auto row = objective_values.begin() + static_cast<ptrdiff_t>(p * width);
    values.insert(values.end(), row, row + static_cast<ptrdiff_t>(width));
  }
  std::vector<size_t> front = ParetoFront(values, objectives);
  for (size_t& index : front) index = serving[index];
  return front;
}

absl::StatusOr<SweepValues> ReadValues(const SweepPoints& points, const SweepWork& work,
                                       const ResultsStore& store) {
  SweepValues values;
  values.objectives =
      points.plan().objectives.empty() ? DefaultObjectives() : points.plan().objectives;
  values.limits = points.plan().limits;
  std::vector<size_t> objectives, limits;
  for (const Objective& objective : values.objectives) {
    objectives.push_back(IndexOfMetric(objective.metric));
  }
  for (const Limit& limit : values.limits) limits.push_back(IndexOfMetric(limit.metric));
  ResultRow row;
  for (int64_t point = 0; point < points.count(); ++point) {
    TIERSCOPE_RETURN_IF_ERROR(Row(work, store, point, &row));
    for (const size_t m : objectives) values.objective_values.push_back(ValueOf(row, m));
    for (const size_t m : limits) values.limit_values.push_back(ValueOf(row, m));
    if (row.error.empty()) continue;
    if (values.refused++ == 0) {
      values.first_refusal =
          absl::StrCat("point ", point, " (", points.Name(point), "): ", row.error);
    }
  }
  return values;
}

std::string SummaryText(const SweepPoints& points, const SweepValues& values) {
  std::string text =
      absl::StrCat(points.plan().name, "\n  ", FormatCount(points.count()), " points");
  if (values.refused > 0) absl::StrAppend(&text, ", ", FormatCount(values.refused), " cannot run");
  absl::StrAppend(&text, "\n\n");
  const std::vector<size_t> front = values.Front();
  std::vector<std::string> goals;
  for (const Objective& objective : values.objectives) goals.push_back(Goal(objective));
  absl::StrAppend(&text, "Pareto front over ", absl::StrJoin(goals, ", "), LimitsText(values), ": ",
                  FormatCount(static_cast<int64_t>(front.size())), " points\n");
  if (!front.empty()) {
    absl::StrAppend(&text, FrontText(points, values, front), "\nBest\n",
                    BestText(points, values, front));
  }
  absl::StrAppend(&text, "\nSensitivity: main effects over the points of the sweep\n",
                  SensitivityText(points, values));
  if (values.refused > 0) absl::StrAppend(&text, "\n! ", values.first_refusal, "\n");
  return text;
}

absl::Status PrintCsv(const SweepPoints& points, const SweepWork& work, const ResultsStore& store) {
  const std::vector<size_t> shown = MetricsShown(points.plan());
  std::string text = absl::StrJoin(
      PointColumns(points.plan()), ",",
      [](std::string* out, const std::string& column) { out->append(CsvField(column)); });
  absl::StrAppend(&text, ",error,result_digest,event_digest");
  for (const size_t m : shown) absl::StrAppend(&text, ",", CsvField(MetricDefinitions()[m].name));
  text += "\n";
  ResultRow row;
  for (int64_t point = 0; point < points.count(); ++point) {
    TIERSCOPE_RETURN_IF_ERROR(Row(work, store, point, &row));
    absl::StrAppend(&text, point);
    for (const AxisValue& value : points.Values(point)) {
      absl::StrAppend(&text, ",", CsvField(value.label));
    }
    if (points.plan().repeats > 1) absl::StrAppend(&text, ",", points.Seed(point));
    absl::StrAppend(&text, ",", CsvField(row.error), ",", row.result_digest, ",", row.event_digest);
    for (const size_t m : shown) {
      text += ",";
      if (row.error.empty() && std::isfinite(row.values[m])) AppendJsonNumber(row.values[m], &text);
    }
    text += "\n";
    TIERSCOPE_RETURN_IF_ERROR(Flush(&text));
  }
  return absl::OkStatus();
}

absl::Status PrintJson(const SweepPoints& points, const SweepWork& work, const SweepValues& values,
                       const ResultsStore& store) {
  const std::vector<size_t> shown = MetricsShown(points.plan());
  std::string text;
  JsonWriter json(&text);
  json.BeginObject();
  json.Key("sweep").String(points.plan().name);
  json.Key("build").String(BuildName());
  json.Key("objectives").BeginArray();
  for (const Objective& objective : values.objectives) {
    json.BeginObject(JsonWriter::Layout::kInline);
    json.Key("metric").String(objective.metric);
    json.Key("maximize").Bool(objective.maximize);
    json.EndObject();
  }
  json.EndArray();
  json.Key("limits").BeginArray(JsonWriter::Layout::kInline);
  for (const Limit& limit : values.limits) json.String(limit.text());
  json.EndArray();
  json.Key("front").BeginArray(JsonWriter::Layout::kInline);
  for (const size_t point : values.Front()) json.Int(static_cast<int64_t>(point));
  json.EndArray();
  json.Key("points").BeginArray();
  ResultRow row;
  for (int64_t point = 0; point < points.count(); ++point) {
    TIERSCOPE_RETURN_IF_ERROR(Row(work, store, point, &row));
    WriteJsonPoint(points, point, row, shown, json);
    TIERSCOPE_RETURN_IF_ERROR(Flush(&text));
  }
  json.EndArray();
  json.EndObject();
  text += "\n";
  return Flush(&text);
}

}  // namespace tierscope::cli

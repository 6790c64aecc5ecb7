#include "cli/capacity_report.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/rows.h"

#include "reports/json_writer.h"
#include "reports/schema/metrics.h"
#include "scenarios/loader.h"

namespace tierscope::cli {
namespace {

// Metrics of the curve over load, besides those of the limits.
constexpr const char* kCurveMetrics[] = {
    "throughput_tok_per_s", "tpot_ms_p50",        "tpot_ms_p99",
    "ttft_ms_p99",          "stall_fraction",     "coverage",
    "link_utilisation",     "hbm_total_gib_peak", "host_gib_peak"};

std::optional<double> ValueAt(const LoadPoint& point, absl::string_view name) {
  const Metric* metric = FindMetric(point.result, name);
  if (metric == nullptr || !HasValue(*metric)) return std::nullopt;
  return metric->value();
}

// The metrics of the curve that have a value somewhere; in JSON and CSV all.
std::vector<std::string> CurveNames(const CapacityReport& report, bool with_empty) {
  std::vector<std::string> names(std::begin(kCurveMetrics), std::end(kCurveMetrics));
  for (const Limit& limit : report.search.limits) {
    if (std::find(names.begin(), names.end(), limit.metric) == names.end()) {
      names.push_back(limit.metric);
    }
  }
  const auto empty = [&](const std::string& name) {
    return std::none_of(report.capacity.points.begin(), report.capacity.points.end(),
                        [&](const LoadPoint& point) { return ValueAt(point, name).has_value(); });
  };
  if (!with_empty) names.erase(std::remove_if(names.begin(), names.end(), empty), names.end());
  return names;
}

std::string LimitName(const Limit& limit) {
  return limit.label.empty() ? limit.text() : absl::StrCat(limit.label, ": ", limit.text());
}

std::string NameOf(const CapacityReport& report, const Bound& bound) {
  if (bound.limit >= 0) return LimitName(report.search.limits[static_cast<size_t>(bound.limit)]);
  if (bound.ceiling < 0) return "";
  return report.search.ceilings[static_cast<size_t>(bound.ceiling)].label;
}

// Names of the limits that fail at the point.
std::string Failing(const CapacityReport& report, const LoadPoint& point) {
  std::vector<std::string> names;
  for (size_t i = 0; i < point.readings.size(); ++i) {
    if (!point.readings[i].holds) names.push_back(report.search.limits[i].metric);
  }
  return absl::StrJoin(names, " ");
}

double LoadValue(const CapacityReport& report, int64_t load) {
  return static_cast<double>(load) * report.unit;
}

Cell LoadCell(const CapacityReport& report, int64_t load) {
  return report.closed_loop ? Cell::Count(load) : Cell::Number(LoadValue(report, load), 4);
}

const char* LoadName(const CapacityReport& report) {
  return report.closed_loop ? "requests" : "req_per_s";
}

std::string LoadText(const CapacityReport& report, int64_t load) {
  if (report.closed_loop) return absl::StrCat(load, " concurrent requests");
  return absl::StrFormat("%.6g requests per second", LoadValue(report, load));
}

Rows CurveRows(const CapacityReport& report, bool whole) {
  const std::vector<std::string> names = CurveNames(report, whole);
  Rows rows{.columns = {LoadName(report)}, .cells = {}};
  rows.columns.insert(rows.columns.end(), names.begin(), names.end());
  rows.columns.emplace_back("holds");
  if (whole) rows.columns.insert(rows.columns.end(), {"fails", "answer"});
  for (const LoadPoint& point : report.capacity.points) {
    std::vector<Cell> cells = {LoadCell(report, point.load)};
    for (const std::string& name : names) {
      const std::optional<double> value = ValueAt(point, name);
      cells.push_back(value ? Cell::Number(*value, whole ? 6 : 3) : Cell::Absent());
    }
    cells.push_back(Cell::String(point.holds ? "yes" : "no"));
    if (whole) {
      cells.push_back(Cell::String(Failing(report, point)));
      cells.push_back(Cell::String(point.load == report.capacity.load ? "yes" : "no"));
    }
    rows.cells.push_back(std::move(cells));
  }
  return rows;
}

const char* Part(const Capacity& capacity, const Bound& bound) {
  const auto same = [&](const Bound& other) {
    return bound.limit == other.limit && bound.ceiling == other.ceiling;
  };
  return same(capacity.binding) ? "binding" : same(capacity.next.bound) ? "next" : "";
}

double CeilingSlack(const Ceiling& ceiling, int64_t load) {
  return static_cast<double>(ceiling.load - load) /
         static_cast<double>(std::max<int64_t>(1, ceiling.load));
}

// Each limit's value at the answer and its room there; each ceiling's load.
Rows LimitRows(const CapacityReport& report) {
  Rows rows{.columns = {"limit", "at the answer", "slack", "part"}, .cells = {}};
  const Capacity& capacity = report.capacity;
  const LoadPoint* point = capacity.PointAt(capacity.load);
  for (size_t i = 0; i < report.search.limits.size(); ++i) {
    const bool absent = point == nullptr || point->readings[i].absent;
    rows.cells.push_back({Cell::String(LimitName(report.search.limits[i])),
                          absent ? Cell::Absent() : Cell::Number(point->readings[i].value, 4),
                          absent ? Cell::Absent() : Cell::Number(point->readings[i].slack, 3),
                          Cell::String(Part(capacity, {static_cast<int>(i), -1}))});
  }
  for (size_t i = 0; i < report.search.ceilings.size(); ++i) {
    const Ceiling& ceiling = report.search.ceilings[i];
    rows.cells.push_back(
        {Cell::String(absl::StrCat(ceiling.label, ": ", ceiling.load, " requests")),
         Cell::Count(capacity.load), Cell::Number(CeilingSlack(ceiling, capacity.load), 3),
         Cell::String(Part(capacity, {-1, static_cast<int>(i)}))});
  }
  return rows;
}

std::optional<double> Throughput(const CapacityReport& report) {
  const LoadPoint* point = report.capacity.PointAt(report.capacity.load);
  return point == nullptr ? std::nullopt : ValueAt(*point, "throughput_tok_per_s");
}

// Of all replicas.
int Gpus(const CapacityPrint& print) {
  return print.scenario.engine().replicas() * print.scenario.engine().tensor_parallel();
}

double TokensPerMoney(const CapacityPrint& print, double tok_per_s) {
  return tok_per_s * 3600.0 / (print.price_per_gpu_hour * Gpus(print));
}

// Why not even a load of 1 holds.
std::string NothingHolds(const CapacityReport& report) {
  const Capacity& capacity = report.capacity;
  if (capacity.binding.ceiling >= 0) {
    return absl::StrCat("nothing fits: one request of ", report.traded.tokens,
                        " tokens is more than ", NameOf(report, capacity.binding), " holds");
  }
  const LoadPoint* point = capacity.PointAt(1);
  if (point == nullptr || capacity.binding.limit < 0)
    return "nothing holds, not even the least load";
  const auto limit = static_cast<size_t>(capacity.binding.limit);
  return absl::StrFormat("nothing holds: at %s %s reads %.6g", LoadText(report, 1),
                         report.search.limits[limit].text(), point->readings[limit].value);
}

std::string FailingBelow(const CapacityReport& report) {
  std::vector<std::string> loads;
  for (const LoadPoint& point : report.capacity.points) {
    if (point.load >= report.capacity.load || point.holds) continue;
    loads.push_back(absl::StrFormat("%.6g", LoadValue(report, point.load)));
  }
  return absl::StrJoin(loads, ", ");
}

void RemarkOrder(const CapacityReport& report, std::vector<std::string>* remarks) {
  const Capacity& capacity = report.capacity;
  if (!capacity.monotone) {
    const std::string failing = FailingBelow(report);
    remarks->push_back(absl::StrCat(
        "a limit does not get worse steadily with load: found by scanning, loads between the runs "
        "may differ",
        failing.empty() ? "" : absl::StrCat("; below the answer fail ", failing)));
  }
  if (capacity.noisy_from > 0) {
    remarks->push_back(absl::StrFormat(
        "from %.6g to %.6g the readings cross a bound back and forth by no more than chance does; "
        "the answer is below them",
        LoadValue(report, capacity.noisy_from), LoadValue(report, capacity.noisy_to)));
  }
}

void RemarkSteady(const CapacityReport& report, std::vector<std::string>* remarks) {
  if (report.steady || report.capacity.load == 0) return;
  if (!Throughput(report) || report.steady_change == 0.0) {
    remarks->push_back(
        "not steady: no request finished after the warm-up; raise engine.simulated_s and do not "
        "trust this answer");
    return;
  }
  remarks->push_back(absl::StrFormat(
      "not steady: a run half as long differs by %.0f %%; raise engine.simulated_s and do not "
      "trust this answer",
      100.0 * report.steady_change));
}

void WriteOptional(JsonWriter& json, const std::optional<double>& value) {
  if (value) {
    json.Double(*value);
  } else {
    json.Null();
  }
}

void WriteTraded(const TradedMemory& traded, JsonWriter& json) {
  json.Key("request_tokens").Int(traded.tokens);
  json.Key("hbm_gib_per_request").Double(traded.hbm_gib_per_request);
  json.Key("full_hbm_gib_per_request").Double(traded.full_hbm_gib_per_request);
  json.Key("host_gib_per_request").Double(traded.host_gib_per_request);
  json.Key("level1_gflop_per_token").Double(traded.level1_gflop_per_token);
}

void WriteLimits(const CapacityReport& report, JsonWriter& json) {
  const Capacity& capacity = report.capacity;
  const LoadPoint* point = capacity.PointAt(capacity.load);
  json.Key("limits").BeginArray();
  for (size_t i = 0; i < report.search.limits.size(); ++i) {
    const Limit& limit = report.search.limits[i];
    const bool absent = point == nullptr || point->readings[i].absent;
    json.BeginObject(JsonWriter::Layout::kInline);
    json.Key("name").String(LimitName(limit));
    json.Key("metric").String(limit.metric);
    json.Key(limit.is_ceiling ? "at_most" : "at_least").Double(limit.bound);
    json.Key("value");
    WriteOptional(json, absent ? std::nullopt : std::optional(point->readings[i].value));
    json.Key("slack");
    WriteOptional(json, absent ? std::nullopt : std::optional(point->readings[i].slack));
    json.Key("part").String(Part(capacity, {static_cast<int>(i), -1}));
    json.EndObject();
  }
  json.EndArray();
  json.Key("ceilings").BeginArray();
  for (size_t i = 0; i < report.search.ceilings.size(); ++i) {
    const Ceiling& ceiling = report.search.ceilings[i];
    json.BeginObject(JsonWriter::Layout::kInline);
    json.Key("name").String(ceiling.label);
    json.Key("requests").Int(ceiling.load);
    json.Key("slack").Double(CeilingSlack(ceiling, capacity.load));
    json.Key("part").String(Part(capacity, {-1, static_cast<int>(i)}));
    json.EndObject();
  }
  json.EndArray();
}

void WriteCurve(const CapacityReport& report, JsonWriter& json) {
  const std::vector<std::string> names = CurveNames(report, true);
  json.Key("curve").BeginArray();
  for (const LoadPoint& point : report.capacity.points) {
    json.BeginObject(JsonWriter::Layout::kInline);
    json.Key(LoadName(report)).Double(LoadValue(report, point.load));
    for (const std::string& name : names) {
      json.Key(name);
      WriteOptional(json, ValueAt(point, name));
    }
    json.Key("holds").Bool(point.holds);
    json.EndObject();
  }
  json.EndArray();
}

std::string TradedText(const TradedMemory& t) {
  if (t.host_gib_per_request == 0.0) return "";
  return absl::StrFormat(
      "traded        a request of %d tokens takes %.2f GiB of HBM, %.2f with all KV there; for it "
      "%.1f GiB of host DRAM (all ranks)\n              and %.3f GFLOP of level 1 a token\n",
      t.tokens, t.hbm_gib_per_request, t.full_hbm_gib_per_request, t.host_gib_per_request,
      t.level1_gflop_per_token);
}

std::string ThroughputText(const CapacityPrint& print) {
  const std::optional<double> rate = Throughput(print.report);
  if (!rate) return "throughput    -\n";
  std::string text =
      absl::StrFormat("throughput    %.1f tok/s, %.1f per GPU", *rate, *rate / Gpus(print));
  if (print.price_per_gpu_hour > 0.0) {
    absl::StrAppendFormat(&text, ", %.0f tokens per unit of money", TokensPerMoney(print, *rate));
  }
  return absl::StrCat(text, "\n");
}

std::string NextText(const CapacityReport& report) {
  const Capacity& capacity = report.capacity;
  const NextBound& next = capacity.next;
  if (next.load_fails == 0) return "";
  if (next.bound.none()) {
    return absl::StrCat("behind it     nothing up to ", LoadText(report, next.load_holds), "\n");
  }
  const std::string name = NameOf(report, next.bound);
  if (next.bound.ceiling >= 0 || next.load_fails == next.load_holds + 1) {
    return absl::StrCat("behind it     ", name, ", at ", LoadText(report, next.load_holds), "\n");
  }
  return absl::StrFormat("behind it     %s, between %.6g and %s\n", name,
                         LoadValue(report, next.load_holds), LoadText(report, next.load_fails));
}

}  // namespace

std::vector<std::string> CapacityRemarks(const CapacityPrint& print) {
  const CapacityReport& report = print.report;
  const Capacity& capacity = report.capacity;
  std::vector<std::string> remarks;
  if (capacity.load == 0) remarks.push_back(NothingHolds(report));
  RemarkOrder(report, &remarks);
  RemarkSteady(report, &remarks);
  if (capacity.binding.none()) {
    remarks.push_back("nothing bound the search: the largest load tried holds; raise --load-max");
  }
  if (!report.saturated_by.empty()) {
    remarks.push_back(absl::StrFormat(
        "beyond the answer the first request in line waits for %s %.0f %% of the time",
        report.saturated_by, 100.0 * report.saturated_fraction));
  }
  const double usable = print.scenario.node().host_usable_fraction();
  if (report.whole_host_load > 0 && usable < 1.0) {
    remarks.push_back(absl::StrFormat(
        "host DRAM: with node.host_usable_fraction 1 instead of %g it would hold %d requests",
        usable, report.whole_host_load));
  }
  return remarks;
}

std::string CapacityTable(const CapacityPrint& print) {
  const CapacityReport& report = print.report;
  std::string text = absl::StrCat("capacity      ", LoadText(report, report.capacity.load), "\n");
  if (!report.capacity.binding.none()) {
    absl::StrAppend(&text, "binding       ", NameOf(report, report.capacity.binding), "\n");
  }
  absl::StrAppend(&text, NextText(report), ThroughputText(print), TradedText(report.traded));
  absl::StrAppend(&text, "\n", TableText(LimitRows(report)), "\n",
                  TableText(CurveRows(report, false)));
  for (const std::string& remark : CapacityRemarks(print)) {
    absl::StrAppend(&text, "\n! ", remark, "\n");
  }
  return text;
}

std::string CapacityCsv(const CapacityPrint& print) {
  return CsvText(CurveRows(print.report, true));
}

std::string CapacityJson(const CapacityPrint& print) {
  const CapacityReport& report = print.report;
  const Capacity& capacity = report.capacity;
  const std::optional<double> rate = Throughput(report);
  std::string out;
  JsonWriter json(&out);
  json.BeginObject();
  json.Key("scenario").String(print.scenario.name());
  json.Key("scenario_digest").String(ScenarioDigest(print.scenario));
  json.Key(LoadName(report)).Double(LoadValue(report, capacity.load));
  json.Key("binding").String(NameOf(report, capacity.binding));
  json.Key("next").String(NameOf(report, capacity.next.bound));
  json.Key("next_holds").Double(LoadValue(report, capacity.next.load_holds));
  json.Key("next_fails").Double(LoadValue(report, capacity.next.load_fails));
  json.Key("monotone").Bool(capacity.monotone);
  json.Key("noisy_from").Double(LoadValue(report, capacity.noisy_from));
  json.Key("noisy_to").Double(LoadValue(report, capacity.noisy_to));
  json.Key("steady").Bool(report.steady);
  json.Key("steady_change").Double(report.steady_change);
  json.Key("saturated_by").String(report.saturated_by);
  json.Key("saturated_fraction").Double(report.saturated_fraction);
  json.Key("throughput_tok_per_s");
  WriteOptional(json, rate);
  const int gpus = Gpus(print);
  json.Key("throughput_tok_per_s_per_gpu");
  WriteOptional(json, rate ? std::optional(*rate / gpus) : std::nullopt);
  json.Key("price_per_gpu_hour");
  const bool priced = print.price_per_gpu_hour > 0.0;
  WriteOptional(json, priced ? std::optional(print.price_per_gpu_hour) : std::nullopt);
  json.Key("tokens_per_money");
  WriteOptional(json, priced && rate ? std::optional(TokensPerMoney(print, *rate)) : std::nullopt);
  WriteTraded(report.traded, json);
  json.Key("host_whole_requests").Int(report.whole_host_load);
  WriteLimits(report, json);
  WriteCurve(report, json);
  json.Key("remarks").BeginArray();
  for (const std::string& remark : CapacityRemarks(print)) json.String(remark);
  json.EndArray();
  json.EndObject();
  return absl::StrCat(out, "\n");
}

}  // namespace tierscope::cli

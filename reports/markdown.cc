#include "reports/markdown.h"

#include <cmath>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "simdjson.h"

#include "reports/format.h"
#include "reports/json_writer.h"
#include "reports/reconcile_reader.h"
#include "reports/result_reader.h"
#include "reports/schema/metrics.h"
#include "reports/text.h"
#include "reports/view.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;
using Runs = std::span<const RunReport>;

constexpr size_t kRowsMax = 200;  // of one table

std::string Plain(absl::string_view text) { return MarkdownEscaped(text); }

class Table {
 public:
  explicit Table(std::vector<std::string> columns) : columns_(std::move(columns)) {}
  void Add(std::vector<std::string> cells) {
    ++rows_;
    if (rows_ > kRowsMax) return;
    absl::StrAppend(&body_, "| ", absl::StrJoin(cells, " | "), " |\n");
  }
  std::string text() const {
    if (rows_ == 0) return "";
    std::string out = absl::StrCat("| ", absl::StrJoin(columns_, " | "), " |\n|");
    for (size_t i = 0; i < columns_.size(); ++i) out += "---|";
    absl::StrAppend(&out, "\n", body_);
    if (rows_ > kRowsMax) absl::StrAppend(&out, "\nand ", rows_ - kRowsMax, " rows more\n");
    return out + "\n";
  }

 private:
  std::vector<std::string> columns_;
  std::string body_;
  size_t rows_ = 0;
};

std::vector<std::string> ColumnsOfRuns(const char* first, Runs runs) {
  std::vector<std::string> columns = {first};
  for (size_t i = 0; i < runs.size(); ++i) {
    columns.push_back(runs.size() == 1 ? "value" : Plain(NumberedName(i, runs[i])));
  }
  return columns;
}

std::string SummarySection(Runs runs) {
  Table table(ColumnsOfRuns("", runs));
  const auto add = [&](const char* label, auto text) {
    std::vector<std::string> cells = {label};
    for (const RunReport& run : runs) cells.push_back(Plain(text(run.result)));
    table.Add(std::move(cells));
  };
  add("binding limit", [](const RunResult& r) {
    const std::string text = BindingText(r);
    return text.empty() ? std::string("none: no request waits to be admitted") : text;
  });
  const std::pair<const char*, const char*> kLines[] = {
      {"HBM of one rank, peak", "hbm_total_gib_peak"},
      {"host DRAM of the node, peak", "host_gib_peak"},
      {"coverage", "coverage"},
      {"stall per step", "stall_ms_per_token"},
      {"of decode time", "stall_fraction"},
      {"throughput", "throughput_tok_per_s"},
      {"requests decoding, mean", "concurrency_mean"},
      {"TPOT, p99", "tpot_ms_p99"}};
  for (const auto& line : kLines) {
    const char* metric = line.second;
    add(line.first, [metric](const RunResult& r) { return MetricText(r, metric); });
  }
  return absl::StrCat("## Summary\n\n", table.text());
}

std::string FootprintSection(Runs runs) {
  std::string out = "## Footprint\n\nPeak over the run, allocated.\n\n";
  for (const TierView& tier : TierViews(runs)) {
    Table table(ColumnsOfRuns(tier.tier == "hbm" ? "HBM, one rank" : "Host DRAM, node", runs));
    for (const PoolRow& pool : tier.pools) {
      std::vector<std::string> cells = {Plain(pool.pool)};
      for (const std::optional<int64_t>& bytes : pool.allocated_bytes) {
        cells.push_back(bytes ? Plain(FormatGib(*bytes)) : "-");
      }
      table.Add(std::move(cells));
    }
    std::vector<std::string> all = {"all pools"}, capacity = {"capacity"};
    for (size_t i = 0; i < runs.size(); ++i) {
      all.push_back(Plain(FormatGib(tier.allocated_bytes[i])));
      capacity.push_back(tier.capacity_bytes[i] > 0 ? Plain(FormatGib(tier.capacity_bytes[i]))
                                                    : "-");
    }
    table.Add(std::move(all));
    table.Add(std::move(capacity));
    absl::StrAppend(&out, table.text());
  }
  return out;
}

std::string StallSection(Runs runs) {
  Table table(ColumnsOfRuns("cause, ms per batch step", runs));
  for (const CauseRow& row : CauseRows(runs)) {
    std::vector<std::string> cells = {absl::StrCat(row.cause, ": ", Plain(row.meaning))};
    for (const std::optional<double>& ms : row.ms_per_step) {
      cells.push_back(ms ? FormatFixed(*ms, 3) : "-");
    }
    table.Add(std::move(cells));
  }
  return absl::StrCat("## Stall by cause\n\n", table.text());
}

// The value exactly as result.json has it.
std::string ExactMetric(const RunResult& result, absl::string_view name) {
  const Metric* metric = FindMetric(result, name);
  if (metric == nullptr) return "-";
  if (!HasValue(*metric)) return Plain(absl::StrCat("absent: ", metric->absent()));
  std::string text;
  AppendJsonNumber(metric->value(), &text);
  return text;
}

std::string MetricsSection(Runs runs) {
  std::vector<std::string> columns = ColumnsOfRuns("metric", runs);
  columns.insert(columns.end(), {"unit", "definition"});
  Table table(std::move(columns));
  for (const MetricDef& definition : MetricDefinitions()) {
    std::vector<std::string> cells = {absl::StrCat("`", definition.name, "`")};
    for (const RunReport& run : runs) cells.push_back(ExactMetric(run.result, definition.name));
    cells.insert(cells.end(), {std::string(definition.unit), Plain(definition.definition)});
    table.Add(std::move(cells));
  }
  return absl::StrCat("## Metrics\n\n", table.text());
}

std::string RemarksSection(Runs runs) {
  std::string out = "## Notes\n\n";
  for (size_t i = 0; i < runs.size(); ++i) {
    if (runs.size() > 1) absl::StrAppend(&out, Plain(NumberedName(i, runs[i])), "\n\n");
    for (const Violation& violation : runs[i].result.violations()) {
      absl::StrAppend(&out, "- **Violation, do not trust this result:** ", Plain(violation.what()),
                      "\n");
    }
    for (const std::string& note : runs[i].result.notes()) {
      absl::StrAppend(&out, "- ", Plain(note), "\n");
    }
    out += "\n";
  }
  return out;
}

std::string ProvenanceSection(Runs runs) {
  Table table(ColumnsOfRuns("", runs));
  const auto add = [&](const char* label, auto text) {
    std::vector<std::string> cells = {label};
    for (const RunReport& run : runs) cells.push_back(Plain(text(run.result)));
    table.Add(std::move(cells));
  };
  add("scenario", [](const RunResult& r) { return r.scenario(); });
  add("scenario digest", [](const RunResult& r) { return r.scenario_digest(); });
  add("seed", [](const RunResult& r) { return absl::StrCat(r.seed()); });
  add("event digest", [](const RunResult& r) { return r.event_digest(); });
  add("tierscope", [](const RunResult& r) { return r.version(); });
  add("kind", [](const RunResult& r) { return r.kind(); });
  add("inputs", [](const RunResult& r) {
    return absl::StrJoin(r.inputs(), "; ", [](std::string* out, const Input& input) {
      absl::StrAppend(out, input.role(), " ", input.name(), " ", input.digest());
    });
  });
  return absl::StrCat("## Provenance\n\n", table.text());
}

// A number, text or truth of a document.
std::string CellOf(const element& value) {
  std::string_view text;
  double number = 0;
  if (value.get(text) == simdjson::SUCCESS) return Plain(std::string(text));
  if (value.get(number) == simdjson::SUCCESS) {
    std::string out;
    AppendJsonNumber(number, &out);
    return out;
  }
  return value.is_null() ? "-" : Plain(simdjson::minify(value));
}

// A list of objects as a table, its columns those of the first.
std::string ObjectsTable(const element& document, const char* key) {
  array rows;
  if (document[key].get(rows)) return "";
  std::vector<std::string> names;
  std::optional<Table> table;
  for (const element row : rows) {
    object members;
    if (row.get(members)) return "";
    if (!table) {
      std::vector<std::string> columns;
      for (const auto& [name, value] : members) {
        names.emplace_back(name);
        columns.push_back(Plain(std::string(name)));
      }
      table.emplace(std::move(columns));
    }
    std::vector<std::string> cells;
    for (const std::string& name : names) {
      element value;
      cells.push_back(members[name].get(value) ? "-" : CellOf(value));
    }
    table->Add(std::move(cells));
  }
  return table ? table->text() : "";
}

// The members of a document that are no lists, as a table.
std::string ScalarsTable(const element& document) {
  object members;
  if (document.get(members)) return "";
  Table table({"", "value"});
  for (const auto& [name, value] : members) {
    if (value.is_array() || value.is_object()) continue;
    table.Add({Plain(std::string(name)), CellOf(value)});
  }
  return table.text();
}

// The front of a sweep: its points' axes and objectives.
std::string SweepText(const element& sweep) {
  array axes, front, metrics;
  if (sweep["axes"].get(axes) || sweep["front"].get(front) || sweep["metrics"].get(metrics))
    return "";
  std::vector<element> columns;
  std::vector<std::string> names = {"point"};
  const auto add = [&](const element& column) {
    std::string_view name;
    if (column["name"].get(name)) return;
    columns.push_back(column);
    names.push_back(Plain(std::string(name)));
  };
  for (const element axis : axes) add(axis);
  size_t shown = 0;
  for (const element metric : metrics) {
    if (shown++ < 8) add(metric);
  }
  Table table(std::move(names));
  for (const element point : front) {
    int64_t at = 0;
    if (point.get(at) || at < 0) continue;
    std::vector<std::string> cells = {absl::StrCat(at)};
    for (const element& column : columns) {
      element value;
      array values;
      if (column["values"].get(values) == simdjson::SUCCESS) {
        cells.push_back(values.at(static_cast<size_t>(at)).get(value) ? "-" : CellOf(value));
      } else {
        cells.push_back(column["constant"].get(value) ? "-" : CellOf(value));
      }
    }
    table.Add(std::move(cells));
  }
  return absl::StrCat("Pareto front over the sweep's objectives:\n\n", table.text());
}

// What reconcile.md or summary.md holds.
absl::StatusOr<std::string> ReconciliationSection(const std::string& path,
                                                  const std::string& json) {
  TIERSCOPE_ASSIGN_OR_RETURN(const ReconcileDocument document, ParseReconcile(json, path));
  if (!document.is_suite) {
    return ReconcileMarkdown(document.suite.scenarios[0], document.provenance) + "\n";
  }
  return absl::StrCat("## Reconciliation\n\n", SuiteMarkdown(document.suite, document.provenance),
                      "\n");
}

absl::StatusOr<std::string> DocumentSection(const ReportInput& input, const std::string& json) {
  simdjson::dom::parser parser;
  element document;
  if (const auto error = parser.parse(json).get(document)) {
    return absl::InvalidArgumentError(
        absl::StrCat(input.path, ": is not JSON: ", simdjson::error_message(error)));
  }
  switch (input.kind) {
    case ReportInputKind::kSweep:
      return absl::StrCat("## Sweep\n\n", ScalarsTable(document), SweepText(document));
    case ReportInputKind::kCapacity:
      return absl::StrCat("## Capacity\n\n", ScalarsTable(document),
                          ObjectsTable(document, "limits"), ObjectsTable(document, "curve"));
    case ReportInputKind::kValidation:
      return absl::StrCat("## Fidelity\n\n", ObjectsTable(document, "rows"),
                          ObjectsTable(document, "serving"), ObjectsTable(document, "kernels"));
    case ReportInputKind::kRun:  // a reconciliation that lies in its folder
    case ReportInputKind::kReconciliation:
      return ReconciliationSection(input.path, json);
  }
  return std::string();
}

}  // namespace

std::string BindingText(const RunResult& result) {
  const std::pair<const char*, const char*> kWaits[] = {
      {"admission_wait_fraction.slots", "requests at once (workload.concurrency)"},
      {"admission_wait_fraction.hbm", "HBM"},
      {"admission_wait_fraction.host", "host DRAM"},
      {"admission_wait_fraction.reserve", "page reserve"}};
  double most = 0.0;
  std::string text;
  for (const auto& [metric, name] : kWaits) {
    const double share = MetricValue(result, metric).value_or(0.0);
    if (share <= most) continue;
    most = share;
    text = absl::StrCat(name, ", for which the first in line waits ", FormatPercent(share),
                        " of the time");
  }
  return text;
}

absl::StatusOr<std::string> ReportMarkdown(std::span<const ReportInput> inputs,
                                           absl::string_view version) {
  std::vector<RunReport> runs;
  std::string documents;
  for (const ReportInput& input : inputs) {
    if (input.kind == ReportInputKind::kRun) {
      TIERSCOPE_ASSIGN_OR_RETURN(RunResult result, ParseResult(input.result, input.path));
      runs.push_back({std::move(result), HostResult()});
    }
    for (const std::string& json : {input.document, input.reconcile}) {
      if (json.empty()) continue;
      TIERSCOPE_ASSIGN_OR_RETURN(const std::string section, DocumentSection(input, json));
      documents += section;
    }
  }
  std::string out = "# tierscope report\n\n";
  if (!runs.empty()) {
    absl::StrAppend(&out, SummarySection(runs), FootprintSection(runs), StallSection(runs));
  }
  out += documents;
  if (!runs.empty()) {
    absl::StrAppend(&out, MetricsSection(runs), RemarksSection(runs), ProvenanceSection(runs));
  }
  return absl::StrCat(out, "Written by tierscope ", Plain(version), ".\n");
}

}  // namespace tierscope

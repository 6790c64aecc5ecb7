#include "cli/compare_history.h"

#include <cmath>
#include <cstdio>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "reports/compare/history.h"
#include "reports/json_writer.h"
#include "reports/text.h"
#include "sim/base/status_macros.h"

namespace tierscope::cli {
namespace {

Cell Text(absl::string_view text) { return Cell::String(tierscope::OneLine(text)); }

Cell Value(double value) {
  std::string text;
  AppendJsonNumber(value, &text);
  return Cell::String(text);
}

// "+5.00 %", or the difference where there is nothing to divide by.
Cell Change(double before, double after) {
  if (before == 0) return Cell::String(absl::StrFormat("%+.6g", after));
  return Cell::String(absl::StrFormat("%+.2f %%", (after - before) / std::abs(before) * 100));
}

void AddSeries(const MetricHistory& history, Rows* rows) {
  const std::vector<ChangePoint> changes = ChangesOf(history);
  size_t next = 0;
  for (size_t i = 0; i < history.values.size(); ++i) {
    const bool is_change = next < changes.size() && changes[next].at == i;
    rows->cells.push_back(
        {Text(history.scenario), Text(history.metric), Text(history.labels[i]),
         Value(history.values[i]), Text(history.unit),
         is_change ? Change(changes[next].before, changes[next].after) : Cell::String("")});
    next += is_change ? 1 : 0;
  }
}

void AddChanges(const MetricHistory& history, bool all, Rows* rows) {
  const std::vector<ChangePoint> changes = ChangesOf(history);
  const Cell runs = Cell::Count(static_cast<int64_t>(history.values.size()));
  for (const ChangePoint& change : changes) {
    rows->cells.push_back(
        {Text(history.scenario), Text(history.metric), runs, Text(history.labels[change.at]),
         Value(change.before), Value(change.after), Change(change.before, change.after),
         history.measured ? Cell::Number(change.probability, 3) : Cell::String("exact")});
  }
  if (!all || !changes.empty()) return;
  rows->cells.push_back({Text(history.scenario), Text(history.metric), runs, Cell::String("none"),
                         Value(history.values.front()), Value(history.values.back()),
                         Change(history.values.front(), history.values.back()), Cell::String("")});
}

std::string TextOf(const Rows& rows, OutputFormat format) {
  switch (format) {
    case OutputFormat::kTable:
      return rows.cells.empty() ? "nothing changed\n" : TableText(rows);
    case OutputFormat::kCsv:
      return CsvText(rows);
    case OutputFormat::kJson: {
      std::vector<std::string> objects;
      for (size_t i = 0; i < rows.cells.size(); ++i) objects.push_back(JsonObject(rows, i));
      return absl::StrCat("{\"trend\":[", absl::StrJoin(objects, ",\n"), "]}\n");
    }
  }
  return "";
}

}  // namespace

absl::Status RecordRuns(const RunSet& runs, const std::string& label, const std::string& path) {
  TIERSCOPE_ASSIGN_OR_RETURN(History history, History::Open(path, /*create=*/true));
  const std::string as = label.empty() ? runs.scenarios.front().identity.version() : label;
  TIERSCOPE_ASSIGN_OR_RETURN(const Recorded recorded, history.Record(runs, as));
  std::fprintf(stderr, "history: %lld runs, %lld values added as %s\n",
               static_cast<long long>(recorded.runs), static_cast<long long>(recorded.values),
               tierscope::OneLine(as).c_str());
  return absl::OkStatus();
}

absl::Status PrintTrend(const std::string& path, const std::string& metric, bool all,
                        OutputFormat format) {
  TIERSCOPE_ASSIGN_OR_RETURN(const History history, History::Open(path, /*create=*/false));
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<MetricHistory> series, history.Read(metric));
  Rows rows;
  rows.columns = metric.empty() ? std::vector<std::string>{"scenario", "metric", "runs",   "at",
                                                           "before",   "after",  "change", "p"}
                                : std::vector<std::string>{"scenario", "metric", "label",
                                                           "value",    "unit",   "change"};
  for (const MetricHistory& one : series) {
    if (metric.empty()) {
      AddChanges(one, all, &rows);
    } else {
      AddSeries(one, &rows);
    }
    if (one.left_out > 0 && !metric.empty()) {
      std::fprintf(stderr, "%s: %lld runs with another fingerprint or host are left out\n",
                   tierscope::OneLine(one.scenario).c_str(), static_cast<long long>(one.left_out));
    }
  }
  std::fputs(TextOf(rows, format).c_str(), stdout);
  return absl::OkStatus();
}

}  // namespace tierscope::cli

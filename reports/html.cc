#include "reports/html.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"

#include "reports/format.h"
#include "reports/html_chart.h"
#include "reports/html_remarks.h"
#include "reports/html_style.h"
#include "reports/schema/metrics.h"
#include "reports/text.h"
#include "reports/view.h"
#include "sim/base/check.h"

namespace tierscope {
namespace {

using Runs = std::span<const RunReport>;

// `text` is from a run, a label of ours, or a number: all go through here.
std::string Escaped(absl::string_view text) { return HtmlEscaped(OneLine(text)); }

std::string Title(Runs runs) {
  if (runs.size() == 1) return Escaped(runs[0].result.scenario());
  return absl::StrCat(runs.size(), " runs side by side");
}

std::string Head(Runs runs) {
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>",
      Title(runs), " - tierscope</title>\n<style>", kHtmlStyle, "</style>\n</head>\n");
}

std::string Header(Runs runs) {
  std::string out = absl::StrCat("<header>\n<p class=\"kicker\">tierscope report</p>\n<h1>",
                                 Title(runs), "</h1>\n");
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string name = runs.size() == 1 ? "" : NumberedName(i, runs[i]) + ": ";
    absl::StrAppend(&out, "<p class=\"muted\">", Escaped(name + RunSummary(runs[i])), "</p>\n");
  }
  return absl::StrCat(out, "</header>\n");
}

// What a summary card says of one run.
struct Statement {
  absl::string_view label;
  std::string figure;
  std::string sentence;
};

// "prefix value suffix", or nothing where the metric is absent.
std::string Said(const RunReport& run, absl::string_view prefix, absl::string_view metric,
                 absl::string_view suffix) {
  const std::string value = MetricText(run.result, metric);
  return value == "-" ? "" : absl::StrCat(prefix, value, suffix);
}

Statement MemoryStatement(absl::string_view label, absl::string_view tier_name,
                          const RunReport& run) {
  for (const TierView& tier : TierViews(Runs(&run, 1))) {
    if (tier.tier != tier_name) continue;
    const int64_t allocated = tier.allocated_bytes[0], capacity = tier.capacity_bytes[0];
    if (capacity <= 0) return {label, FormatGib(allocated), "capacity not known"};
    const double share = static_cast<double>(allocated) / static_cast<double>(capacity);
    return {label, FormatGib(allocated),
            absl::StrCat(FormatPercent(share), " of ", FormatGib(capacity))};
  }
  return {label, "none", "no pool on this tier"};
}

Statement CoverageStatement(const RunReport& run) {
  return {"Coverage", MetricText(run.result, "coverage"),
          absl::StrCat("of what the full history would select",
                       Said(run, "; of the prompt ", "coverage_prompt", ""))};
}

std::string LargestCause(const RunReport& run) {
  const std::vector<CauseRow> rows = CauseRows(Runs(&run, 1));
  const auto largest = std::max_element(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return a.share[0].value_or(0) < b.share[0].value_or(0);
  });
  const double share = largest->share[0].value_or(0);
  if (share <= 0) return "";
  return absl::StrCat("; most by ", largest->cause, ", ", FormatPercent(share));
}

Statement StallStatement(const RunReport& run) {
  return {"Stall per step", MetricText(run.result, "stall_ms_per_token"),
          absl::StrCat(Said(run, "", "stall_fraction", " of decode time"), LargestCause(run))};
}

Statement ThroughputStatement(const RunReport& run) {
  return {"Throughput", MetricText(run.result, "throughput_tok_per_s"),
          absl::StrCat(Said(run, "", "concurrency_mean", " requests decoding"),
                       Said(run, "; step p50 ", "step_ms_p50", ""))};
}

std::vector<Statement> Statements(const RunReport& run) {
  return {MemoryStatement("HBM of one rank", "hbm", run),
          MemoryStatement("Host DRAM of the node", "host", run), CoverageStatement(run),
          StallStatement(run), ThroughputStatement(run)};
}

std::string Cards(const RunReport& run) {
  std::string out = "<ul class=\"cards\" aria-label=\"Summary\">\n";
  for (const Statement& statement : Statements(run)) {
    absl::StrAppend(&out, "<li><span class=\"label\">", statement.label,
                    "</span> <span class=\"figure\">", Escaped(statement.figure),
                    "</span> <span class=\"sentence\">", Escaped(statement.sentence),
                    "</span></li>\n");
  }
  return absl::StrCat(out, "</ul>\n");
}

std::string RunColumns(Runs runs) {
  std::string out;
  for (size_t i = 0; i < runs.size(); ++i) {
    absl::StrAppend(&out, "<th scope=\"col\" class=\"number\">",
                    Escaped(Shortened(NumberedName(i, runs[i]), 24)), "</th>");
  }
  return out;
}

// A table that may be wider than the page scrolls by itself, with the keyboard too.
std::string Scrolling(absl::string_view label, absl::string_view table) {
  return absl::StrCat("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"", label,
                      "\">\n", table, "</div>\n");
}

std::string SummaryTable(Runs runs) {
  std::vector<std::vector<Statement>> by_run;
  for (const RunReport& run : runs) by_run.push_back(Statements(run));
  std::string out =
      absl::StrCat("<table><caption>The runs at a glance</caption>\n<thead><tr><td></td>",
                   RunColumns(runs), "</tr></thead>\n<tbody>\n");
  for (size_t row = 0; row < by_run[0].size(); ++row) {
    absl::StrAppend(&out, "<tr><th scope=\"row\">", by_run[0][row].label, "</th>");
    for (const std::vector<Statement>& statements : by_run) {
      absl::StrAppend(&out, "<td class=\"number\" title=\"", Escaped(statements[row].sentence),
                      "\">", Escaped(statements[row].figure), "</td>");
    }
    absl::StrAppend(&out, "</tr>\n");
  }
  return Scrolling("Summary", absl::StrCat(out, "</tbody></table>\n"));
}

std::string NumberCell(absl::string_view text) {
  return absl::StrCat("<td class=\"number\">", Escaped(text), "</td>");
}

std::string ShareText(int64_t bytes, int64_t capacity) {
  if (capacity <= 0) return "-";
  return FormatPercent(static_cast<double>(bytes) / static_cast<double>(capacity));
}

std::string BytesText(const std::optional<int64_t>& bytes) {
  return bytes ? FormatGib(*bytes) : "-";
}

std::string PoolTableOfOneRun(const TierView& tier) {
  const int64_t capacity = tier.capacity_bytes[0];
  std::string out = absl::StrCat(
      "<table><caption>", Escaped(tier.title), ": peak over the run by pool</caption>\n",
      "<thead><tr><th scope=\"col\">pool</th><th scope=\"col\" class=\"number\">allocated</th>",
      "<th scope=\"col\" class=\"number\">in use</th>",
      "<th scope=\"col\" class=\"number\">of capacity</th></tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < tier.pools.size(); ++i) {
    const PoolRow& pool = tier.pools[i];
    absl::StrAppend(
        &out, "<tr><th scope=\"row\">", Swatch(i), Escaped(pool.pool), "</th>",
        NumberCell(BytesText(pool.allocated_bytes[0])), NumberCell(BytesText(pool.in_use_bytes[0])),
        NumberCell(ShareText(pool.allocated_bytes[0].value_or(0), capacity)), "</tr>\n");
  }
  return absl::StrCat(
      out, "</tbody><tfoot><tr><th scope=\"row\">all pools</th>",
      NumberCell(FormatGib(tier.allocated_bytes[0])), NumberCell(FormatGib(tier.in_use_bytes[0])),
      NumberCell(ShareText(tier.allocated_bytes[0], capacity)), "</tr></tfoot></table>\n");
}

std::string PoolTableOfRuns(Runs runs, const TierView& tier) {
  std::string out = absl::StrCat("<table><caption>", Escaped(tier.title),
                                 ": peak allocated over the run by pool</caption>\n<thead><tr>"
                                 "<th scope=\"col\">pool</th>",
                                 RunColumns(runs), "</tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < tier.pools.size(); ++i) {
    absl::StrAppend(&out, "<tr><th scope=\"row\">", Swatch(i), Escaped(tier.pools[i].pool),
                    "</th>");
    for (const std::optional<int64_t>& bytes : tier.pools[i].allocated_bytes) {
      absl::StrAppend(&out, NumberCell(BytesText(bytes)));
    }
    absl::StrAppend(&out, "</tr>\n");
  }
  absl::StrAppend(&out, "</tbody><tfoot><tr><th scope=\"row\">all pools</th>");
  for (const int64_t bytes : tier.allocated_bytes) {
    absl::StrAppend(&out, NumberCell(FormatGib(bytes)));
  }
  return Scrolling("Memory by pool", absl::StrCat(out, "</tr></tfoot></table>\n"));
}

std::string CapacityText(const TierView& tier, size_t run) {
  if (tier.allocated_bytes[run] == 0) return "none";
  if (tier.capacity_bytes[run] <= 0) {
    return absl::StrCat(FormatGib(tier.allocated_bytes[run]), ", capacity not known");
  }
  return absl::StrCat(FormatGib(tier.allocated_bytes[run]), " of ",
                      FormatGib(tier.capacity_bytes[run]), ", ",
                      ShareText(tier.allocated_bytes[run], tier.capacity_bytes[run]));
}

std::string TierSection(Runs runs, const TierView& tier) {
  int64_t full_bytes = 1;  // all bars of a tier have one scale
  for (size_t i = 0; i < runs.size(); ++i) {
    full_bytes = std::max({full_bytes, tier.allocated_bytes[i], tier.capacity_bytes[i]});
  }
  std::string out = absl::StrCat("<div class=\"memory\">\n<h3>", Escaped(tier.title), "</h3>\n");
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string name = runs.size() == 1 ? "" : NumberedName(i, runs[i]) + ": ";
    absl::StrAppend(&out, "<p class=\"barname\">", Escaped(name + CapacityText(tier, i)), "</p>\n",
                    tier.allocated_bytes[i] > 0 ? StackedBar(tier, i, full_bytes) : "");
  }
  absl::StrAppend(&out, "</div>\n",
                  runs.size() == 1 ? PoolTableOfOneRun(tier) : PoolTableOfRuns(runs, tier));
  return out;
}

std::string MemorySection(Runs runs) {
  const std::vector<TierView> tiers = TierViews(runs);
  if (tiers.empty()) return "";
  std::string out =
      "<h2>Memory</h2>\n<p class=\"muted\">The bar is the capacity; pale is allocated and not in "
      "use; grey is free.</p>\n";
  for (const TierView& tier : tiers) absl::StrAppend(&out, TierSection(runs, tier));
  return out;
}

// The largest stall per step of any run and cause: the scale of the bars.
double LargestMsPerStep(const std::vector<CauseRow>& rows) {
  double largest = 0;
  for (const CauseRow& row : rows) {
    for (const std::optional<double>& ms : row.ms_per_step) {
      largest = std::max(largest, ms.value_or(0));
    }
  }
  return largest;
}

std::string StallText(const std::optional<double>& ms) {
  return ms ? absl::StrCat(FormatFixed(*ms, 3), " ms") : "-";
}

std::string CauseCells(const CauseRow& row, double largest_ms) {
  std::string out;
  for (const std::optional<double>& ms : row.ms_per_step) {
    const double share = largest_ms > 0 ? ms.value_or(0) / largest_ms : 0;
    absl::StrAppend(&out, NumberCell(StallText(ms)), "<td class=\"chart\">", ShareBar(share),
                    "</td>");
  }
  return out;
}

std::string StallHeadings(Runs runs) {
  if (runs.size() == 1) {
    return "<th scope=\"col\" class=\"number\">per step</th><td></td>";
  }
  std::string out;
  for (size_t i = 0; i < runs.size(); ++i) {
    absl::StrAppend(&out, "<th scope=\"colgroup\" colspan=\"2\">",
                    Escaped(Shortened(NumberedName(i, runs[i]), 24)), "</th>");
  }
  return out;
}

std::string StallSection(Runs runs) {
  const std::vector<CauseRow> rows = CauseRows(runs);
  const double largest_ms = LargestMsPerStep(rows);
  std::string out =
      absl::StrCat("<table class=\"", runs.size() == 1 ? "one" : "many",
                   "\"><caption>What a batch step waits for, mean; the causes add up to the "
                   "stall per step</caption>\n<thead><tr><th scope=\"col\">cause</th>",
                   StallHeadings(runs), "</tr></thead>\n<tbody>\n");
  for (const CauseRow& row : rows) {
    const std::string meaning = Escaped(row.meaning);
    absl::StrAppend(&out, "<tr title=\"", meaning, "\"><th scope=\"row\">", row.cause);
    if (runs.size() == 1) {
      absl::StrAppend(&out, " <span class=\"muted meaning\">", meaning, "</span>");
    }
    absl::StrAppend(&out, "</th>", CauseCells(row, largest_ms), "</tr>\n");
  }
  absl::StrAppend(&out, "</tbody><tfoot><tr><th scope=\"row\">all causes</th>");
  for (const RunReport& run : runs) {
    const std::optional<double> ms = MetricValue(run.result, "stall_ms_per_token");
    absl::StrAppend(&out, NumberCell(StallText(ms)), "<td></td>");
  }
  return absl::StrCat("<h2>Stall by cause</h2>\n",
                      Scrolling("Stall by cause", absl::StrCat(out, "</tr></tfoot></table>\n")));
}

// The cell of one metric of one run; an absent one says why.
std::string MetricCell(const RunResult& result, absl::string_view name) {
  const Metric* metric = FindMetric(result, name);
  if (metric == nullptr) return "<td class=\"number absent\">not in this result</td>";
  if (HasValue(*metric)) return NumberCell(FormatValue(metric->value(), metric->unit()));
  return absl::StrCat("<td class=\"number absent\">absent: ", Escaped(metric->absent()), "</td>");
}

std::string MetricRow(Runs runs, const MetricDef& definition) {
  // A fraction is shown as percent, so its unit would only confuse.
  const bool fraction = definition.unit == "fraction";
  std::string out = absl::StrCat("<tr title=\"", Escaped(definition.definition),
                                 "\"><th scope=\"row\">", definition.name, "</th>");
  for (const RunReport& run : runs) absl::StrAppend(&out, MetricCell(run.result, definition.name));
  return absl::StrCat(out, "<td class=\"unit\">", fraction ? "" : definition.unit,
                      "</td><td class=\"extra\">", definition.scope,
                      "</td><td class=\"definition\">", Escaped(definition.definition),
                      "</td></tr>\n");
}

std::string MetricsSection(Runs runs) {
  std::string out = absl::StrCat(
      "<table class=\"metrics", runs.size() == 1 ? " one" : "",
      "\"><caption>Every metric with its unit, scope and formula; percentiles are "
      "nearest-rank</caption>\n<thead><tr><th scope=\"col\">metric</th>",
      runs.size() == 1 ? "<th scope=\"col\" class=\"number\">value</th>" : RunColumns(runs),
      "<th scope=\"col\">unit</th><th scope=\"col\" class=\"extra\">scope</th>",
      "<th scope=\"col\">definition</th></tr></thead>\n<tbody>\n");
  for (const MetricDef& definition : MetricDefinitions()) {
    absl::StrAppend(&out, MetricRow(runs, definition));
  }
  return absl::StrCat("<h2>Metrics</h2>\n",
                      Scrolling("Metrics", absl::StrCat(out, "</tbody></table>\n")));
}

}  // namespace

std::string ReportHtml(Runs runs) {
  TIERSCOPE_CHECK(!runs.empty());
  return absl::StrCat(Head(runs), "<body>\n", Header(runs), "<main>\n", HtmlViolations(runs),
                      runs.size() == 1 ? Cards(runs[0]) : SummaryTable(runs), MemorySection(runs),
                      StallSection(runs), MetricsSection(runs), HtmlNotes(runs),
                      HtmlProvenance(runs), "</main>\n</body>\n</html>\n");
}

}  // namespace tierscope

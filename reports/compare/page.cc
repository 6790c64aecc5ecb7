#include "absl/strings/str_cat.h"

#include "reports/compare/documents.h"
#include "reports/compare/rows.h"
#include "reports/text.h"

namespace tierscope {
namespace {

constexpr char kStyle[] = R"css(
:root { color-scheme: light dark; --ink: #16191d; --page: #fff; --rule: #d9dde2; --muted: #59616b; --bad: #a82a00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ec; --page: #14171a; --rule: #343a41; --muted: #a2abb5; --bad: #ff9d75; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.5rem; max-width: 80rem; color: var(--ink); background: var(--page);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1, h2 { line-height: 1.25; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--ink); }
table { border-collapse: collapse; width: 100%; font-size: 0.8125rem; margin: 0.5rem 0 1.5rem; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--rule); padding: 0.25rem 0.75rem 0.25rem 0; text-align: left; vertical-align: top;
  white-space: nowrap; overflow-wrap: normal; }
th { color: var(--muted); }
.number { text-align: right; }
.why { white-space: normal; min-width: 7rem; }
.muted { color: var(--muted); }
.fails { color: var(--bad); font-weight: 650; }
@media (max-width: 40rem) {
  body { padding: 1rem; }
  h1 { font-size: 1.4rem; }
  h2 { font-size: 1.15rem; }
}
@media print {
  :root { --ink: #000; --page: #fff; --rule: #bbb; --muted: #444; --bad: #8c2300; }
  body { padding: 0; max-width: none; font-size: 10pt; }
  .scroll { overflow: visible; }
  table { font-size: 6pt; }
  .why { min-width: 0; }
  tr { break-inside: avoid; }
  h2 { break-after: avoid; }
}
)css";

std::string Html(absl::string_view text) { return HtmlEscaped(OneLine(text)); }

std::string Row(const MetricComparison& comparison) {
  const ComparisonCells cells = CellsOf(comparison);
  return absl::StrCat("<tr><td>", Html(comparison.scenario), "</td><td>", Html(comparison.metric),
                      "</td><td", comparison.fails ? " class=\"fails\"" : "", ">",
                      comparison.fails ? "fails: " : "", VerdictName(comparison.verdict),
                      "</td><td class=\"number\">", cells.base, "</td><td class=\"number\">",
                      cells.next, "</td><td>", Html(comparison.unit), "</td><td class=\"number\">",
                      cells.change, "</td><td class=\"number\">", cells.samples,
                      "</td><td class=\"why\">", Html(cells.why), "</td></tr>\n");
}

// The metrics for which `shown` holds, or nothing.
template <typename Shown>
std::string Table(const Comparison& comparison, absl::string_view title, Shown shown) {
  std::string rows;
  for (const MetricComparison& metric : comparison.metrics) {
    if (shown(metric)) absl::StrAppend(&rows, Row(metric));
  }
  if (rows.empty()) return "";
  return absl::StrCat(
      "<h2>", title,
      "</h2>\n<div class=\"scroll\" role=\"region\" tabindex=\"0\" "
      "aria-label=\"",
      title,
      "\">\n<table>\n<thead><tr><th scope=\"col\">scenario</th>"
      "<th scope=\"col\">metric</th><th scope=\"col\">verdict</th>"
      "<th scope=\"col\" class=\"number\">base</th>"
      "<th scope=\"col\" class=\"number\">new</th><th scope=\"col\">unit</th>"
      "<th scope=\"col\" class=\"number\">change</th>"
      "<th scope=\"col\" class=\"number\">samples</th><th scope=\"col\" class=\"why\">why</th>"
      "</tr></thead>\n<tbody>\n",
      rows, "</tbody>\n</table>\n</div>\n");
}

std::string Remarks(const Comparison& comparison) {
  std::string items;
  for (const Problem& problem : comparison.problems) {
    absl::StrAppend(&items, "<li class=\"fails\">", Html(problem.scenario),
                    problem.scenario.empty() ? "" : ": ", Html(problem.what), "</li>\n");
  }
  for (const std::string& note : comparison.notes) {
    absl::StrAppend(&items, "<li>", Html(note), "</li>\n");
  }
  return items.empty() ? "" : absl::StrCat("<ul>\n", items, "</ul>\n");
}

}  // namespace

std::string ComparisonHtml(const Comparison& comparison) {
  const auto fails = [](const MetricComparison& metric) { return metric.fails; };
  const auto differs = [](const MetricComparison& m) { return !m.fails && !IsDull(m); };
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
      "<title>tierscope compare</title>\n<style>",
      kStyle, "</style>\n</head>\n<body>\n<h1>tierscope compare: <span",
      comparison.passes ? "" : " class=\"fails\"", ">", Html(Headline(comparison)),
      "</span></h1>\n<p>", Html(CountsText(comparison)), "</p>\n<p class=\"muted\">base ",
      Html(comparison.base_path), ", version ", Html(comparison.base_version), "; new ",
      Html(comparison.next_path), ", version ", Html(comparison.next_version), "</p>\n",
      Remarks(comparison), Table(comparison, "What fails", fails),
      Table(comparison, "What else differs", differs), Table(comparison, "The same", IsDull),
      "</body>\n</html>\n");
}

}  // namespace tierscope

// tierscope compare: new runs against a base, with a verdict a metric.
#include "reports/compare/compare.h"

#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/compare_history.h"
#include "cli/rows.h"
#include "cli/verb.h"

#include "reports/atomic_file.h"
#include "reports/compare/documents.h"
#include "reports/compare/rows.h"
#include "reports/text.h"
#include "sim/base/quoted.h"
#include "sim/base/status_macros.h"

namespace tierscope::cli {
namespace {

struct CompareArguments {
  std::string base, next;
  std::string gates, today;
  std::string across;
  bool simulated_only = false;
  bool all = false;
  std::string format = "table";
  std::string markdown, junit, html, json;  // files
  std::string history, label, trend;
  bool record = false;
  bool trend_given = false;
};

constexpr FingerprintGroup kAllowable[] = {FingerprintGroup::kScenario, FingerprintGroup::kTrace,
                                           FingerprintGroup::kModel, FingerprintGroup::kDevice};

absl::StatusOr<std::set<FingerprintGroup>> ParseAcross(const std::string& list) {
  std::set<FingerprintGroup> across;
  for (const absl::string_view name : absl::StrSplit(list, ',', absl::SkipEmpty())) {
    bool known = false;
    for (const FingerprintGroup group : kAllowable) {
      if (GroupName(group) != name) continue;
      across.insert(group);
      known = true;
    }
    if (!known) {
      return absl::InvalidArgumentError(absl::StrCat("--across: unknown part ", Quoted(name),
                                                     "; use scenario, trace, model, device"));
    }
  }
  return across;
}

std::string TodayOfSystem() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[11];
  std::strftime(text, sizeof text, "%Y-%m-%d", &utc);
  return text;
}

absl::StatusOr<CompareOptions> OptionsOf(const CompareArguments& arguments) {
  CompareOptions options;
  TIERSCOPE_ASSIGN_OR_RETURN(options.across, ParseAcross(arguments.across));
  options.today = arguments.today.empty() ? TodayOfSystem() : arguments.today;
  if (!IsDate(options.today)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--today: ", Quoted(options.today), " is no date; give YYYY-MM-DD"));
  }
  if (!arguments.gates.empty()) {
    TIERSCOPE_ASSIGN_OR_RETURN(options.gates, ReadGates(arguments.gates));
  }
  return options;
}

Rows TableOf(const Comparison& comparison, bool all) {
  Rows rows = {{"scenario", "metric", "verdict", "base", "new", "change", "samples", "why"}, {}};
  for (const MetricComparison& metric : comparison.metrics) {
    if (!all && IsDull(metric)) continue;
    const ComparisonCells cells = CellsOf(metric);
    const std::string verdict =
        absl::StrCat(metric.fails ? "FAIL " : "", VerdictName(metric.verdict));
    rows.cells.push_back(
        {Cell::String(tierscope::OneLine(metric.scenario)), Cell::String(metric.metric),
         Cell::String(verdict), Cell::String(cells.base), Cell::String(cells.next),
         Cell::String(cells.change), Cell::String(cells.samples), Cell::String(cells.why)});
  }
  return rows;
}

std::string TableTextOf(const Comparison& comparison, bool all) {
  std::string text = absl::StrCat(Headline(comparison), "\n  ", CountsText(comparison), "\n");
  for (const Problem& problem : comparison.problems) {
    absl::StrAppend(&text, "FAIL ", tierscope::OneLine(problem.scenario),
                    problem.scenario.empty() ? "" : ": ", tierscope::OneLine(problem.what), "\n");
  }
  for (const std::string& note : comparison.notes) {
    absl::StrAppend(&text, "note: ", tierscope::OneLine(note), "\n");
  }
  const Rows rows = TableOf(comparison, all);
  if (!rows.cells.empty()) absl::StrAppend(&text, "\n", TableText(rows));
  return text;
}

std::string TextOf(const Comparison& comparison, OutputFormat format, bool all) {
  switch (format) {
    case OutputFormat::kTable:
      return TableTextOf(comparison, all);
    case OutputFormat::kCsv:
      return ComparisonCsv(comparison);
    case OutputFormat::kJson:
      return ComparisonJson(comparison);
  }
  return "";
}

// CSV has rows for metrics alone: what else fails is said beside it.
void PrintProblems(const Comparison& comparison) {
  for (const Problem& problem : comparison.problems) {
    std::fprintf(stderr, "FAIL %s%s%s\n", tierscope::OneLine(problem.scenario).c_str(),
                 problem.scenario.empty() ? "" : ": ", tierscope::OneLine(problem.what).c_str());
  }
}

absl::Status WriteDocuments(const CompareArguments& arguments, const Comparison& comparison) {
  const std::pair<const std::string&, std::string (*)(const Comparison&)> documents[] = {
      {arguments.markdown, [](const Comparison& c) { return ComparisonMarkdown(c); }},
      {arguments.junit, ComparisonJunit},
      {arguments.html, ComparisonHtml},
      {arguments.json, ComparisonJson}};
  for (const auto& [path, document] : documents) {
    if (path.empty()) continue;
    TIERSCOPE_RETURN_IF_ERROR(WriteFileAtomically(path, document(comparison)));
  }
  return absl::OkStatus();
}

absl::Status CheckArguments(const CompareArguments& arguments) {
  const bool uses_history = arguments.record || arguments.trend_given;
  if (uses_history == arguments.history.empty()) {
    return absl::InvalidArgumentError("--history goes with --record or --trend; give both");
  }
  if (arguments.trend_given && (arguments.record || !arguments.base.empty())) {
    return absl::InvalidArgumentError(
        "--trend reads the history alone; leave out runs and --record");
  }
  if (!arguments.trend_given && !arguments.record && arguments.next.empty()) {
    return absl::InvalidArgumentError("give two sides, BASE and NEW");
  }
  if (arguments.record && arguments.base.empty()) {
    return absl::InvalidArgumentError("--record: give the runs to record");
  }
  return absl::OkStatus();
}

// Compares and prints; the exit code. What cannot be compared leaves no document.
absl::StatusOr<int> CompareSides(const CompareArguments& arguments, OutputFormat format,
                                 const RunSet& next) {
  TIERSCOPE_ASSIGN_OR_RETURN(const CompareOptions options, OptionsOf(arguments));
  TIERSCOPE_ASSIGN_OR_RETURN(const RunSet base,
                             LoadRunSet(arguments.base, arguments.simulated_only));
  const absl::StatusOr<Comparison> comparison = Compare(base, next, options);
  if (!comparison.ok()) {
    const int code = ExitCode(comparison.status());
    return absl::IsFailedPrecondition(comparison.status()) ? kExitNotComparable : code;
  }
  std::fputs(TextOf(*comparison, format, arguments.all).c_str(), stdout);
  if (format == OutputFormat::kCsv) PrintProblems(*comparison);
  TIERSCOPE_RETURN_IF_ERROR(WriteDocuments(arguments, *comparison));
  return comparison->passes ? kExitDone : kExitBoundFailed;
}

absl::StatusOr<int> RunCompare(const CompareArguments& arguments) {
  TIERSCOPE_RETURN_IF_ERROR(CheckArguments(arguments));
  TIERSCOPE_ASSIGN_OR_RETURN(const OutputFormat format, ParseOutputFormat(arguments.format));
  if (arguments.trend_given) {
    TIERSCOPE_RETURN_IF_ERROR(
        PrintTrend(arguments.history, arguments.trend, arguments.all, format));
    return kExitDone;
  }
  const bool compares = !arguments.next.empty();
  TIERSCOPE_ASSIGN_OR_RETURN(
      const RunSet next,
      LoadRunSet(compares ? arguments.next : arguments.base, arguments.simulated_only));
  int code = kExitDone;
  if (compares) {
    TIERSCOPE_ASSIGN_OR_RETURN(code, CompareSides(arguments, format, next));
  }
  if (arguments.record && code <= kExitBoundFailed) {
    TIERSCOPE_RETURN_IF_ERROR(RecordRuns(next, arguments.label, arguments.history));
  }
  return code;
}

}  // namespace

void AddCompareVerb(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<CompareArguments>();
  CLI::App* verb = app.add_subcommand(
      "compare",
      "Compare runs with a base: 0 passed, 1 a metric fails, 2 wrong input, 3 not comparable");
  verb->add_option("BASE", options->base,
                   "run folder, folder of run folders, or file with results");
  verb->add_option("NEW", options->next, "the same of what is judged");
  verb->add_option("--gates", options->gates,
                   "gates.txtpb: direction, tolerance and severity by metric, and waivers");
  verb->add_option("--today", options->today, "YYYY-MM-DD, for waivers [the system's date, UTC]");
  verb->add_option("--across", options->across,
                   "compare although these differ: scenario, trace, model, device");
  verb->add_flag("--simulated", options->simulated_only,
                 "leave out what was measured: host.json and samples.csv");
  verb->add_flag("--all", options->all, "list what is the same, too");
  verb->add_option("--format", options->format, "table, csv or json, to stdout")
      ->capture_default_str();
  verb->add_option("--markdown", options->markdown, "file for a pull-request comment");
  verb->add_option("--junit", options->junit, "file of JUnit XML");
  verb->add_option("--html", options->html, "file of the page");
  verb->add_option("--json", options->json, "file of what --format=json prints");
  verb->add_option("--history", options->history, "SQLite file of results over time");
  verb->add_flag("--record", options->record, "add NEW, or the one side given, to the history");
  verb->add_option("--label", options->label, "what was run, usually a commit [its version]");
  CLI::Option* trend = verb->add_option("--trend", options->trend,
                                        "what changed over time, or the values of one metric");
  trend->expected(0, 1);
  verb->callback([options, trend, exit_code] {
    options->trend_given = trend->count() > 0;
    const absl::StatusOr<int> code = RunCompare(*options);
    *exit_code = code.ok() ? *code : ExitCode(code.status());
  });
}

}  // namespace tierscope::cli

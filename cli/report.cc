// tierscope report: runs, sweeps, capacities, reconciliations and validations as one interactive
// page, as Markdown, or as one timeline.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/timeline_window.h"
#include "cli/verb.h"

#include "reports/atomic_file.h"
#include "reports/markdown.h"
#include "reports/page.h"
#include "reports/page_files.h"
#include "reports/report_input.h"
#include "reports/result_reader.h"
#include "reports/timeline_reader.h"
#include "sim/base/quoted.h"
#include "sim/base/status_macros.h"

namespace tierscope::cli {
namespace {

constexpr size_t kInputsMax = 64;

struct ReportOptions {
  std::vector<std::string> inputs;
  std::string out;
  std::string format = "html";
  std::string timeline;
  std::string timeline_window;
};

// Where the report goes: into the first folder, or of a file into the current one.
std::string OutPath(const ReportOptions& options, const std::vector<ReportInput>& inputs) {
  if (!options.out.empty()) return options.out;
  const char* name = options.format == "html" ? "interactive.html" : "report.md";
  const ReportInput& first = inputs.front();
  return first.is_folder ? absl::StrCat(first.path, "/", name) : name;
}

absl::StatusOr<std::vector<ReportInput>> ReadInputs(const ReportOptions& options) {
  if (options.inputs.size() > kInputsMax) {
    return absl::InvalidArgumentError(absl::StrCat("a report takes at most ", kInputsMax,
                                                   " inputs, not ", options.inputs.size()));
  }
  std::vector<ReportInput> inputs;
  for (const std::string& path : options.inputs) {
    TIERSCOPE_ASSIGN_OR_RETURN(ReportInput input, ReadReportInput(path));
    inputs.push_back(std::move(input));
  }
  return inputs;
}

absl::Status WriteText(const std::string& path, const std::string& text) {
  if (path == "-") {
    const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
    if (written && std::fflush(stdout) == 0) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat("standard output: ", std::strerror(errno)));
  }
  TIERSCOPE_RETURN_IF_ERROR(WriteFileAtomically(path, text));
  std::fprintf(stderr, "report: %s\n", OneLine(path).c_str());
  return absl::OkStatus();
}

// Every run becomes a process of its own, named by kind and scenario.
absl::Status WriteTimeline(const ReportOptions& options, const std::vector<ReportInput>& inputs) {
  TIERSCOPE_ASSIGN_OR_RETURN(const TimelineWindow window,
                             ParseTimelineWindow(options.timeline_window));
  TimelineJoin join;
  if (window.begin) {
    join.begin_s = ToSeconds(*window.begin);
    join.end_s = ToSeconds(window.end);
  }
  std::vector<TimelinePart> parts;
  size_t with_timeline = 0, with_phases = 0;
  for (const ReportInput& input : inputs) {
    if (input.timeline.empty() && input.phases.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          input.path,
          ": has neither timeline.json nor phases.csv: give run folders of scenarios with "
          "engine.timeline_s above 0"));
    }
    const auto file = [&](const std::string& content, const char* name) {
      return content.empty() ? std::string() : absl::StrCat(input.path, "/", name);
    };
    TIERSCOPE_ASSIGN_OR_RETURN(const RunResult result, ParseResult(input.result, input.path));
    parts.push_back({absl::StrCat(result.kind(), ": ", result.scenario()),
                     file(input.timeline, "timeline.json"), file(input.phases, "phases.csv")});
    with_timeline += input.timeline.empty() ? 0 : 1;
    with_phases += input.phases.empty() ? 0 : 1;
  }
  if (with_timeline < inputs.size() && with_phases < inputs.size()) {
    return absl::InvalidArgumentError(
        "--timeline: some runs have only timeline.json and others only phases.csv, whose tracks "
        "differ; run all of them with this tierscope");
  }
  TIERSCOPE_RETURN_IF_ERROR(JoinTimelines(parts, join, options.timeline));
  std::fprintf(stderr, "timeline: %s\n", OneLine(options.timeline).c_str());
  return absl::OkStatus();
}

absl::Status Report(ReportOptions options) {
  if (options.format != "html" && options.format != "markdown") {
    return absl::InvalidArgumentError(
        absl::StrCat("--format: ", Quoted(options.format), " is neither html nor markdown"));
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<ReportInput> inputs, ReadInputs(options));
  if (!options.timeline.empty()) return WriteTimeline(options, inputs);
  const PageFiles files = EmbeddedPageFiles();
  if (options.format == "html" && files.libraries.empty()) {
    std::fprintf(stderr, "no interactive report, Markdown instead: %s\n",
                 std::string(files.missing).c_str());
    options.format = "markdown";
    if (!options.out.empty() && options.out != "-") options.out += ".md";
  }
  std::string text;
  if (options.format == "html") {
    TIERSCOPE_ASSIGN_OR_RETURN(text, PageHtml(inputs, TIERSCOPE_VERSION, files));
  } else {
    TIERSCOPE_ASSIGN_OR_RETURN(text, ReportMarkdown(inputs, TIERSCOPE_VERSION));
  }
  return WriteText(OutPath(options, inputs), text);
}

}  // namespace

void AddReportVerb(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App* verb = app.add_subcommand(
      "report", "One interactive page of runs, sweeps, capacities, reconciliations, validations");
  verb->add_option(
          "INPUT", options->inputs,
          "folders of run and reconcile, and files with what sweep, capacity, validate and "
          "reconcile give as JSON")
      ->required();
  verb->add_option("--out", options->out,
                   "file to write, - is standard output [interactive.html or report.md in the "
                   "first folder]");
  verb->add_option("--format", options->format, "html or markdown")->capture_default_str();
  verb->add_option("--timeline", options->timeline,
                   "instead: join the runs' timelines into this file, a process a run");
  verb->add_option("--timeline-window", options->timeline_window,
                   "BEGIN,END: of the timelines only this, in seconds of each run's time");
  verb->callback([options, exit_code] { *exit_code = ExitCode(Report(*options)); });
}

}  // namespace tierscope::cli

// tierscope sweep: one scenario at many points, resumable.
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/rows.h"
#include "cli/run.h"
#include "cli/sweep_local.h"
#include "cli/sweep_points.h"
#include "cli/sweep_table.h"
#include "cli/verb.h"

#include "reports/format.h"
#include "reports/results_store.h"
#include "scenarios/loader.h"
#include "sim/base/status_macros.h"
#include "sim/planner/sweep_plan.h"

namespace tierscope::cli {
namespace {

struct SweepArguments {
  std::string sweep;
  SweepOptions options;
  std::string results;
  std::string format = "table";
  int jobs = 1;
  int64_t explain = -1;
  int64_t scenario_of = -1;
  std::string out;
  bool overwrite = false;
};

std::string DefaultResults(const SweepPlan& plan) {
  return absl::StrCat("tierscope-runs/", plan.name, ".sweep");
}

// The points without a row in the store.
absl::StatusOr<std::vector<int64_t>> Pending(const SweepWork& work, const ResultsStore& store) {
  std::vector<int64_t> pending;
  for (size_t i = 0; i < work.keys.size(); ++i) {
    TIERSCOPE_ASSIGN_OR_RETURN(const bool there, store.Has(work.keys[i]));
    if (!there) pending.push_back(static_cast<int64_t>(i));
  }
  return InDemandOrder(work, std::move(pending));
}

absl::Status RunPending(const SweepPoints& points, const SweepWork& work, int jobs,
                        ResultsStore& store) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<int64_t> pending, Pending(work, store));
  std::fprintf(stderr, "%s: %s points, %s to run\n", points.plan().name.c_str(),
               FormatCount(points.count()).c_str(),
               FormatCount(static_cast<int64_t>(pending.size())).c_str());
  if (pending.empty()) return absl::OkStatus();
  TIERSCOPE_ASSIGN_OR_RETURN(const LocalRun run, RunPoints(points, work, pending, jobs, store));
  std::fprintf(stderr,
               "  %s points in %.2f s, %.1f points/s; distilling %.2f s of all threads' time",
               FormatCount(static_cast<int64_t>(pending.size())).c_str(), run.wall_s,
               static_cast<double>(pending.size()) / run.wall_s, run.distil_wall_s);
  if (run.generate_wall_s > 0) {
    std::fprintf(stderr, "; generating traces %.2f s before that", run.generate_wall_s);
  }
  std::fprintf(stderr, "\n");
  return absl::OkStatus();
}

absl::Status Print(const SweepPoints& points, const SweepWork& work, const ResultsStore& store,
                   OutputFormat format) {
  switch (format) {
    case OutputFormat::kCsv:
      return PrintCsv(points, work, store);
    case OutputFormat::kTable:
    case OutputFormat::kJson:
      break;
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const SweepValues values, ReadValues(points, work, store));
  if (format == OutputFormat::kJson) return PrintJson(points, work, values, store);
  std::printf("%s", SummaryText(points, values).c_str());
  return absl::OkStatus();
}

absl::Status CheckPoint(const SweepPoints& points, int64_t point) {
  if (point >= 0 && point < points.count()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(points.plan().file, ": there is no point ", point,
                                                 "; its points are 0 to ", points.count() - 1));
}

// One point as `tierscope run` runs it, with its timeline.
absl::Status Explain(const SweepArguments& arguments, const SweepPoints& points,
                     std::chrono::steady_clock::time_point begin) {
  TIERSCOPE_RETURN_IF_ERROR(CheckPoint(points, arguments.explain));
  RunOptions options;
  options.scenarios = {points.plan().scenario_path};
  options.sets = points.Sets(arguments.explain);
  options.out = arguments.out.empty() ? absl::StrCat("tierscope-runs/", points.plan().name,
                                                     "-point-", arguments.explain)
                                      : arguments.out;
  options.overwrite = arguments.overwrite;
  options.format = arguments.format;
  return RunScenarios(options, begin);
}

absl::Status PrintScenario(const SweepPoints& points, int64_t point) {
  TIERSCOPE_RETURN_IF_ERROR(CheckPoint(points, point));
  TIERSCOPE_ASSIGN_OR_RETURN(const Scenario scenario, points.Resolve(point));
  std::printf("%s", ScenarioText(scenario).c_str());
  return absl::OkStatus();
}

absl::Status Execute(const SweepArguments& arguments, std::chrono::steady_clock::time_point begin) {
  if (arguments.sweep.empty()) {
    return absl::InvalidArgumentError("sweep: name a sweep file (.txtpb); tierscope sweep --help");
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const OutputFormat format, ParseOutputFormat(arguments.format));
  TIERSCOPE_ASSIGN_OR_RETURN(const SweepPlan plan, LoadSweep(arguments.sweep, arguments.options));
  const SweepPoints points(plan);
  if (arguments.scenario_of >= 0) return PrintScenario(points, arguments.scenario_of);
  if (arguments.explain >= 0) return Explain(arguments, points, begin);
  TIERSCOPE_ASSIGN_OR_RETURN(
      ResultsStore store,
      ResultsStore::Open(arguments.results.empty() ? DefaultResults(plan) : arguments.results));
  TIERSCOPE_ASSIGN_OR_RETURN(const SweepWork work, PlanWork(points, arguments.jobs));
  TIERSCOPE_RETURN_IF_ERROR(RunPending(points, work, arguments.jobs, store));
  return Print(points, work, store, format);
}

}  // namespace

void AddSweepVerb(CLI::App& app, int* exit_code) {
  const auto begin = std::chrono::steady_clock::now();
  auto arguments = std::make_shared<SweepArguments>();
  arguments->jobs = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  CLI::App* verb = app.add_subcommand(
      "sweep",
      "One scenario at many points: axes over any fields, resumable, local or on a cluster");
  verb->add_option("SWEEP", arguments->sweep, "sweep file (.txtpb)");
  verb->add_option("--set", arguments->options.sets,
                   "override fields of every point: a.b=1,c=2; repeatable")
      ->allow_extra_args(false);
  verb->add_option("--results", arguments->results,
                   "results file, taken up where it is [tierscope-runs/NAME.sweep]");
  verb->add_option("--format", arguments->format, "table (a summary), csv or json, to stdout")
      ->capture_default_str();
  verb->add_option("--jobs", arguments->jobs, "points to run at once [processors]")
      ->check(CLI::Range(1, 1024));
  verb->add_flag("--yes", arguments->options.yes, "run more than ten million points");
  verb->add_option("--explain", arguments->explain,
                   "re-run this point alone, with its timeline, into a run folder")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--scenario-of", arguments->scenario_of,
                   "print the resolved scenario of this point")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--out", arguments->out,
                   "of --explain: the run folder [tierscope-runs/NAME-point-N]");
  verb->add_flag("--overwrite", arguments->overwrite,
                 "of --explain: replace an existing run folder");
  verb->callback(
      [arguments, begin, exit_code] { *exit_code = ExitCode(Execute(*arguments, begin)); });
}

}  // namespace tierscope::cli

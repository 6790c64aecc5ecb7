// tierscope run: simulates scenarios and leaves a run folder for each.
#include "cli/run.h"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/host_info.h"
#include "cli/phase_observer.h"
#include "cli/rows.h"
#include "cli/run_observer.h"
#include "cli/scenario_inputs.h"
#include "cli/series_json.h"
#include "cli/timeline_window.h"
#include "cli/verb.h"
#include "tbb/parallel_for.h"
#include "tbb/task_arena.h"

#include "reports/atomic_file.h"
#include "reports/csv.h"
#include "reports/host_result.h"
#include "reports/result_json.h"
#include "reports/run_folder.h"
#include "reports/schema/metrics.h"
#include "reports/table.h"
#include "reports/timeline.h"
#include "scenarios/loader.h"
#include "sim/base/status_macros.h"
#include "sim/engine/simulate.h"

namespace tierscope::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kTimelineEventsMax = 200'000;

// One scenario on its way through the phases; `wall_s` is what they took, generation left out.
struct Run {
  ScenarioInputs inputs;
  RunFolder folder;
  RunReport report;
  TimelineWindow window;
  double wall_s = 0.0;
  bool phases = false;

  const Scenario& scenario() const { return inputs.scenario; }
};

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Loads all scenarios, then finds their attention, so that none is generated for a refused command.
absl::StatusOr<std::vector<Run>> Prepare(const RunOptions& options,
                                         Clock::time_point process_begin) {
  TIERSCOPE_ASSIGN_OR_RETURN(std::vector<ScenarioInputs> inputs,
                             PrepareInputs(options.scenarios, options.sets, options.unused_sets));
  std::vector<Run> runs(inputs.size());
  // What they share is the first one's.
  runs.front().wall_s = SecondsSince(process_begin);
  for (size_t i = 0; i < runs.size(); ++i) {
    const Clock::time_point begin = Clock::now();
    runs[i].inputs = std::move(inputs[i]);
    TIERSCOPE_RETURN_IF_ERROR(FindAttention(runs[i].inputs));
    runs[i].report.host.generate_wall_s = runs[i].inputs.attention.generate_wall_s;
    runs[i].wall_s += SecondsSince(begin) - runs[i].inputs.attention.generate_wall_s;
  }
  return runs;
}

absl::Status Load(Run& run) {
  const Clock::time_point begin = Clock::now();
  TIERSCOPE_RETURN_IF_ERROR(LoadRequests(run.inputs));
  run.report.host.load_wall_s = SecondsSince(begin);
  TIERSCOPE_RETURN_IF_ERROR(LoadDemand(run.inputs));
  TIERSCOPE_RETURN_IF_ERROR(LoadIndexer(run.inputs));
  run.report.host.distil_wall_s = SecondsSince(begin) - run.report.host.load_wall_s;
  run.wall_s += SecondsSince(begin);
  return absl::OkStatus();
}

// `series_json` is the text of series.json.
absl::StatusOr<Simulation> SimulateWatched(const Run& run, std::string* series_json) {
  const Engine& engine = run.scenario().engine();
  TIERSCOPE_ASSIGN_OR_RETURN(const MemoryPlan plan, MakeMemoryPlan(run.scenario()));
  const bool shows = run.window.begin || engine.timeline_s() > 0;
  TimelineWindow window = run.window;
  window.length = DurationFromSeconds(engine.timeline_s());
  TimelineWriter writer;
  if (shows) {
    TIERSCOPE_RETURN_IF_ERROR(writer.Open(run.folder.Staged("timeline.json"), kTimelineEventsMax));
  }
  PhaseLogWriter phases;
  if (run.phases) TIERSCOPE_RETURN_IF_ERROR(phases.Open(run.folder.Staged("phases.csv")));
  CoverageTally coverage;
  PhaseObserver observer(run.scenario(), &plan, &coverage, shows ? &writer : nullptr, window,
                         run.phases ? &phases : nullptr);
  SimulationInputs inputs = run.inputs.ForSimulation(&observer);
  inputs.options.coverage = &coverage;
  TIERSCOPE_ASSIGN_OR_RETURN(Simulation simulation, Simulate(run.scenario(), inputs));
  if (shows) TIERSCOPE_RETURN_IF_ERROR(writer.Finish());
  if (run.phases) TIERSCOPE_RETURN_IF_ERROR(phases.Finish());
  TIERSCOPE_ASSIGN_OR_RETURN(
      *series_json, SeriesJson(run.scenario(), inputs.requests, observer.series(), coverage));
  return simulation;
}

absl::Status Execute(Run& run) {
  const Clock::time_point begin = Clock::now();
  std::string series_json;
  TIERSCOPE_ASSIGN_OR_RETURN(Simulation simulation, SimulateWatched(run, &series_json));
  const double loop_s = SecondsSince(begin);
  RunReport& report = run.report;
  report.result = std::move(simulation.result);
  report.result.set_version(TIERSCOPE_VERSION);
  HostResult& host = report.host;
  host.sim_events = simulation.events;
  host.sim_events_per_s = static_cast<double>(simulation.events) / loop_s;
  host.peak_rss_bytes = PeakRssBytes();
  host.build_type = TIERSCOPE_BUILD_TYPE;
  host.cpu = CpuModelName();
  TIERSCOPE_RETURN_IF_ERROR(WriteFileAtomically(run.folder.Staged("series.json"), series_json));
  const double simulated_s = FindMetric(report.result, "simulated_s")->value();
  return WriteRunFolder(run.folder, ScenarioText(run.scenario()), report, [&](HostResult& timed) {
    timed.sim_wall_s = run.wall_s + SecondsSince(begin);
    timed.sim_speedup = simulated_s / timed.sim_wall_s;
  });
}

// Folders are made in order, once all inputs are known to be good and before the first simulation.
absl::Status CreateFolders(const RunOptions& options, std::vector<Run>& runs) {
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string& name = runs[i].scenario().name();
    std::string out = options.out;
    if (!out.empty() && runs.size() > 1) out = absl::StrCat(out, "/", i + 1, "-", name);
    TIERSCOPE_ASSIGN_OR_RETURN(runs[i].folder, CreateRunFolder(out, name, options.overwrite));
  }
  return absl::OkStatus();
}

// Does `phase` to every run, `jobs` at a time; the first error in the order of the runs.
absl::Status ForEachRun(int jobs, std::vector<Run>& runs, absl::Status (*phase)(Run&)) {
  std::vector<absl::Status> statuses(runs.size());
  tbb::task_arena arena(jobs);
  arena.execute([&] {
    tbb::parallel_for(size_t{0}, runs.size(), [&](size_t i) { statuses[i] = phase(runs[i]); });
  });
  for (size_t i = 0; i < runs.size(); ++i) {
    if (statuses[i].ok()) continue;
    return absl::Status(statuses[i].code(), absl::StrCat("scenario ", runs[i].scenario().name(),
                                                         ": ", statuses[i].message()));
  }
  return absl::OkStatus();
}

absl::Status Print(const std::vector<Run>& runs, OutputFormat format) {
  std::vector<RunReport> reports;
  for (const Run& run : runs) reports.push_back(run.report);
  std::string text;
  switch (format) {
    case OutputFormat::kTable:
      text = RunTable(reports);
      break;
    case OutputFormat::kCsv:
      text = MetricsCsv(reports);
      break;
    case OutputFormat::kJson:
      text = StdoutJson(reports);
      break;
  }
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    return absl::DataLossError(absl::StrCat("standard output: ", std::strerror(errno),
                                            "; the results are in the run folder"));
  }
  for (const Run& run : runs) {
    std::fprintf(stderr, "report: %s\n", run.folder.File("report.html").c_str());
  }
  return absl::OkStatus();
}

}  // namespace

// An invariant that does not hold is our bug; the results are kept, and the exit code says so.
absl::Status CheckViolations(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    if (run.report.result.violations().empty()) continue;
    return absl::AbortedError(absl::StrCat("scenario ", run.scenario().name(), ": ",
                                           run.report.result.violations(0).what(),
                                           ": a bug of the simulator; do not use these results"));
  }
  return absl::OkStatus();
}

absl::Status RunScenarios(const RunOptions& options, Clock::time_point process_begin) {
  TIERSCOPE_ASSIGN_OR_RETURN(const OutputFormat format, ParseOutputFormat(options.format));
  TIERSCOPE_ASSIGN_OR_RETURN(const TimelineWindow window,
                             ParseTimelineWindow(options.timeline_window));
  TIERSCOPE_ASSIGN_OR_RETURN(std::vector<Run> runs, Prepare(options, process_begin));
  for (Run& run : runs) {
    run.window = window;
    run.phases = options.phases;
  }
  TIERSCOPE_RETURN_IF_ERROR(ForEachRun(options.jobs, runs, Load));
  TIERSCOPE_RETURN_IF_ERROR(CreateFolders(options, runs));
  TIERSCOPE_RETURN_IF_ERROR(ForEachRun(options.jobs, runs, Execute));
  if (!options.quiet) TIERSCOPE_RETURN_IF_ERROR(Print(runs, format));
  return CheckViolations(runs);
}

void AddRunVerb(CLI::App& app, int* exit_code) {
  const Clock::time_point process_begin = Clock::now();
  auto options = std::make_shared<RunOptions>();
  CLI::App* verb = app.add_subcommand("run", "Simulate scenarios; one run folder each");
  verb->add_option("SCENARIO", options->scenarios, "scenario files (.txtpb)")->required();
  verb->add_option("--set", options->sets, "override fields: a.b=1,c=2; repeatable")
      ->allow_extra_args(false);
  verb->add_option(
      "--out", options->out,
      "run folder; of several scenarios the folder that holds theirs [tierscope-runs/NAME]");
  verb->add_flag("--overwrite", options->overwrite, "replace the files of an existing run folder");
  verb->add_option("--format", options->format, "table, csv or json, to stdout")
      ->capture_default_str();
  verb->add_flag("--phases", options->phases,
                 "write phases.csv, the time of every step and level-1 job by phase");
  verb->add_option("--jobs", options->jobs, "scenarios to run at once")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  verb->add_option("--timeline-window", options->timeline_window,
                   "BEGIN,END: what timeline.json shows, in seconds of simulated time "
                   "[engine.timeline_s from the warm-up's end on]");
  verb->callback([options, process_begin, exit_code] {
    *exit_code = ExitCode(RunScenarios(*options, process_begin));
  });
}

}  // namespace tierscope::cli

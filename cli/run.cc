// tierscope run: simulates scenarios and leaves a run folder for each.
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tbb/parallel_for.h"
#include "tbb/task_arena.h"

#include "cli/attention_source.h"
#include "cli/host_info.h"
#include "cli/rows.h"
#include "cli/timeline_observer.h"
#include "cli/verb.h"
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
#include "traces/request_trace.h"

namespace tierscope::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kTimelineEventsMax = 200'000;

struct RunOptions {
  std::vector<std::string> scenarios;
  std::vector<std::string> sets;
  std::string out;
  bool overwrite = false;
  std::string format = "table";
  int jobs = 1;
};

struct PreparedRun {
  Scenario scenario;
  AttentionSource attention;
  Clock::time_point begin;
};

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

absl::StatusOr<PreparedRun> Prepare(const std::string& path, const RunOptions& options,
                                    Clock::time_point begin) {
  PreparedRun run;
  run.begin = begin;
  TIERSCOPE_ASSIGN_OR_RETURN(run.scenario, LoadScenario(path, options.sets));
  if (NeedsDemand(run.scenario)) {
    TIERSCOPE_ASSIGN_OR_RETURN(run.attention, FindAttentionTrace(run.scenario));
  }
  return run;
}

// What the simulation reads: demand and requests, with the time each took.
struct LoadedInputs {
  std::optional<WindowDemand> demand;
  std::optional<RequestTrace> requests;
  double distil_wall_s = 0.0;
  double load_wall_s = 0.0;
};

absl::StatusOr<LoadedInputs> LoadInputs(const PreparedRun& run) {
  LoadedInputs inputs;
  Clock::time_point begin = Clock::now();
  if (run.scenario.workload().has_trace()) {
    TIERSCOPE_ASSIGN_OR_RETURN(inputs.requests, LoadRequestTrace(run.scenario.workload().trace(),
                                                                 RequestTraceOptions{}));
  }
  inputs.load_wall_s = SecondsSince(begin);
  begin = Clock::now();
  if (NeedsDemand(run.scenario)) {
    TIERSCOPE_ASSIGN_OR_RETURN(inputs.demand,
                               DistilTrace(run.attention.path, DemandSpecOf(run.scenario)));
  }
  inputs.distil_wall_s = SecondsSince(begin);
  return inputs;
}

absl::StatusOr<Simulation> SimulateWithTimeline(const PreparedRun& run, const LoadedInputs& loaded,
                                                const RunFolder& folder) {
  SimulationInputs inputs;
  inputs.demand = loaded.demand ? &*loaded.demand : nullptr;
  inputs.requests = loaded.requests ? &*loaded.requests : nullptr;
  const double timeline_s = run.scenario.engine().timeline_s();
  if (timeline_s <= 0) return Simulate(run.scenario, inputs);
  TimelineWriter writer;
  TIERSCOPE_RETURN_IF_ERROR(writer.Open(folder.File("timeline.json"), kTimelineEventsMax));
  TimelineObserver observer(writer, DurationFromSeconds(timeline_s));
  inputs.observer = &observer;
  TIERSCOPE_ASSIGN_OR_RETURN(Simulation simulation, Simulate(run.scenario, inputs));
  TIERSCOPE_RETURN_IF_ERROR(writer.Finish());
  return simulation;
}

absl::StatusOr<RunReport> Execute(const PreparedRun& run, const RunFolder& folder) {
  TIERSCOPE_ASSIGN_OR_RETURN(const LoadedInputs inputs, LoadInputs(run));
  const Clock::time_point loop_begin = Clock::now();
  TIERSCOPE_ASSIGN_OR_RETURN(Simulation simulation, SimulateWithTimeline(run, inputs, folder));
  const double loop_s = SecondsSince(loop_begin);

  RunReport report;
  report.result = std::move(simulation.result);
  report.result.set_version(TIERSCOPE_VERSION);
  HostResult& host = report.host;
  host.generate_wall_s = run.attention.generate_wall_s;
  host.load_wall_s = inputs.load_wall_s;
  host.distil_wall_s = inputs.distil_wall_s;
  host.sim_wall_s = SecondsSince(run.begin) - host.generate_wall_s;
  host.sim_speedup = FindMetric(report.result, "simulated_s")->value() / host.sim_wall_s;
  host.sim_events = simulation.events;
  host.sim_events_per_s = static_cast<double>(simulation.events) / loop_s;
  host.peak_rss_bytes = PeakRssBytes();
  host.build_type = TIERSCOPE_BUILD_TYPE;
  host.cpu = CpuModelName();
  TIERSCOPE_RETURN_IF_ERROR(
      WriteRunFolder(folder, ScenarioText(run.scenario), report.result, report.host));
  return report;
}

// Folders are made before any work, in order, so that names do not depend on which run ends first.
absl::StatusOr<std::vector<RunFolder>> CreateFolders(const std::vector<PreparedRun>& runs,
                                                     const RunOptions& options) {
  std::vector<RunFolder> folders;
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string& name = runs[i].scenario.name();
    std::string out = options.out;
    if (!out.empty() && runs.size() > 1) out = absl::StrCat(out, "/", i + 1, "-", name);
    TIERSCOPE_ASSIGN_OR_RETURN(RunFolder folder, CreateRunFolder(out, name, options.overwrite));
    folders.push_back(std::move(folder));
  }
  return folders;
}

void Print(const std::vector<RunReport>& reports, OutputFormat format) {
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
  std::fwrite(text.data(), 1, text.size(), stdout);
}

absl::Status RunScenarios(const RunOptions& options, Clock::time_point process_begin) {
  TIERSCOPE_ASSIGN_OR_RETURN(const OutputFormat format, ParseOutputFormat(options.format));
  std::vector<PreparedRun> runs;
  for (const std::string& path : options.scenarios) {
    const bool only = options.scenarios.size() == 1;
    TIERSCOPE_ASSIGN_OR_RETURN(PreparedRun run,
                               Prepare(path, options, only ? process_begin : Clock::now()));
    runs.push_back(std::move(run));
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<RunFolder> folders, CreateFolders(runs, options));

  std::vector<absl::StatusOr<RunReport>> outcomes(runs.size(), absl::UnknownError("not run"));
  tbb::task_arena arena(options.jobs);
  arena.execute([&] {
    tbb::parallel_for(size_t{0}, runs.size(), [&](size_t i) {
      if (runs.size() > 1) runs[i].begin = Clock::now();
      outcomes[i] = Execute(runs[i], folders[i]);
    });
  });
  std::vector<RunReport> reports;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    if (!outcomes[i].ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(options.scenarios[i], ": ", outcomes[i].status().message()));
    }
    reports.push_back(*std::move(outcomes[i]));
  }
  Print(reports, format);
  for (const RunFolder& folder : folders) {
    std::fprintf(stderr, "report: %s\n", folder.File("report.html").c_str());
  }
  return absl::OkStatus();
}

}  // namespace

void AddRunVerb(CLI::App& app, int& exit_code) {
  const Clock::time_point process_begin = Clock::now();
  auto options = std::make_shared<RunOptions>();
  CLI::App* verb = app.add_subcommand("run", "Simulate scenarios; one run folder each");
  verb->add_option("SCENARIO", options->scenarios, "scenario files (.txtpb)")->required();
  verb->add_option("--set", options->sets, "override fields: a.b=1,c=2; repeatable")->allow_extra_args(false);
  verb->add_option("--out", options->out,
                   "run folder; of several scenarios the folder that holds theirs [tierscope-runs/NAME]");
  verb->add_flag("--overwrite", options->overwrite, "replace the files of an existing run folder");
  verb->add_option("--format", options->format, "table, csv or json, to stdout")
      ->capture_default_str();
  verb->add_option("--jobs", options->jobs, "scenarios to run at once")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  verb->callback([options, process_begin, &exit_code] {
    exit_code = ExitCode(RunScenarios(*options, process_begin));
  });
}

}  // namespace tierscope::cli

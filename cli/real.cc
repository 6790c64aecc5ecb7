// tierscope real: executes a scenario on a backend and leaves the folder that `run` leaves,
// measured.
#include "cli/real.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/attention_source.h"
#include "cli/host_info.h"
#include "cli/rows.h"
#include "cli/verb.h"

#include "real/measure.h"
#include "reports/atomic_file.h"
#include "reports/csv.h"
#include "reports/result_json.h"
#include "reports/run_folder.h"
#include "reports/table.h"
#include "reports/timeline_reader.h"
#include "scenarios/loader.h"
#include "sim/base/status_macros.h"
#include "sim/base/units.h"
#include "sim/engine/simulate.h"

namespace tierscope::cli {
namespace {

constexpr int kRepeatsMax = 1000;

std::atomic<bool> interrupted{false};

// The first interrupt asks the run to end; a second one ends the process.
class InterruptGuard {
 public:
  InterruptGuard() {
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted.store(true); };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, &before_);
  }
  ~InterruptGuard() { sigaction(SIGINT, &before_, nullptr); }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  struct sigaction before_ {};
};

absl::StatusOr<RealMode> ModeOf(const RealOptions& options, const Scenario& scenario) {
  if (options.mode == "live") return RealMode::kLive;
  if (options.mode == "replay") return RealMode::kReplay;
  if (!options.mode.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--mode: no mode '", options.mode, "'; there are live, replay"));
  }
  return scenario.workload().attention().has_trace() ? RealMode::kReplay : RealMode::kLive;
}

// Reads the trace that a replay forces. A plan without it says first what is not executed at all.
absl::StatusOr<WindowDemand> LoadReplayed(const Scenario& scenario) {
  TIERSCOPE_RETURN_IF_ERROR(PlanExecution(scenario, RealMode::kLive, nullptr).status());
  const DemandSpec spec = DemandSpecOf(scenario);
  TIERSCOPE_ASSIGN_OR_RETURN(const AttentionSource source, FindAttentionTrace(scenario, spec));
  return DistilTrace(source.path, spec);
}

absl::Status WritePhases(const RunFolder& folder, const MeasuredRun& run) {
  for (size_t repeat = 0; run.timed.size() > 1 && repeat < run.timed.size(); ++repeat) {
    TIERSCOPE_RETURN_IF_ERROR(WritePhaseLog(
        folder.Staged(PhaseLogOfRepeat(static_cast<int>(repeat))), run.PhasesOf(repeat)));
  }
  return WritePhaseLog(folder.Staged("phases.csv"), run.PhasesOf(static_cast<size_t>(run.chosen)));
}

// The same phases to look at; engine.timeline_s of 0 wants none.
absl::Status WriteTimeline(const RunFolder& folder, const Scenario& scenario) {
  if (scenario.engine().timeline_s() <= 0) return absl::OkStatus();
  const TimelinePart part{"measured", "", folder.Staged("phases.csv")};
  return JoinTimelines({&part, 1}, {}, folder.Staged("timeline.json"));
}

HostResult HostOf(double wall_s) {
  HostResult host;
  host.sim_wall_s = wall_s;
  host.sim_speedup = std::numeric_limits<double>::quiet_NaN();
  host.sim_events_per_s = std::numeric_limits<double>::quiet_NaN();
  host.peak_rss_bytes = PeakRssBytes();
  host.build_type = TIERSCOPE_BUILD_TYPE;
  host.cpu = CpuModelName();
  return host;
}

absl::Status Print(const RunReport& report, const RunFolder& folder, OutputFormat format) {
  const std::vector<RunReport> reports = {report};
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
    return absl::DataLossError("standard output: cannot be written; the results are in the folder");
  }
  std::fprintf(stderr, "report: %s\n", folder.File("report.html").c_str());
  return absl::OkStatus();
}

// What the run would execute and take, on any machine: nothing is allocated.
absl::Status PrintPlan(const RealOptions& options, const Scenario& scenario) {
  TIERSCOPE_ASSIGN_OR_RETURN(const RealMode mode, ModeOf(options, scenario));
  WindowDemand demand;
  if (mode == RealMode::kReplay) {
    TIERSCOPE_ASSIGN_OR_RETURN(demand, LoadReplayed(scenario));
  }
  TIERSCOPE_ASSIGN_OR_RETURN(
      const ExecutionPlan plan,
      PlanExecution(scenario, mode, mode == RealMode::kReplay ? &demand : nullptr));
  const bool cuda = options.backend.name == "cuda";
  const MemoryNeeded needed = CountMemory(plan, cuda ? 2.0 : sizeof(float));
  std::printf("%s: %s, %d requests, %d pages of %d bytes, reserve of %d blocks\n",
              scenario.name().c_str(), mode == RealMode::kLive ? "live" : "replay",
              plan.request_count(), plan.page_total, static_cast<int>(plan.page_bytes),
              plan.reserve_blocks);
  std::printf("  device %.2f GiB, cold pool %.2f GiB, host beside it %.2f GiB\n",
              ToGiB(needed.device_bytes), ToGiB(needed.cold_pool_bytes), ToGiB(needed.host_bytes));
  return absl::OkStatus();
}

absl::StatusOr<MeasuredRun> Execute(const RealOptions& options, const Scenario& scenario,
                                    Backend& backend) {
  MeasureOptions measure;
  TIERSCOPE_ASSIGN_OR_RETURN(measure.mode, ModeOf(options, scenario));
  WindowDemand demand;
  if (measure.mode == RealMode::kReplay) {
    TIERSCOPE_ASSIGN_OR_RETURN(demand, LoadReplayed(scenario));
    measure.demand = &demand;
  }
  measure.spec = DemandSpecOf(scenario);
  measure.repeats = options.repeats;
  measure.record_path = options.record;
  measure.tool = absl::StrCat("tierscope ", TIERSCOPE_VERSION, " real, ", backend.device().backend,
                              " backend, synthetic hidden states");
  measure.memory_bytes_max = options.backend.cpu.memory_bytes_max;
  measure.trace = options.trace && options.backend.name == "cuda";
  measure.cancelled = &interrupted;
  measure.progress = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
  absl::StatusOr<MeasuredRun> run = Measure(scenario, backend, measure);
  // Nothing is wrong with the input: exit code 1.
  if (absl::IsDataLoss(run.status())) return absl::AbortedError(OneLine(run.status().message()));
  return run;
}

}  // namespace

absl::Status RunReal(RealOptions options, std::chrono::steady_clock::time_point begin) {
  TIERSCOPE_ASSIGN_OR_RETURN(const OutputFormat format, ParseOutputFormat(options.format));
  TIERSCOPE_ASSIGN_OR_RETURN(const Scenario scenario, LoadScenario(options.scenario, options.sets));
  if (options.plan) return PrintPlan(options, scenario);
  options.backend.cpu.memory_bytes_max =
      static_cast<int64_t>(0.9 * static_cast<double>(AvailableMemoryBytes()));
  TIERSCOPE_ASSIGN_OR_RETURN(const std::unique_ptr<Backend> backend, MakeBackend(options.backend));
  TIERSCOPE_ASSIGN_OR_RETURN(RunFolder folder,
                             CreateRunFolder(options.out, scenario.name(), options.overwrite));
  const InterruptGuard guard;
  absl::StatusOr<MeasuredRun> run = Execute(options, scenario, *backend);
  if (!run.ok()) {
    folder.claim.reset();
    rmdir(folder.path.c_str());  // only if there is nothing in it
    return run.status();
  }
  RunReport report;
  report.result = std::move(run->result);
  report.result.set_version(TIERSCOPE_VERSION);
  report.host =
      HostOf(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  TIERSCOPE_RETURN_IF_ERROR(WritePhases(folder, *run));
  if (!run->activity_csv.empty()) {
    TIERSCOPE_RETURN_IF_ERROR(
        WriteFileAtomically(folder.Staged("activity.csv"), run->activity_csv));
  }
  TIERSCOPE_RETURN_IF_ERROR(WriteTimeline(folder, scenario));
  TIERSCOPE_RETURN_IF_ERROR(
      WriteRunFolder(folder, ScenarioText(scenario), report, [](HostResult&) {}));
  return options.quiet ? absl::OkStatus() : Print(report, folder, format);
}

void AddRealVerb(CLI::App& app, int* exit_code) {
  const auto begin = std::chrono::steady_clock::now();
  auto options = std::make_shared<RealOptions>();
  CLI::App* verb = app.add_subcommand("real", "Execute a scenario on a backend and measure it");
  verb->add_option("SCENARIO", options->scenario, "scenario file (.txtpb)")->required();
  verb->add_option("--backend", options->backend.name, "cpu or cuda")->capture_default_str();
  verb->add_option("--mode", options->mode,
                   "live: the kernels decide; replay: want lists of an attention trace [replay "
                   "where the scenario names a trace, else live]");
  verb->add_option("--record", options->record,
                   "also write an attention trace of what the kernels say of the full history");
  verb->add_option("--repeats", options->repeats, "timed passes; the median one is reported")
      ->check(CLI::Range(1, kRepeatsMax))
      ->capture_default_str();
  verb->add_option("--set", options->sets, "override fields: a.b=1,c=2; repeatable")
      ->allow_extra_args(false);
  verb->add_option("--out", options->out, "run folder [tierscope-runs/NAME]");
  verb->add_flag("--overwrite", options->overwrite, "replace the files of an existing run folder");
  verb->add_option("--format", options->format, "table, csv or json, to stdout")
      ->capture_default_str();
  verb->add_option("--threads", options->backend.cpu.decode_threads,
                   "of the decode stream on the CPU, 0 = all cores")
      ->capture_default_str();
  verb->add_option("--sideband-threads", options->backend.cpu.sideband_threads,
                   "of level 1, recall and writeback on the CPU")
      ->capture_default_str();
  verb->add_flag("--plan", options->plan,
                 "only say what would be executed and what memory it takes");
  verb->add_flag("!--no-trace", options->trace,
                 "on cuda: leave out the pass under the device's own record of activity");
  verb->add_flag("!--no-graphs", options->backend.cuda.graphs,
                 "on cuda: launch every op of a step on its own");
  auto pinned_gib = std::make_shared<double>(ToGiB(options->backend.cuda.pinned_bytes_max));
  verb->add_option("--pinned-gib", *pinned_gib, "on cuda: most pinned host memory, GiB")
      ->check(CLI::Range(1.0, 4096.0))
      ->capture_default_str();
  verb->callback([options, pinned_gib, begin, exit_code] {
    options->backend.cuda.pinned_bytes_max =
        static_cast<int64_t>(*pinned_gib * static_cast<double>(kGiB));
    const absl::Status status = RunReal(*options, begin);
    *exit_code = ExitCode(status);
    // Everything is released; now the shell may know that it was an interrupt.
    if (absl::IsCancelled(status)) raise(SIGINT);
  });
}

}  // namespace tierscope::cli

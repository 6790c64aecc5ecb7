#include "real/measure.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "real/activity.h"
#include "real/recording.h"
#include "sim/base/status_macros.h"
#include "sim/base/units.h"

namespace tierscope {
namespace {

// Scores from a tenth on are recorded, so that lower thresholds than the run's can be replayed.
constexpr int32_t kRecordFloorCode = 26;

void Say(const MeasureOptions& options, const std::string& line) {
  if (options.progress) options.progress(line);
}

absl::StatusOr<WindowDemand> Record(const ExecutionPlan& plan, Backend& backend, Executor& executor,
                                    const MeasureOptions& options) {
  Say(options, absl::StrCat("recording ", plan.profile_count(), " profiles of ", plan.step_count,
                            " steps, untimed"));
  RecordingOptions recording;
  recording.path = options.record_path;
  recording.tool = options.tool;
  recording.score_floor_code = std::min(kRecordFloorCode, plan.code_cutoff);
  recording.cancelled = options.cancelled;
  TIERSCOPE_RETURN_IF_ERROR(RecordTrace(plan, backend, executor, recording));
  return DistilTrace(options.record_path, options.spec);
}

// One more pass, its activity recorded by the device. Where there is no such record the run has its
// marks; one with holes fails it.
absl::Status TracedPass(const ExecutionPlan& plan, Backend& backend, Executor& executor,
                        const MeasureOptions& options, Measurement* measurement, std::string* csv) {
  const absl::Status started = backend.StartTrace();
  if (!started.ok()) {
    measurement->activity = absl::StrCat("none, marks alone: ", started.message());
    Say(options, absl::StrCat("activity: ", measurement->activity));
    return absl::OkStatus();
  }
  Say(options, "traced pass");
  const int64_t origin_ns = backend.HostNs();
  absl::StatusOr<PassRecord> pass = executor.RunPass(/*profiled=*/false);
  absl::StatusOr<ActivityTrace> trace = backend.StopTrace();
  TIERSCOPE_RETURN_IF_ERROR(pass.status());
  TIERSCOPE_RETURN_IF_ERROR(trace.status());
  TIERSCOPE_ASSIGN_OR_RETURN(const ActivityTable table, Attribute(*trace, plan.page_bytes));
  measurement->activity = ActivitySummary(table);
  measurement->traced = *std::move(pass);
  *csv = ActivityCsv(table, origin_ns);
  Say(options, absl::StrCat("activity: ", measurement->activity));
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckMemory(const ExecutionPlan& plan, const DeviceDescription& device,
                         int64_t memory_bytes_max) {
  const MemoryNeeded needed = CountMemory(plan, device.weight_bytes_each);
  const auto short_of = [](const char* what, int64_t bytes, int64_t there) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "the run needs %.2f GiB of %s and %.2f GiB are available; lower workload.context_tokens, "
        "workload.concurrency or policy.reserve_entries",
        ToGiB(bytes), what, ToGiB(there)));
  };
  if (device.device_bytes_free > 0) {
    const int64_t host = needed.cold_pool_bytes + needed.host_bytes;
    if (needed.device_bytes > device.device_bytes_free) {
      return short_of("device memory", needed.device_bytes, device.device_bytes_free);
    }
    if (host > device.host_bytes_free) {
      return short_of("pinned memory", host, device.host_bytes_free);
    }
    return absl::OkStatus();
  }
  if (memory_bytes_max == 0 || needed.total() <= memory_bytes_max) return absl::OkStatus();
  return short_of("memory", needed.total(), memory_bytes_max);
}

absl::StatusOr<MeasuredRun> Measure(const Scenario& scenario, Backend& backend,
                                    const MeasureOptions& options) {
  const WindowDemand* demand = options.mode == RealMode::kReplay ? options.demand : nullptr;
  TIERSCOPE_ASSIGN_OR_RETURN(const ExecutionPlan plan,
                             PlanExecution(scenario, options.mode, demand));
  if (options.mode == RealMode::kReplay && !options.record_path.empty()) {
    return absl::InvalidArgumentError(
        "--record: a replay has nothing to record, its decisions are the trace's; record in mode "
        "live");
  }
  TIERSCOPE_RETURN_IF_ERROR(CheckMemory(plan, backend.device(), options.memory_bytes_max));
  Say(options, "making the requests' content");
  ExecutorOptions executor_options;
  executor_options.demand = demand;
  executor_options.cancelled = options.cancelled;
  TIERSCOPE_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor,
                             Executor::Make(plan, backend, executor_options));
  MeasuredRun run;
  Measurement measurement;
  measurement.device_states.push_back(backend.DeviceState());
  for (int repeat = 0; repeat < options.repeats; ++repeat) {
    Say(options, absl::StrCat("timed pass ", repeat + 1, " of ", options.repeats));
    TIERSCOPE_ASSIGN_OR_RETURN(PassRecord pass, executor->RunPass(/*profiled=*/true));
    run.timed.push_back(std::move(pass));
  }
  Say(options, "pass without profiling");
  TIERSCOPE_ASSIGN_OR_RETURN(measurement.unprofiled, executor->RunPass(/*profiled=*/false));
  measurement.device_states.push_back(backend.DeviceState());
  // Before the recording, whose buffers are no part of the run, and the trace, whose are neither.
  measurement.footprint = backend.footprint();
  measurement.footprint_beside = backend.footprint_beside();
  if (options.trace) {
    TIERSCOPE_RETURN_IF_ERROR(
        TracedPass(plan, backend, *executor, options, &measurement, &run.activity_csv));
  }
  std::optional<WindowDemand> recorded;
  if (!options.record_path.empty()) {
    TIERSCOPE_ASSIGN_OR_RETURN(recorded, Record(plan, backend, *executor, options));
  }
  measurement.timed = std::move(run.timed);
  measurement.device = backend.device();
  measurement.ballast_gflop_per_step =
      static_cast<double>(executor->decode_step().BallastFlop(plan.request_count())) / 1e9;
  measurement.selections = recorded ? &*recorded : demand;
  run.result = MeasuredResult(plan, measurement);
  run.chosen = ChooseRepeat(measurement.timed);
  run.timed = std::move(measurement.timed);
  run.page_bytes = plan.page_bytes;
  run.level1_bytes_per_entry = kMemoryLayers * kIndexPageBytes / kPageEntries;
  return run;
}

}  // namespace tierscope

// A measured run from beginning to end: checks, passes, recording, result. What `tierscope real`
// does between reading its inputs and writing its folder.
#ifndef TIERSCOPE_REAL_MEASURE_H_
#define TIERSCOPE_REAL_MEASURE_H_

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "real/backend.h"
#include "real/executor.h"
#include "real/measured_result.h"
#include "reports/schema/phase_log.h"
#include "reports/schema/result.pb.h"
#include "scenarios/scenario.pb.h"
#include "sim/demand/demand.h"
#include "sim/demand/distil.h"

namespace tierscope {

struct MeasureOptions {
  RealMode mode = RealMode::kLive;
  const WindowDemand* demand = nullptr;  // of the trace, under kReplay
  DemandSpec spec;                       // what the scenario makes of a trace, for the recording
  int repeats = 1;
  std::string record_path;  // "": nothing is recorded
  std::string tool;         // who records
  // All that may be allocated where both arenas are one memory; 0: unknown.
  int64_t memory_bytes_max = 0;
  bool trace = false;  // one more pass under the device's own record of activity
  const std::atomic<bool>* cancelled = nullptr;
  std::function<void(const std::string&)> progress;  // a line; may be null
};

struct MeasuredRun {
  RunResult result;  // of the repeat `chosen`; everything but `version`
  std::vector<PassRecord> timed;
  int chosen = 0;
  std::vector<PhaseSpan> PhasesOf(size_t repeat) const {
    return PhaseSpansOf(timed[repeat], page_bytes, level1_bytes_per_entry);
  }
  int64_t page_bytes = 0;
  int64_t level1_bytes_per_entry = 0;
  std::string activity_csv;  // of the traced pass; "" where there is none
};

// Whether the run fits into what the backend has. Error: ResourceExhausted, what is short of what.
absl::Status CheckMemory(const ExecutionPlan& plan, const DeviceDescription& device,
                         int64_t memory_bytes_max);

// Runs `repeats` timed passes, one without profiling, one traced and the recording if they are
// asked for. Where there is no record of activity the result says why and the run goes on. The
// backend is used up. Errors: what the real mode does not execute, memory, disk, Cancelled;
// DataLoss where the record of activity has holes.
absl::StatusOr<MeasuredRun> Measure(const Scenario& scenario, Backend& backend,
                                    const MeasureOptions& options);

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_MEASURE_H_

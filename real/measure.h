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
  std::string record_path;       // "": nothing is recorded
  std::string tool;              // who records
  int64_t memory_bytes_max = 0;  // all that may be allocated; 0: unknown
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
};

// Runs `repeats` timed passes, one without profiling, and the recording if one is asked for. The
// backend is used up. Errors: what the real mode does not execute, memory, disk, Cancelled.
absl::StatusOr<MeasuredRun> Measure(const Scenario& scenario, Backend& backend,
                                    const MeasureOptions& options);

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_MEASURE_H_

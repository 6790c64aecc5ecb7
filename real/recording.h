// The recording pass: what both indexers say of the full history, untimed, as an attention trace
// that the simulator replays (`selections: full_history`).
#ifndef TIERSCOPE_REAL_RECORDING_H_
#define TIERSCOPE_REAL_RECORDING_H_

#include <atomic>
#include <string>

#include "absl/status/status.h"

#include "real/backend.h"
#include "real/execution_plan.h"
#include "real/executor.h"

namespace tierscope {

struct RecordingOptions {
  std::string path;
  std::string tool;              // of the provenance: "tierscope 0.1.0 real, cpu, <device>"
  int32_t score_floor_code = 0;  // lower codes are left out; at most the plan's cutoff
  const std::atomic<bool>* cancelled = nullptr;
};

// Runs level 1 behind every stride_steps steps and level 2 at every step of every profile, over the
// whole history, with the queries and keys of the executor's requests, and writes the trace: one
// profile for each of the plan's, steps 0 .. step_count, scores as the maximum over the target
// layers, selections by layer. Overwrites the prompt of the executor's first requests: no pass may
// run meanwhile. Precondition: plan.mode is kLive. Error: memory, disk, Cancelled; then there is no
// file.
absl::Status RecordTrace(const ExecutionPlan& plan, Backend& backend, Executor& executor,
                         const RecordingOptions& options);

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_RECORDING_H_

// Turns what was executed into the RunResult that the simulator writes too: the same metrics where
// they were measured, the reason where they were not.
#ifndef TIERSCOPE_REAL_MEASURED_RESULT_H_
#define TIERSCOPE_REAL_MEASURED_RESULT_H_

#include <optional>
#include <string>
#include <vector>

#include "real/coverage.h"
#include "real/decode_step.h"
#include "real/execution_plan.h"
#include "real/pass_record.h"
#include "reports/schema/result.pb.h"
#include "sim/demand/demand.h"

namespace tierscope {

struct Measurement {
  std::vector<PassRecord> timed;  // repeats, profiled; at least one
  PassRecord unprofiled;
  DeviceDescription device;
  std::vector<NamedMemory> footprint;
  std::vector<NamedMemory> footprint_beside;
  std::vector<std::string> device_states;  // before and after the passes; "" not known
  std::string activity;  // what the device recorded, or why it did not; "" not asked for
  std::optional<PassRecord> traced;   // the pass that it was taken of
  double ballast_gflop_per_step = 0;  // of a whole batch
  // Selections of the full history: of the recording, or of the trace that was replayed; null:
  // there are none, or the trace has none of the full history.
  const WindowDemand* selections = nullptr;
};

// The repeat with the median decode time, the lower of two middle ones.
int ChooseRepeat(const std::vector<PassRecord>& timed);

// Everything but `version`. Precondition: the passes are of the plan.
RunResult MeasuredResult(const ExecutionPlan& plan, const Measurement& measurement);

// Counts of a pass after its warm-up, as the metrics have them.
struct PassCounts {
  int64_t pages_wanted = 0;
  int64_t pages_recalled = 0;
  int64_t pages_evicted = 0;
  int64_t pages_written_back = 0;
  int64_t jobs = 0;
  int64_t joins = 0;
};
PassCounts CountPass(const ExecutionPlan& plan, const PassRecord& pass);

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_MEASURED_RESULT_H_

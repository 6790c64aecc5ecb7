// NVTX ranges of the domain "tierscope", named as the phases of phases.csv, with the step or tick
// as payload: what a profiler that listens shows beside the device's work. Nothing happens where
// none listens, or in a build without NVTX's headers. Ranges are of the calling thread and nest.
//
// Of a sequence that a backend plays (backend.h) the host issues nothing, so its phases have ranges
// when it is recorded and while a trace runs, and only the step has one otherwise. A wait whose
// parts are told apart afterwards (wait.queue, wait.index, wait.transfer) has none.
#ifndef TIERSCOPE_REAL_PHASE_RANGE_H_
#define TIERSCOPE_REAL_PHASE_RANGE_H_

#include <cstdint>

#include "reports/schema/phase_log.h"

namespace tierscope {

class PhaseRange {
 public:
  // `number`: of the step or tick.
  PhaseRange(Phase phase, int64_t number);
  // The whole of a tick's job.
  static PhaseRange Tick(int64_t tick);
  ~PhaseRange();
  PhaseRange(const PhaseRange&) = delete;
  PhaseRange& operator=(const PhaseRange&) = delete;

 private:
  PhaseRange(int name, int64_t number);
};

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_PHASE_RANGE_H_

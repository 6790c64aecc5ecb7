// What the sets that a pass decoded with would have missed of a full history's selections: step by
// step and page by page, from what the decode stream really had, and on its own - not through the
// simulator's tables, against which tests hold it.
#ifndef TIERSCOPE_REAL_COVERAGE_H_
#define TIERSCOPE_REAL_COVERAGE_H_

#include "real/execution_plan.h"
#include "real/pass_record.h"
#include "sim/demand/demand.h"

namespace tierscope {

// In units of 1 / stride_steps of a selection, as window demand counts: a sub-window's selections
// are spread evenly over its steps.
struct MissCounts {
  SelectionCount selections;
  SelectionCount inactive;
  SelectionCount evicted;
};

// Over the own steps of all requests from the batch step `first_batch_step` on, each but its step
// 0. `demand` is of the profiles that the plan's requests follow. Precondition:
// demand.coverage_known.
MissCounts CountMisses(const ExecutionPlan& plan, const PassRecord& pass,
                       const WindowDemand& demand, int64_t first_batch_step);

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_COVERAGE_H_

// When the second tick of a request falls: the phase of its windows against those of the others.
#ifndef TIERSCOPE_SIM_POLICY_TICK_PHASE_H_
#define TIERSCOPE_SIM_POLICY_TICK_PHASE_H_

#include <cstdint>

namespace tierscope {

// Own steps from a request's first tick to its second, so that its later ticks fall on batch steps
// `place * stride` (mod tau), up to a stride: the distance there from `batch_steps`, the steps that
// the batch has run, rounded up to whole strides; tau where it is none. tau is a multiple of
// stride.
inline int64_t FirstWindowSteps(int64_t tau_steps, int64_t stride_steps, int64_t place,
                                int64_t batch_steps) {
  const int64_t distance =
      ((place * stride_steps - batch_steps) % tau_steps + tau_steps) % tau_steps;
  const int64_t window = (distance + stride_steps - 1) / stride_steps * stride_steps;
  return window == 0 ? tau_steps : window;
}

// The place of a request when all are to spread evenly over tau (Policy.phase STAGGERED).
inline int64_t StaggeredPlace(int64_t tau_steps, int64_t stride_steps, int64_t request_id) {
  return request_id % (tau_steps / stride_steps);
}

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_POLICY_TICK_PHASE_H_

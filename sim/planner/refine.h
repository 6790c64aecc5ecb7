// Where to look next: points between those of a sweep, around its front. Pure; thread-safe.
#ifndef TIERSCOPE_SIM_PLANNER_REFINE_H_
#define TIERSCOPE_SIM_PLANNER_REFINE_H_

#include <cstddef>
#include <span>
#include <vector>

#include "sim/planner/sweep_axis.h"

namespace tierscope {

// For each point of the front and each axis of numbers: the middle between its value and the next
// lower and the next higher one that any point has there (the geometric one on a log_range), all
// else equal. Not proposed: what is there already, and what is nearer than 1/1024 of the axis's
// span. At most `limit` points, in the order of the front. points: [point][axis].
std::vector<std::vector<AxisValue>> ProposeRefinement(
    const std::vector<SweepAxis>& axes, const std::vector<std::vector<AxisValue>>& points,
    std::span<const size_t> front, size_t limit);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_PLANNER_REFINE_H_

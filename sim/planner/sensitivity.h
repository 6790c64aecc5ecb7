// How much each axis of a sweep moves a metric: main effects. Pure; thread-safe.
#ifndef TIERSCOPE_SIM_PLANNER_SENSITIVITY_H_
#define TIERSCOPE_SIM_PLANNER_SENSITIVITY_H_

#include <cstdint>
#include <span>
#include <vector>

namespace tierscope {

struct MainEffect {
  double low = 0.0;  // least and largest of the means over the points of one value
  double high = 0.0;
  // Part of the metric's variance that the axis alone accounts for, 0 to 1: sum over values of
  // n (mean of the value - mean)^2 over sum over points of (x - mean)^2. 0 where nothing varies.
  double share = 0.0;
  int64_t points = 0;  // with a finite value
};

// groups[i]: which value of the axis point i has, 0 <= groups[i] < group_count. Points whose value
// is not finite are left out.
MainEffect MainEffectOf(std::span<const int32_t> groups, int32_t group_count,
                        std::span<const double> values);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_PLANNER_SENSITIVITY_H_

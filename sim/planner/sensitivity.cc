#include "sim/planner/sensitivity.h"

#include <algorithm>
#include <cmath>

namespace tierscope {

MainEffect MainEffectOf(std::span<const int32_t> groups, int32_t group_count,
                        std::span<const double> values) {
  MainEffect effect;
  std::vector<double> sum(static_cast<size_t>(group_count), 0.0);
  std::vector<int64_t> count(sum.size(), 0);
  double total = 0.0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) continue;
    const auto group = static_cast<size_t>(groups[i]);
    sum[group] += values[i];
    ++count[group];
    total += values[i];
    ++effect.points;
  }
  if (effect.points == 0) return effect;
  const double mean = total / static_cast<double>(effect.points);
  double between = 0.0;
  bool any = false;
  for (size_t g = 0; g < sum.size(); ++g) {
    if (count[g] == 0) continue;
    const double group_mean = sum[g] / static_cast<double>(count[g]);
    between += static_cast<double>(count[g]) * (group_mean - mean) * (group_mean - mean);
    effect.low = any ? std::min(effect.low, group_mean) : group_mean;
    effect.high = any ? std::max(effect.high, group_mean) : group_mean;
    any = true;
  }
  double all = 0.0;
  for (const double value : values) {
    if (std::isfinite(value)) all += (value - mean) * (value - mean);
  }
  if (all > 0.0) effect.share = std::min(1.0, between / all);
  return effect;
}

}  // namespace tierscope

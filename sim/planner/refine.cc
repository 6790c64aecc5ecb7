#include "sim/planner/refine.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

namespace tierscope {
namespace {

constexpr double kSpanPartMin = 1.0 / 1024;

std::string LabelOf(const std::vector<AxisValue>& values) {
  std::string label;
  for (const AxisValue& value : values) {
    label += value.label;
    label += '\n';
  }
  return label;
}

bool IsNumeric(const SweepAxis& axis) {
  return !axis.field.empty() && axis.values.front().number.has_value();
}

double Middle(const SweepAxis& axis, double a, double b) {
  return axis.is_log && a > 0 && b > 0 ? std::sqrt(a * b) : a + (b - a) / 2;
}

}  // namespace

std::vector<std::vector<AxisValue>> ProposeRefinement(
    const std::vector<SweepAxis>& axes, const std::vector<std::vector<AxisValue>>& points,
    std::span<const size_t> front, size_t limit) {
  std::set<std::string> there;
  std::vector<std::set<double>> numbers(axes.size());
  for (const std::vector<AxisValue>& values : points) {
    there.insert(LabelOf(values));
    for (size_t a = 0; a < axes.size(); ++a) {
      if (values[a].number.has_value()) numbers[a].insert(*values[a].number);
    }
  }
  std::vector<std::vector<AxisValue>> proposed;
  for (const size_t point : front) {
    for (size_t a = 0; a < axes.size(); ++a) {
      if (!IsNumeric(axes[a])) continue;
      const double least_gap = (*numbers[a].rbegin() - *numbers[a].begin()) * kSpanPartMin;
      const auto at = numbers[a].find(*points[point][a].number);
      const auto try_between = [&](double from, double to) {
        if (proposed.size() >= limit || std::abs(to - from) <= least_gap) return;
        std::vector<AxisValue> values = points[point];
        values[a] = NumberValue(axes[a], Middle(axes[a], from, to));
        if (there.insert(LabelOf(values)).second) proposed.push_back(std::move(values));
      };
      if (at != numbers[a].begin()) try_between(*std::prev(at), *at);
      if (std::next(at) != numbers[a].end()) try_between(*at, *std::next(at));
    }
  }
  return proposed;
}

}  // namespace tierscope

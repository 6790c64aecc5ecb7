#include "sim/planner/pareto.h"

#include <algorithm>
#include <cmath>

namespace tierscope {
namespace {

// Rows of costs: every objective turned so that less is better.
class Costs {
 public:
  Costs(std::span<const double> values, std::span<const Objective> objectives)
      : values_(values), objectives_(objectives) {}

  size_t width() const { return objectives_.size(); }
  double At(size_t point, size_t objective) const {
    const double value = values_[point * width() + objective];
    return objectives_[objective].maximize ? -value : value;
  }
  bool Finite(size_t point) const {
    for (size_t o = 0; o < width(); ++o) {
      if (!std::isfinite(At(point, o))) return false;
    }
    return true;
  }
  bool Less(size_t a, size_t b) const {  // in lexicographic order
    for (size_t o = 0; o < width(); ++o) {
      if (At(a, o) != At(b, o)) return At(a, o) < At(b, o);
    }
    return false;
  }
  bool Beats(size_t a, size_t b) const {
    bool better = false;
    for (size_t o = 0; o < width(); ++o) {
      if (At(a, o) > At(b, o)) return false;
      better = better || At(a, o) < At(b, o);
    }
    return better;
  }

 private:
  std::span<const double> values_;
  std::span<const Objective> objectives_;
};

}  // namespace

std::vector<size_t> ParetoFront(std::span<const double> values,
                                std::span<const Objective> objectives) {
  if (objectives.empty()) return {};
  const Costs costs(values, objectives);
  std::vector<size_t> order;
  for (size_t i = 0; i < values.size() / costs.width(); ++i) {
    if (costs.Finite(i)) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&costs](size_t a, size_t b) { return costs.Less(a, b); });
  // A point can only be beaten by one that comes before it, and then also by one of the front.
  std::vector<size_t> front;
  for (const size_t i : order) {
    // With two objectives the last of the front has the least second cost so far.
    const auto first = costs.width() <= 2 && !front.empty() ? front.end() - 1 : front.begin();
    const bool beaten =
        std::any_of(first, front.end(), [&](size_t other) { return costs.Beats(other, i); });
    if (!beaten) front.push_back(i);
  }
  std::sort(front.begin(), front.end());
  return front;
}

}  // namespace tierscope

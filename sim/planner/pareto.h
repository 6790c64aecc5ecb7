// Choosing among points by several metrics at once. Pure; thread-safe.
#ifndef TIERSCOPE_SIM_PLANNER_PARETO_H_
#define TIERSCOPE_SIM_PLANNER_PARETO_H_

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace tierscope {

struct Objective {
  std::string metric;
  bool maximize = false;
};

// Indices, rising, of the points that no other one beats: none is at least as good in every
// objective and better in one. Equal points stand or fall together. values: [point *
// objectives.size() + objective]; a point with a value that is not finite is never on the front.
// Cost: n log n for two objectives, n x front beyond.
std::vector<size_t> ParetoFront(std::span<const double> values,
                                std::span<const Objective> objectives);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_PLANNER_PARETO_H_

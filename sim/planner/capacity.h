// The largest load under several limits at once. A load is a whole number of units: concurrent
// requests of a closed loop, or steps of request rate of an open one; what it means is the
// caller's.
//
// Where every limit gets worse with load, bisection finds the answer and runs at the answer and at
// one more prove it. Whether that is so is not assumed: a curve of loads from the least to beyond
// the answer is run too, and a limit that fails below a load where it holds (thrashing that heals,
// a metric with a peak) makes the search scan instead and the answer say so.
#ifndef TIERSCOPE_SIM_PLANNER_CAPACITY_H_
#define TIERSCOPE_SIM_PLANNER_CAPACITY_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "reports/schema/result.pb.h"
#include "sim/planner/limits.h"

namespace tierscope {

// A load that nothing can exceed, known without a run: the largest captured CUDA graph, say.
struct Ceiling {
  std::string label;
  int64_t load = 0;
  Bottleneck resource = Bottleneck::kNone;
};

struct LoadPoint {
  int64_t load = 0;
  RunResult result;
  std::vector<Reading> readings;  // one a limit
  bool holds = false;             // all of them
};

struct CapacitySearch {
  std::vector<Limit> limits;
  std::vector<Ceiling> ceilings;
  int64_t load_max = 4096;  // where the search gives up
  int curve_points = 8;     // loads of the curve, from 1 to beyond the answer
  int scan_points = 24;     // loads of a scan
};

// One of the search's limits or one of its ceilings; neither: none.
struct Bound {
  int limit = -1;
  int ceiling = -1;
  bool none() const { return limit < 0 && ceiling < 0; }
};

// What stops first when the binding bound is gone: a load that holds and a larger one that does
// not.
struct NextBound {
  Bound bound;
  int64_t load_holds = 0;
  int64_t load_fails = 0;
};

struct Capacity {
  int64_t load = 0;  // 0: not even a load of 1 holds
  Bound binding;     // what stops the next unit; none: load_max
  NextBound next;
  bool monotone = true;  // false: found by scanning; loads below `load` fail too
  // Loads whose readings contradict each other within the limit's noise; the answer is the load
  // below the first of them. 0 = none.
  int64_t noisy_from = 0;
  int64_t noisy_to = 0;
  std::vector<LoadPoint> points;  // every load that was run, rising
  const LoadPoint* PointAt(int64_t load) const;
  // The least load above the answer that was run and fails; null where none was.
  const LoadPoint* FirstFailing() const;
};

// A run at `load`. With `lifted` not kNone the scenario has more of that resource than it needs:
// such runs only tell what comes behind it and may be shorter.
using EvaluateLoad = std::function<absl::StatusOr<RunResult>(int64_t load, Bottleneck lifted)>;

// Runs `evaluate` once a load and lifted resource at most. Errors: those of `evaluate`, limits
// that contradict each other, a limit without a value in a run where somebody finished.
absl::StatusOr<Capacity> FindCapacity(const CapacitySearch& search, const EvaluateLoad& evaluate);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_PLANNER_CAPACITY_H_

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
  int scan_points = 48;     // loads of a scan
};

struct Capacity {
  int64_t load = 0;  // 0: not even a load of 1 holds
  // What stops the next unit: a limit (index >= 0) or a ceiling (index >= 0); neither: load_max.
  int binding_limit = -1;
  int binding_ceiling = -1;
  // The next one behind it: the limit or ceiling that stops first when the binding one is gone.
  int next_limit = -1;
  int next_ceiling = -1;
  int64_t next_load = 0;          // largest load known to hold under all but the binding one
  bool monotone = true;           // false: found by scanning; loads below `load` may fail too
  std::vector<LoadPoint> points;  // every load that was run, rising
  const LoadPoint* PointAt(int64_t load) const;
};

// Runs `evaluate` once a load at most. Errors: those of `evaluate`, a limit without a value.
absl::StatusOr<Capacity> FindCapacity(
    const CapacitySearch& search,
    const std::function<absl::StatusOr<RunResult>(int64_t load)>& evaluate);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_PLANNER_CAPACITY_H_

// The points of a sweep: which there are, and the scenario of each. A point is a number; nothing is
// held per point but what a Latin hypercube draws.
#ifndef TIERSCOPE_SIM_PLANNER_SWEEP_PLAN_H_
#define TIERSCOPE_SIM_PLANNER_SWEEP_PLAN_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "scenarios/scenario.pb.h"
#include "scenarios/sweep.pb.h"
#include "scenarios/unused.h"
#include "sim/planner/limits.h"
#include "sim/planner/pareto.h"
#include "sim/planner/sweep_axis.h"

namespace tierscope {

inline constexpr int64_t kSweepPointsUnasked = 10'000'000;  // more need a yes
inline constexpr int64_t kSweepPointsMax = 1'000'000'000;

struct SweepPlan {
  std::string file;  // of the sweep
  std::string name;
  std::string scenario_path;
  std::string scenario_text;
  std::vector<std::string> sets;  // of every point
  std::vector<SweepAxis> axes;
  SweepSpec::Mode mode = SweepSpec::GRID;
  int64_t cell_count = 1;  // points, repeats left aside
  int32_t repeats = 1;
  uint64_t first_seed = 1;                    // of the repeats
  std::vector<std::vector<int32_t>> sampled;  // LATIN_HYPERCUBE: [axis][cell] -> value
  std::vector<Objective> objectives;
  std::vector<Limit> limits;
  std::vector<std::string> metrics;  // empty: all

  int64_t point_count() const { return cell_count * repeats; }
  // Value of `axis` at `cell` as an index into its values.
  int32_t ValueAt(int64_t cell, size_t axis) const;
  // The indices of all axes at a point.
  std::vector<int32_t> Coordinates(int64_t point) const;
  uint64_t SeedOf(int64_t point) const {
    return first_seed + static_cast<uint64_t>(point % repeats);
  }
};

struct SweepOptions {
  std::vector<std::string> sets;  // --set, over those of the file
  bool yes = false;               // more than kSweepPointsUnasked points
};

// Reads and checks the sweep file and its scenario file. Errors, one line with file and field: an
// axis over no field or without values, a field that two axes set or an axis and a `set`, too many
// points (known before anything is allocated), a metric that does not exist.
absl::StatusOr<SweepPlan> LoadSweep(const std::string& path, const SweepOptions& options);

// The --set arguments of a point, those of every point first.
std::vector<std::string> PointSets(const SweepPlan& plan, int64_t point);
// The same for any choice of values, one an axis; a seed where repeats ask for one.
std::vector<std::string> SetsOf(const SweepPlan& plan, std::span<const AxisValue> values,
                                uint64_t seed);

// The resolved scenario of --set arguments on the sweep's scenario.
// `unused_sets`: as in scenarios/loader.h.
absl::StatusOr<Scenario> ResolvePoint(const SweepPlan& plan, const std::vector<std::string>& sets,
                                      std::vector<UnusedField>* unused_sets = nullptr);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_PLANNER_SWEEP_PLAN_H_

// The points of a sweep as work: what each one's result is found by, and the order to run them in.
#ifndef TIERSCOPE_CLI_SWEEP_POINTS_H_
#define TIERSCOPE_CLI_SWEEP_POINTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "reports/results_store.h"
#include "scenarios/scenario.pb.h"
#include "sim/demand/distil.h"
#include "sim/planner/sweep_plan.h"

namespace tierscope::cli {

// Points of the plan, and behind them those that refinement added.
class SweepPoints {
 public:
  explicit SweepPoints(const SweepPlan& plan) : plan_(&plan) {}

  const SweepPlan& plan() const { return *plan_; }
  int64_t count() const { return plan_->point_count() + static_cast<int64_t>(added_.size()); }
  void Add(std::vector<AxisValue> values, uint64_t seed) {
    added_.push_back({std::move(values), seed});
  }

  // Labels of the point's values, one an axis; its seed.
  std::vector<AxisValue> Values(int64_t point) const;
  uint64_t Seed(int64_t point) const;
  std::vector<std::string> Sets(int64_t point) const;
  // "policy.tau_steps=8,policy.threshold=0.1": what distinguishes the point.
  std::string Name(int64_t point) const;
  // `status` with the sweep file and the point in front.
  absl::Status Error(int64_t point, const absl::Status& status) const;
  absl::StatusOr<Scenario> Resolve(int64_t point,
                                   std::vector<UnusedField>* unused_sets = nullptr) const;

 private:
  struct Added {
    std::vector<AxisValue> values;
    uint64_t seed;
  };
  const SweepPlan* plan_;
  std::vector<Added> added_;
};

// Points that need the same demand.
struct DemandGroup {
  bool needed = false;     // false: the policy needs no trace
  std::string trace_path;  // where it is, or is kept once generated
  DemandSpec spec;
  int64_t first_point = 0;
};

struct SweepWork {
  std::vector<ResultKey> keys;      // by point
  std::vector<int32_t> group_of;    // by point
  std::vector<DemandGroup> groups;  // by first point
};

std::vector<int64_t> AllPoints(const SweepPoints& points);

// Resolves the points of `wanted`, `jobs` at a time; others have no key and no group. Error: the
// least point that is no valid scenario; where all points are wanted, an axis or a set that none of
// them reads. Cost: about 0.3 ms a point; 20 bytes a point stay.
absl::StatusOr<SweepWork> PlanWork(const SweepPoints& points, const std::vector<int64_t>& wanted,
                                   int jobs);

// The points of `wanted` in the order to run them: trace by trace, demand by demand, so that each
// is made once and dropped; a key that several points share once.
std::vector<int64_t> InDemandOrder(const SweepWork& work, std::vector<int64_t> wanted);

// The build that computes results: version and digest of the sources that results depend on.
std::string BuildName();

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_SWEEP_POINTS_H_

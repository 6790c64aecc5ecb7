// One axis of a sweep: its values, each with the --set arguments it stands for. Pure; thread-safe.
#ifndef TIERSCOPE_SIM_PLANNER_SWEEP_AXIS_H_
#define TIERSCOPE_SIM_PLANNER_SWEEP_AXIS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "scenarios/sweep.pb.h"

namespace tierscope {

struct AxisValue {
  std::string label;              // as tables show it
  std::vector<std::string> sets;  // "path=value" each
  std::optional<double> number;   // where the axis is one of numbers
};

struct SweepAxis {
  std::string name;
  std::string field;         // empty: an axis of cases
  bool is_integer = false;   // of the field
  bool is_log = false;       // a log_range: middles are geometric
  double multiple_of = 0.0;  // 0: none
  std::vector<AxisValue> values;
};

// How many values the axis has, by arithmetic: nothing is allocated. Under LATIN_HYPERCUBE that of
// an axis that samples a continuous range is `sample_count`. Errors: an empty or contradictory
// axis, "<what>; <what to do>".
absl::StatusOr<int64_t> AxisCount(const SweepSpec::Axis& axis, SweepSpec::Mode mode,
                                  int64_t sample_count);

// The axis with all its values. `folder`: what relative file names are relative to.
// `sample_seed` draws within the parts of a continuous Latin hypercube axis. Errors: those of
// AxisCount, a field that no scenario has, a value that the field cannot hold, a value twice.
absl::StatusOr<SweepAxis> MakeAxis(const SweepSpec::Axis& axis, SweepSpec::Mode mode,
                                   int64_t sample_count, uint64_t sample_seed,
                                   const std::string& folder);

// A value of the axis's field: rounded as the axis says, shortest text that reads back.
AxisValue NumberValue(const SweepAxis& axis, double number);

// "a=1,b=2" cut into its assignments, file names made absolute from `folder`.
absl::StatusOr<std::vector<std::string>> AbsoluteSets(const std::string& text,
                                                      const std::string& folder);

// The fields that the assignments set.
std::vector<std::string> FieldsOf(const std::vector<std::string>& sets);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_PLANNER_SWEEP_AXIS_H_

// The range of every number in a scenario, and which must be given. Stateless; thread-safe.
#ifndef TIERSCOPE_SCENARIOS_RANGES_H_
#define TIERSCOPE_SCENARIOS_RANGES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

#include "scenarios/origins.h"
#include "scenarios/scenario.pb.h"

namespace tierscope {

struct Range {
  std::string path;  // "[]" stands for any element
  double min;
  double max;
  enum Ends { kClosed, kOpenBelow, kOpen } ends = kClosed;  // which ends are excluded
  enum Presence { kOptional, kRequired } presence = kOptional;
};

// One for each numeric field of the schema; tested to be complete.
const std::vector<Range>& FieldRanges();

// InvalidArgument at the first required field that is missing, or the first number that is not
// finite or out of its range.
absl::Status CheckRanges(const Scenario& scenario, const Origins& origins);

}  // namespace tierscope

#endif  // TIERSCOPE_SCENARIOS_RANGES_H_

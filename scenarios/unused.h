// Fields of a scenario that nothing reads under what its other fields say: a value given there is a
// misunderstanding. Stateless; thread-safe.
#ifndef TIERSCOPE_SCENARIOS_UNUSED_H_
#define TIERSCOPE_SCENARIOS_UNUSED_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

#include "scenarios/scenario.pb.h"

namespace tierscope {

struct UnusedField {
  std::string path;
  std::string because;  // "policy.kind ORACLE reads no scores"
};

// Of a resolved scenario; whoever gave their values, default or not. Fields whose misuse
// ValidateScenario refuses are not among them.
std::vector<UnusedField> UnusedFields(const Scenario& scenario);

// Those of them that hold something else than their default, and no fact about a machine: what a
// run should mention. Depends on the resolved scenario alone, so that its text repeats the notes.
std::vector<UnusedField> UnusedSettings(const Scenario& scenario);

// InvalidArgument: "<where>: has no effect because ...; remove it".
absl::Status UnusedError(const std::string& where, const UnusedField& field);

}  // namespace tierscope

#endif  // TIERSCOPE_SCENARIOS_UNUSED_H_

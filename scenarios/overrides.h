// The --set option:
// "policy.tau_steps=32,workload.classes[0].weight=2,engine.graph_batch_sizes=[1,2,4]". Stateless;
// thread-safe.
#ifndef TIERSCOPE_SCENARIOS_OVERRIDES_H_
#define TIERSCOPE_SCENARIOS_OVERRIDES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "scenarios/origins.h"
#include "scenarios/scenario.pb.h"

namespace tierscope {

struct Override {
  std::string path;   // field path
  std::string value;  // as typed
};

// Splits the arguments of --set, in order. A comma ends a value where `name=` follows it and it is
// not inside double quotes or square brackets. InvalidArgument when a piece is not path=value.
absl::StatusOr<std::vector<Override>> ParseOverrides(const std::vector<std::string>& sets);

// Sets the fields, later ones over earlier ones. Enums are matched without regard to case; a whole
// number may be written 141e9; an empty value unsets the field; a repeated scalar is replaced whole
// by [1,2,3] or 1,2,3. A relative file name is made absolute against the working directory.
// `x.preset=P` drops what the file says of x where the file's x names no preset, as in a resolved
// scenario; where it names one, the fields beside it stay and outrank P.
// InvalidArgument, one line: unknown path (with the nearest one), wrong type, number out of its
// type's range.
absl::Status ApplyOverrides(const std::vector<Override>& overrides, Scenario* scenario,
                            Origins* origins);

// Unsets again what `none` unset, after presets have filled the scenario.
void ClearUnset(const Origins& origins, Scenario* scenario);

}  // namespace tierscope

#endif  // TIERSCOPE_SCENARIOS_OVERRIDES_H_

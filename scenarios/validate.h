// Decides whether a scenario with presets expanded and defaults filled in can be run.
#ifndef TIERSCOPE_SCENARIOS_VALIDATE_H_
#define TIERSCOPE_SCENARIOS_VALIDATE_H_

#include "absl/status/status.h"

#include "scenarios/origins.h"
#include "scenarios/scenario.pb.h"

namespace tierscope {

// Every value in its range (ranges.h), then what fields say of one another. InvalidArgument with
// the first problem: where, what, what to do. Stateless; thread-safe.
absl::Status ValidateScenario(const Scenario& scenario, const Origins& origins);

// The part of it that is about engine.prefix_store.
absl::Status CheckPrefixStore(const Scenario& scenario, const Origins& origins);

// The part of it that is about hardware.measured_ops, which the scenario has: the ops that a step
// and a level-1 job take are there, each a whole grid.
absl::Status CheckMeasuredOps(const Scenario& scenario, const Origins& origins);

}  // namespace tierscope

#endif  // TIERSCOPE_SCENARIOS_VALIDATE_H_

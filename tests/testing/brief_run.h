// Any scenario that the loader accepts, simulated in a moment: with made-up demand and at most a
// handful of requests. What the scenario says of rates, sizes and times stays as it is.
#ifndef TIERSCOPE_TESTS_TESTING_BRIEF_RUN_H_
#define TIERSCOPE_TESTS_TESTING_BRIEF_RUN_H_

#include "absl/status/statusor.h"

#include "scenarios/scenario.pb.h"
#include "sim/engine/simulate.h"

namespace tierscope::testing {

// The scenario with what decides about a run's own cost bounded: requests, their outputs and
// chunks, replicas and groups, steps of a window, blocks of the reserve, what kernels are tabulated
// for.
Scenario Bounded(Scenario scenario);

// A profile of eight pages of prompt and a few windows, distilled for the scenario's policy.
// Precondition: NeedsDemand.
absl::StatusOr<WindowDemand> MadeUpDemand(const Scenario& scenario);

// Simulate, on Bounded(scenario) and inputs made for it. Errors: of Simulate; a demand that cannot
// be made for the policy.
absl::StatusOr<Simulation> RunBriefly(const Scenario& scenario);

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_TESTING_BRIEF_RUN_H_

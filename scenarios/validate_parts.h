// The parts of ValidateScenario (validate.h), by topic: each gives the first problem of its fields.
// Stateless; thread-safe.
#ifndef TIERSCOPE_SCENARIOS_VALIDATE_PARTS_H_
#define TIERSCOPE_SCENARIOS_VALIDATE_PARTS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

#include "scenarios/origins.h"
#include "scenarios/scenario.pb.h"

namespace tierscope {

// Step model with the shapes it needs, copy curve.
absl::Status CheckHardwareFields(const Scenario& scenario, const Origins& origins);
// hardware.measured_ops, which the scenario has: the ops that a step and a level-1 job take are
// there, each a whole grid.
absl::Status CheckMeasuredOps(const Scenario& scenario, const Origins& origins);
// Arrivals, lengths, attention.
absl::Status CheckWorkloadFields(const Scenario& scenario, const Origins& origins);
// What the kind of policy reads: a field that it does not read stays at its default.
absl::Status CheckPolicyFields(const Scenario& scenario, const Origins& origins);
// Reserve, recall path, ranks, weights and pools.
absl::Status CheckMemoryFields(const Scenario& scenario, const Origins& origins);
// Replicas and how requests find them, layouts over ranks, engine.mtp.
absl::Status CheckParallel(const Scenario& scenario, const Origins& origins);
// engine.prefix_store.
absl::Status CheckPrefixStore(const Scenario& scenario, const Origins& origins);

inline std::string Gb(int64_t bytes) {
  return absl::StrFormat("%.1f GB", static_cast<double>(bytes) / 1e9);
}

}  // namespace tierscope

#endif  // TIERSCOPE_SCENARIOS_VALIDATE_PARTS_H_

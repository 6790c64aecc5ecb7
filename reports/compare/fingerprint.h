// What must be equal for two runs to be comparable. Stateless.
#ifndef TIERSCOPE_REPORTS_COMPARE_FINGERPRINT_H_
#define TIERSCOPE_REPORTS_COMPARE_FINGERPRINT_H_

#include <string>
#include <vector>

#include "reports/compare/run_set.h"

namespace tierscope {

// What --across can name. kKind cannot be allowed: a simulated and a measured run are reconciled.
enum class FingerprintGroup { kKind, kScenario, kTrace, kModel, kDevice };

// "kind", "scenario", "trace", "model", "device".
absl::string_view GroupName(FingerprintGroup group);

struct FingerprintDifference {
  FingerprintGroup group;
  std::string field;       // "policy.tau_steps", "attention trace", "host.cpu"
  std::string base, next;  // "" where a side has none
};

// Kind; inputs by role (roles "model", "device", and traces for all others); the scenario, by its
// fields where both sides have their scenario.txtpb, else by its digest; of measured metrics also
// the host's processor and build type. Names of inputs and of scenarios are no difference.
std::vector<FingerprintDifference> CompareFingerprints(const ScenarioRuns& base,
                                                       const ScenarioRuns& next);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_COMPARE_FINGERPRINT_H_

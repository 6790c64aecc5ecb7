// What phases.csv comes to by phase.
#ifndef TIERSCOPE_REPORTS_PHASE_SUMS_H_
#define TIERSCOPE_REPORTS_PHASE_SUMS_H_

#include <string>

#include "absl/status/statusor.h"

namespace tierscope {

// [{"phase", "n", "duration_ns"}] of the rows of whole batches and jobs, in the order of the phases
// (reports/schema/phase_log.h). Constant memory. Errors: those of ForEachPhaseSpan.
absl::StatusOr<std::string> PhaseSums(const std::string& path);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_PHASE_SUMS_H_

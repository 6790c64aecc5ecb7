// What phases.csv comes to by phase: a table of spans with at least the columns phase and
// duration_ns. Where it has a column request, rows of single requests (>= 0) are passed over, as
// they repeat what the batch's own row holds. Constant memory.
#ifndef TIERSCOPE_REPORTS_PHASE_SUMS_H_
#define TIERSCOPE_REPORTS_PHASE_SUMS_H_

#include <string>

#include "absl/status/statusor.h"

namespace tierscope {

// [{"phase", "n", "duration_ns"}] in the order of first appearance. Errors: not readable, a column
// that is wanting, a row that is none, more phases than a log can have.
absl::StatusOr<std::string> PhaseSums(const std::string& path);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_PHASE_SUMS_H_

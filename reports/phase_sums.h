// What phases.csv comes to by phase: a table of spans with at least the columns phase and
// duration_ns. Where it has a column request, rows of single requests (>= 0) are passed over, as
// they repeat what the batch's own row holds. Constant memory.
#ifndef TIERSCOPE_REPORTS_PHASE_SUMS_H_
#define TIERSCOPE_REPORTS_PHASE_SUMS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tierscope {

// A row; -1 where the file has no such column.
struct PhaseRow {
  int64_t step = -1;
  int64_t tick = -1;
  int64_t request = -1;
  int64_t begin_ns = -1;
  int64_t duration_ns = 0;
  absl::string_view phase;  // good during the call
};

// Calls `row` for every row of the file, in order. Errors: not readable, a column that is wanting,
// a row that is none.
absl::Status ForEachPhaseRow(const std::string& path,
                             const std::function<void(const PhaseRow&)>& row);

// [{"phase", "n", "duration_ns"}] in the order of first appearance. Errors: not readable, a column
// that is wanting, a row that is none. Phases past the 256th are left out.
absl::StatusOr<std::string> PhaseSums(const std::string& path);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_PHASE_SUMS_H_

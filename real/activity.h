// What a device recorded of its own work, as plain data, and what of it belongs to which phase of
// which step or tick. No CUDA here: the tracer of a backend (cupti_tracer.h) makes records, and
// tests make them up.
#ifndef TIERSCOPE_REAL_ACTIVITY_H_
#define TIERSCOPE_REAL_ACTIVITY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "reports/schema/phase_log.h"

namespace tierscope {

enum class ActivityKind : uint8_t { kKernel, kCopy, kFill, kOverhead };

// Nanoseconds on the backend's clock.
struct ActivityRecord {
  ActivityKind kind = ActivityKind::kKernel;
  uint32_t correlation = 0;  // of the call that caused it
  int64_t begin_ns = 0;
  int64_t end_ns = 0;
  int64_t bytes = 0;  // of a copy or fill
};

// The call `correlation` was made for `tag`.
struct ActivityLink {
  uint32_t correlation = 0;
  uint64_t tag = 0;
};

// Records and links in any order.
struct ActivityTrace {
  std::vector<ActivityRecord> records;
  std::vector<ActivityLink> links;
  int64_t dropped = 0;  // records that the device had no room for
  int64_t untimed = 0;  // records without times
};

// Names a phase of a step (tick -1) or of a tick; never 0, which is no phase. Preconditions:
// -1 <= step < 2^31, -1 <= tick < 2^22.
uint64_t ActivityTag(Phase phase, int64_t step, int64_t tick);

struct ActivityRow {
  int64_t step = -1;
  int64_t tick = -1;
  Phase phase = Phase::kStep;
  int64_t begin_ns = 0;   // of its first record
  int64_t end_ns = 0;     // of its last
  int64_t busy_ns = 0;    // while at least one of its records ran
  int64_t kernel_ns = 0;  // summed over its kernels
  int64_t copy_ns = 0;    // summed over its copies and fills
  int64_t bytes = 0;      // copied or filled
  int64_t pages = 0;      // whole pages in `bytes`, of RECALL and WRITEBACK
  int64_t records = 0;
  friend bool operator==(const ActivityRow&, const ActivityRow&) = default;
};

struct ActivityTable {
  std::vector<ActivityRow> rows;  // by step, tick, phase
  // Work that belongs to no phase (uploads, content), and what tracing itself cost.
  int64_t outside_records = 0;
  int64_t outside_ns = 0;
  int64_t overhead_ns = 0;
  int64_t records = 0;  // all but overhead
};

// Sorts by phase what the trace holds. Times and bytes of a trace with holes would be too low and
// look as good as others. Error: DataLoss, how many records were dropped or have no times, or that
// none belongs to a phase, and what to do.
absl::StatusOr<ActivityTable> Attribute(const ActivityTrace& trace, int64_t page_bytes);

// activity.csv; times since `origin_ns`. Its first line is the summary.
std::string ActivityCsv(const ActivityTable& table, int64_t origin_ns);

// How many records there are, and what of them is in no row; one line.
std::string ActivitySummary(const ActivityTable& table);

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_ACTIVITY_H_

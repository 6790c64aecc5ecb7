// phases.csv: where the time of a run went, span by span. The simulator and the real mode write the
// same table, so that a reconciliation joins them by (step, phase) and (tick, phase).
//
// Meaning of a row:
// - `step` is the index of a batch step from 0, `tick` the index of a level-1 job from 0. A span of
//   the decode stream has a step and tick -1. A span of a level-1 job has its tick; its step is
//   that of the batch step after which the job was launched, but for `publish`: the first batch
//   step that decodes with what was published (-1: none came). A writeback has the step that sealed
//   the pages and tick -1.
// - `request` is -1 for a span of the whole batch or job. `select` and `recall` have rows of single
//   requests beside it, by number in order of admission: they split its bytes and pages and have no
//   duration. Who wants totals reads the rows of -1.
// - `begin_ns` counts from the begin of the run's first step. A phase that recurs over the layers
//   of a step is one row: begin of the first, sum of the durations.
// - `bytes` is what the phase moves or must read (weights, keys, entries, pages), `pages` the pages
//   it concerns: active ones for `step`, wanted ones for `select`, moved ones for `recall` and
//   `writeback`. 0 where neither means anything.
// - Of one step: step = ballast + native_score + native_top_k + csa_attention + hca_attention
//   + swa_attention + engine + the waits. A step begins where the one before it ended.
// - A phase that took no time may be left out.
//
// Repeats of a timed run are phases-0.csv, phases-1.csv, ...; phases.csv is the one of them with
// the median decode time (the lower of two middle ones), and the only one of a run without repeats.
#ifndef TIERSCOPE_REPORTS_SCHEMA_PHASE_LOG_H_
#define TIERSCOPE_REPORTS_SCHEMA_PHASE_LOG_H_

#include <cstdint>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "reports/atomic_file.h"

namespace tierscope {

enum class Phase : uint8_t {
  // Of the decode stream.
  kStep,           // the whole step, waits included
  kBallast,        // dense and expert products of all layers, and the head
  kNativeScore,    // level 2 over the active entries, all CSA layers
  kNativeTopK,     // its choice
  kCsaAttention,   // over the chosen entries and the window
  kHcaAttention,   // over all HCA entries and the window
  kSwaAttention,   // of layers that have the window alone
  kEngine,         // host work outside the kernels
  kWaitIndex,      // for level-1 scoring and selection
  kWaitQueue,      // for a job or copy behind another one
  kWaitTransfer,   // for pages on the link
  kWaitJoin,       // for the job before, at a due tick
  kWaitAdmission,  // for the first tick and cold recall of new requests
  // Of a level-1 job, and of the copies beside the decode stream.
  kScore,
  kSelect,
  kRecall,
  kWriteback,
  kPublish,
};

// In the order of the enum.
inline constexpr absl::string_view kPhaseNames[] = {
    "step",           "ballast", "native_score", "native_top_k", "csa_attention", "hca_attention",
    "swa_attention",  "engine",  "wait.index",   "wait.queue",   "wait.transfer", "wait.join",
    "wait.admission", "score",   "select",       "recall",       "writeback",     "publish"};
inline constexpr int kPhaseCount = static_cast<int>(std::size(kPhaseNames));
static_assert(kPhaseCount == static_cast<int>(Phase::kPublish) + 1);

inline absl::string_view PhaseName(Phase phase) { return kPhaseNames[static_cast<size_t>(phase)]; }
std::optional<Phase> PhaseFromName(absl::string_view name);

struct PhaseSpan {
  int64_t step = -1;
  int64_t tick = -1;
  int64_t request = -1;
  Phase phase = Phase::kStep;
  int64_t begin_ns = 0;
  int64_t duration_ns = 0;
  int64_t bytes = 0;
  int64_t pages = 0;
  friend bool operator==(const PhaseSpan&, const PhaseSpan&) = default;
};

inline constexpr absl::string_view kPhaseLogHeader =
    "step,tick,request,phase,begin_ns,duration_ns,bytes,pages";
// Limits of the reader: a file larger than that is refused before it is read to its end.
inline constexpr int64_t kPhaseLogRowsMax = int64_t{1} << 22;
inline constexpr int64_t kPhaseLogLineBytesMax = 256;

// Writes the table row by row, in constant memory; the file appears whole at Finish or not at all.
// One owner, one thread.
class PhaseLogWriter {
 public:
  absl::Status Open(absl::string_view path);
  // Rows behind kPhaseLogRowsMax are not written, and Finish says so. Rows stand in the order
  // given.
  void Append(const PhaseSpan& span);
  absl::Status Finish();
  int64_t row_count() const { return row_count_; }

 private:
  AtomicFile file_;
  std::string path_;
  int64_t row_count_ = 0;
};

absl::Status WritePhaseLog(absl::string_view path, const std::vector<PhaseSpan>& spans);

// Calls `visit` with every row in order, in constant memory. Errors: those of ReadPhaseLog, behind
// the rows before.
absl::Status ForEachPhaseSpan(const std::string& path,
                              const std::function<void(const PhaseSpan&)>& visit);

// Reads a table that keeps to the format to the letter. Errors: "file:line: what, and what to do";
// InvalidArgument for a wrong header, field, phase or number, a negative bytes, pages or duration,
// an end past int64, a line or file beyond the limits, or a last line without its end.
absl::StatusOr<std::vector<PhaseSpan>> ReadPhaseLog(const std::string& path);

// phases.csv of repeat `repeat`: "phases-<repeat>.csv".
std::string PhaseLogOfRepeat(int repeat);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_SCHEMA_PHASE_LOG_H_

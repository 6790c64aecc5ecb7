// phases.csv as two tables, by batch step and by level-1 job, and the join of two of them. Keys are
// the numbers of steps and jobs, never the order of rows. Pure functions.
#ifndef TIERSCOPE_REPORTS_PHASE_JOIN_H_
#define TIERSCOPE_REPORTS_PHASE_JOIN_H_

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "reports/paired_stats.h"
#include "reports/schema/phase_log.h"

namespace tierscope {

struct StepRow {
  std::array<int64_t, kPhaseCount> ns = {};
  int64_t active_pages = 0;
  int64_t pages_written_back = 0;
};

struct TickRow {
  std::array<int64_t, kPhaseCount> ns = {};
  int64_t launch_step = -1;
  int64_t publish_step = -1;  // first step that decodes with it; -1: none came
  int64_t pages_wanted = 0;
  int64_t pages_recalled = 0;
};

struct PhaseTable {
  std::vector<StepRow> steps;        // by number, from 0
  std::map<int64_t, TickRow> ticks;  // by number
};

// The spans of whole batches and jobs (request -1). `name` is the file's, for messages. Errors,
// InvalidArgument: no step at all; a step that is missing, is there twice or does not begin after
// the one before it; a phase of a step without a step.
absl::StatusOr<PhaseTable> TabulatePhases(std::span<const PhaseSpan> spans,
                                          const std::string& name);

// Whether a phase is timed per step, or else per level-1 job.
bool IsOfStep(Phase phase);

// Nanoseconds of every step both have, from `from_step` on: of `phase`, less that of `less` unless
// they are the same. Pairs that are 0 on both sides are left out.
std::vector<PredictedMeasured> PairSteps(const PhaseTable& predicted, const PhaseTable& measured,
                                         int64_t from_step, Phase phase, Phase less);
// Nanoseconds of `phase` in every job that both have and that was launched from `from_step` on.
std::vector<PredictedMeasured> PairTicks(const PhaseTable& predicted, const PhaseTable& measured,
                                         int64_t from_step, Phase phase);

// The table whose times are, key by key, the median of those of `repeats` (the lower of two middle
// ones); counts are those of the first. Precondition: at least one; the error names repeats of
// different numbers of steps, or whose counts differ where `same_counts`.
absl::StatusOr<PhaseTable> MedianOfRepeats(std::span<const PhaseTable> repeats, bool same_counts);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_PHASE_JOIN_H_

// What a sweep found: the table of its points, and the analysis of them.
#ifndef TIERSCOPE_CLI_SWEEP_TABLE_H_
#define TIERSCOPE_CLI_SWEEP_TABLE_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/rows.h"
#include "cli/sweep_points.h"

#include "reports/results_store.h"
#include "sim/planner/limits.h"
#include "sim/planner/pareto.h"

namespace tierscope::cli {

// What the front is drawn over where a sweep does not say: footprint, coverage, stall.
std::vector<Objective> DefaultObjectives();

// The metrics by which points are judged, held for all of them: 8 bytes a value.
struct SweepValues {
  std::vector<Objective> objectives;
  std::vector<Limit> limits;
  std::vector<double> objective_values;  // [point][objective], NaN: none
  std::vector<double> limit_values;      // [point][limit]
  int64_t refused = 0;                   // points that cannot run
  std::string first_refusal;             // "point 3 (...): reason"

  // Whether the point has every value and keeps every limit.
  bool Serves(int64_t point) const;
  // The Pareto front among the points that serve.
  std::vector<size_t> Front() const;
};

// Error: a point without a row.
absl::StatusOr<SweepValues> ReadValues(const SweepPoints& points, const SweepWork& work,
                                       const ResultsStore& store);

// The summary for a terminal.
std::string SummaryText(const SweepPoints& points, const SweepValues& values);

// Every point in order, streamed to standard output: point, its axes, digests, the metrics asked
// for. The same bytes whatever order, jobs, machine or history computed them.
absl::Status PrintCsv(const SweepPoints& points, const SweepWork& work, const ResultsStore& store);
absl::Status PrintJson(const SweepPoints& points, const SweepWork& work, const SweepValues& values,
                       const ResultsStore& store);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_SWEEP_TABLE_H_

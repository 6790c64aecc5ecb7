// Predicted beside measured, phase by phase: the join of a simulated and a real run of one
// scenario, against what repeats of the real run differ by themselves. A pure function of what the
// two folders hold; it never fits anything.
//
// Terms and their error
// - `step`, `step - ballast`, every phase of a step, and every phase of a level-1 job, from
//   `from_step` on. Measured is the median of the repeats, key by key.
// - The error of a term is the median of |predicted / measured - 1| over its steps or jobs; for a
//   phase that one side does not have in a tenth of its keys or more (waits), it is that of sums.
// - Noise floor: the same statistics between every two repeats, of which the median.
// - A term is inside the noise when neither its error nor the size of its median signed error is
//   above the floor's. A constant bias is not hidden by jitter that averages out.
// - `ballast` is shown and never judged: it is measured at the same shapes on either side.
// - A broken bound of `step` or `step - ballast` stays broken inside the noise: a machine too noisy
//   to tell has shown nothing. A single phase inside the noise is called so and not held to its
//   bound.
#ifndef TIERSCOPE_REPORTS_RECONCILE_H_
#define TIERSCOPE_REPORTS_RECONCILE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "reports/paired_stats.h"
#include "reports/schema/phase_log.h"

namespace tierscope {

struct ReconcileBounds {
  std::string backend;
  double step = 0.0;  // error of `step`
  double step_less_ballast = 0.0;
  double phase = 0.0;  // of each phase above phase_share of the steps' time
  double phase_share = 0.0;
};
// The one table of bounds, by backend. Null: no such backend.
const ReconcileBounds* FindReconcileBounds(const std::string& backend);

// What two runs must agree on to be compared, by field path.
using Fingerprint = std::vector<std::pair<std::string, std::string>>;
// InvalidArgument naming the first field that only one has or on which they differ.
absl::Status CheckSameFingerprint(const Fingerprint& simulated, const Fingerprint& measured);

struct RunPhases {
  std::vector<PhaseSpan> spans;
  std::string name;  // of the file, for messages
};

struct ReconcileInput {
  std::string name;  // of the scenario
  RunPhases simulated;
  std::vector<RunPhases> repeats;  // of the real run, at least one
  // Counts of the whole run by name, such as pages_recalled.
  std::vector<std::pair<std::string, double>> simulated_counts, measured_counts;
  bool replays = false;  // both follow the same decisions in the same steps: counts are equal
  int64_t from_step = 0;
  ReconcileBounds bounds;
  std::vector<std::string> flags;  // what a reader must know, such as an extrapolation
};

enum class GapVerdict { kWithin, kInsideNoise, kBroken, kNotJudged };

struct Term {
  std::string name;
  bool of_step = true;  // or of a level-1 job
  PairedStats stats;    // nanoseconds
  double error = 0.0;
  bool error_of_sums = false;
  std::optional<PairedStats> noise;  // nothing with one repeat
  double noise_error = 0.0;
  double step_share = 0.0;  // of the measured time of all steps
  std::optional<double> bound;
  GapVerdict verdict = GapVerdict::kNotJudged;
};

struct CountRow {
  std::string name;
  double simulated = 0.0;
  double measured = 0.0;
  bool must_match = false;
  std::string first_difference;  // where the first of several differs, or empty
  bool matches() const { return simulated == measured && first_difference.empty(); }
};

// Steps from a job's launch to the first step that decodes with it, over the jobs of a run.
struct PublishDelays {
  std::vector<int64_t> simulated, measured;  // jobs by delay; the last also counts longer ones
  double distance = 0.0;  // total variation, 0 = the same distribution, 1 = disjoint
};

struct Reconciliation {
  std::string name;
  ReconcileBounds bounds;
  int64_t steps_simulated = 0, steps_measured = 0, from_step = 0, repeats = 0;
  bool replays = false;
  std::vector<Term> terms;
  std::vector<CountRow> counts;
  PublishDelays publish_delays;
  std::vector<std::string> flags;

  const Term* Find(const std::string& term) const;
  // No bound is broken and every count that must match does.
  bool passed() const;
  // What did not pass, one line each.
  std::vector<std::string> Failures() const;
};

// Errors: those of TabulatePhases and MedianOfRepeats; no step from `from_step` on.
absl::StatusOr<Reconciliation> Reconcile(const ReconcileInput& input);

absl::string_view GapVerdictName(GapVerdict verdict);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_RECONCILE_H_

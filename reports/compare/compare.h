// Two sides of runs, metric by metric: what got worse, what got better, what cannot be told.
// A pure function of its arguments. Cost: microseconds a simulated metric, some ms a measured one.
//
// Simulated metrics are deterministic: any difference is exact, and only a gate's tolerance accepts
// it. Measured metrics have samples; with a margin m (the larger of effect_min and the tolerances)
// - regressed or improved: the rank-sum test rejects, at p < 0.01 one-sided, that the new samples
//   are no more than m beyond the base's, and the 95 % interval of the ratio of medians leaves 1
//   out;
// - same: two such tests, at p < 0.05 each, reject that they are m beyond on either side (two
//   one-sided tests, Schuirmann 1987);
// - ambiguous: else, and always where a side has one sample and the ratio is beyond the margin.
#ifndef TIERSCOPE_REPORTS_COMPARE_COMPARE_H_
#define TIERSCOPE_REPORTS_COMPARE_COMPARE_H_

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "reports/compare/fingerprint.h"
#include "reports/compare/gates.h"
#include "reports/compare/rank_test.h"
#include "reports/compare/run_set.h"

namespace tierscope {

enum class Verdict {
  kSame,
  kImproved,
  kRegressed,
  kChanged,    // differs, and neither way is better: fails like a regression
  kAmbiguous,  // measured, and the samples do not decide
  kMissing,    // in the base only
  kNew,        // in the new one only
};

// "same", "improved", ...
absl::string_view VerdictName(Verdict verdict);

struct MetricComparison {
  std::string scenario, metric, unit;
  bool measured = false;
  Verdict verdict = Verdict::kSame;
  bool fails = false;
  std::optional<double> base, next;  // values, of measured metrics medians
  size_t base_samples = 0, next_samples = 0;
  std::optional<RatioInterval> ratio;  // of the medians, next / base
  std::string why;                     // in words, "" where the numbers say it
  std::string waiver;                  // the reason and the date, where one holds
};

// What fails without being about a metric that both sides could have.
struct Problem {
  std::string scenario;  // "" where it is about none
  std::string what;
};

struct Comparison {
  std::string base_path, next_path;
  std::string base_version, next_version;
  std::vector<MetricComparison> metrics;  // scenario by scenario, in the base's order
  std::vector<Problem> problems;          // each fails
  std::vector<std::string> notes;         // none fails
  bool passes = true;
};

struct CompareOptions {
  Gates gates;
  std::string today;                  // YYYY-MM-DD
  std::set<FingerprintGroup> across;  // differences that are allowed
};

// FailedPrecondition: not comparable, "what differs: base / new; what to do". InvalidArgument: a
// gate or waiver on an unknown metric.
absl::StatusOr<Comparison> Compare(const RunSet& base, const RunSet& next,
                                   const CompareOptions& options);

// The verdict on samples of one measured metric; `why`, medians and interval are filled in as well.
// `seed`: of the bootstrap.
void JudgeMeasured(std::span<const double> base, std::span<const double> next,
                   const MetricGate& gate, uint64_t seed, MetricComparison* comparison);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_COMPARE_COMPARE_H_

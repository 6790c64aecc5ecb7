// Verdicts on one measured metric.
#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "reports/compare/compare.h"

namespace tierscope {
namespace {

constexpr double kProbabilityMax = 0.01;  // of a change, one-sided
constexpr double kEquivalenceMax = 0.05;  // of each of the two tests that rule a change out
constexpr double kIntervalLevel = 0.95;

// The larger of the gate's tolerances, as a ratio.
double MarginOf(const MetricGate& gate, double base_median) {
  return std::max(
      {gate.effect_min, gate.tolerance_relative, gate.tolerance_absolute / std::abs(base_median)});
}

// Whether `next` lies above `factor` times `base`: the rank-sum test rejects that it does not.
bool IsBeyond(std::span<const double> base, std::span<const double> next, double factor,
              double probability_max) {
  std::vector<double> scaled(base.begin(), base.end());
  for (double& sample : scaled) sample *= factor;
  return ProbabilityOfRanksAbove(scaled, next) < probability_max;
}

Verdict VerdictOf(bool upwards, Direction direction) {
  if (direction == Direction::kNone) return Verdict::kChanged;
  const bool better = upwards == (direction == Direction::kHigherBetter);
  return better ? Verdict::kImproved : Verdict::kRegressed;
}

// Samples at or below 0 have no ratio: equal, or within the absolute tolerance, or not decided.
void JudgeWithoutRatio(std::span<const double> base, std::span<const double> next,
                       const MetricGate& gate, MetricComparison* comparison) {
  const auto [base_low, base_high] = std::minmax_element(base.begin(), base.end());
  const auto [next_low, next_high] = std::minmax_element(next.begin(), next.end());
  const bool equal = *base_low == *base_high && *next_low == *next_high && *base_low == *next_low;
  const bool within = std::abs(*comparison->next - *comparison->base) <= gate.tolerance_absolute;
  if (equal || (gate.tolerance_absolute > 0 && within)) {
    comparison->verdict = Verdict::kSame;
    return;
  }
  comparison->verdict = Verdict::kAmbiguous;
  comparison->why = "samples at or below 0 have no ratio; give the gate a tolerance_absolute";
}

void JudgeSingle(double margin, MetricComparison* comparison) {
  const double ratio = *comparison->next / *comparison->base;
  const bool within = ratio <= 1 + margin && ratio >= 1 / (1 + margin);
  comparison->verdict = within ? Verdict::kSame : Verdict::kAmbiguous;
  if (!within) comparison->why = "one sample on a side cannot be told from noise; repeat the runs";
}

std::string Undecided(size_t base_count, size_t next_count, double margin) {
  if (SmallestProbability(base_count, next_count) >= kProbabilityMax) {
    return absl::StrFormat("%d and %d samples cannot show a change at p < 0.01; 5 a side can",
                           base_count, next_count);
  }
  return absl::StrFormat("the samples neither show a change beyond %.3g %% nor rule one out",
                         margin * 100);
}

}  // namespace

void JudgeMeasured(std::span<const double> base, std::span<const double> next,
                   const MetricGate& gate, uint64_t seed, MetricComparison* comparison) {
  comparison->base = MedianOf(base);
  comparison->next = MedianOf(next);
  comparison->base_samples = base.size();
  comparison->next_samples = next.size();
  const double least = std::min(*std::min_element(base.begin(), base.end()),
                                *std::min_element(next.begin(), next.end()));
  if (least <= 0) return JudgeWithoutRatio(base, next, gate, comparison);
  const double margin = MarginOf(gate, *comparison->base);
  if (base.size() == 1 || next.size() == 1) return JudgeSingle(margin, comparison);
  const RatioInterval ratio = MedianRatioInterval(base, next, kIntervalLevel, seed);
  comparison->ratio = ratio;
  if (ratio.low > 1 && IsBeyond(base, next, 1 + margin, kProbabilityMax)) {
    comparison->verdict = VerdictOf(/*upwards=*/true, gate.direction);
  } else if (ratio.high < 1 && IsBeyond(next, base, 1 + margin, kProbabilityMax)) {
    comparison->verdict = VerdictOf(/*upwards=*/false, gate.direction);
  } else if (IsBeyond(next, base, 1 / (1 + margin), kEquivalenceMax) &&
             IsBeyond(base, next, 1 / (1 + margin), kEquivalenceMax)) {
    comparison->verdict = Verdict::kSame;
  } else {
    comparison->verdict = Verdict::kAmbiguous;
    comparison->why = Undecided(base.size(), next.size(), margin);
  }
}

}  // namespace tierscope

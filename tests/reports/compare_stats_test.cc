// Rank-sum test, bootstrap and verdicts on measured samples: against enumeration by hand, published
// values, and how often they are right over many seeded pairs.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <vector>

#include "gtest/gtest.h"

#include "reports/compare/compare.h"
#include "reports/compare/rank_test.h"
#include "sim/base/rng.h"

namespace tierscope {
namespace {

// Deals all samples to two sides in every way and counts those with y at least as far up.
double ByEnumeration(const std::vector<double>& x, const std::vector<double>& y) {
  std::vector<double> all = x;
  all.insert(all.end(), y.begin(), y.end());
  const auto wins = [&](const std::vector<size_t>& of_y) {
    double count = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      if (std::count(of_y.begin(), of_y.end(), i) > 0) continue;
      for (const size_t j : of_y) count += all[j] > all[i] ? 1 : all[j] == all[i] ? 0.5 : 0;
    }
    return count;
  };
  std::vector<size_t> seen(y.size());
  for (size_t j = 0; j < y.size(); ++j) seen[j] = x.size() + j;
  const double seen_wins = wins(seen);
  int deals = 0, above = 0;
  std::vector<bool> chosen(all.size());
  std::fill(chosen.end() - static_cast<ptrdiff_t>(y.size()), chosen.end(), true);
  do {
    std::vector<size_t> of_y;
    for (size_t i = 0; i < all.size(); ++i) {
      if (chosen[i]) of_y.push_back(i);
    }
    ++deals;
    above += wins(of_y) >= seen_wins ? 1 : 0;
  } while (std::next_permutation(chosen.begin(), chosen.end()));
  return static_cast<double>(above) / deals;
}

TEST(CompareStatsTest, ExactRankTestEqualsEnumerationWithAndWithoutTies) {
  Rng rng(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<double> x, y;
    const uint64_t values = round % 2 == 0 ? 5 : 1'000'000;  // many ties; none
    for (size_t i = 0; i < 1 + rng.NextBelow(5); ++i) x.push_back(double(rng.NextBelow(values)));
    for (size_t i = 0; i < 1 + rng.NextBelow(5); ++i) y.push_back(double(rng.NextBelow(values)));
    EXPECT_NEAR(ProbabilityOfRanksAbove(x, y), ByEnumeration(x, y), 1e-12) << round;
  }
}

// 4 against 4, all above: one deal of C(8,4) = 70.
TEST(CompareStatsTest, HandWorked) {
  const std::vector<double> low = {1, 2, 3, 4}, high = {5, 6, 7, 8};
  EXPECT_DOUBLE_EQ(ProbabilityOfRanksAbove(low, high), 1.0 / 70);
  EXPECT_DOUBLE_EQ(ProbabilityOfRanksAbove(high, low), 1);
  EXPECT_DOUBLE_EQ(ProbabilityOfRanksAbove(low, low), ByEnumeration(low, low));
  EXPECT_DOUBLE_EQ(SmallestProbability(4, 4), 1.0 / 70);
  EXPECT_GE(SmallestProbability(4, 4), 0.01);
  EXPECT_LT(SmallestProbability(5, 5), 0.01);
  EXPECT_DOUBLE_EQ(MedianOf(std::vector<double>{5, 1, 4, 2}), 3);
}

// On either side of the size at which the normal form takes over the answers join.
TEST(CompareStatsTest, NormalFormJoinsTheExactOne) {
  Rng rng(2);
  for (int round = 0; round < 20; ++round) {
    std::vector<double> x, y;
    for (int i = 0; i < 25; ++i) x.push_back(std::floor(rng.NextNormal() * 20));
    for (int i = 0; i < 25; ++i) y.push_back(std::floor(rng.NextNormal() * 20 + 10));
    const double exact = ProbabilityOfRanksAbove(x, y);
    x.push_back(MedianOf(x));
    const double normal = ProbabilityOfRanksAbove(x, y);
    EXPECT_NEAR(normal, exact, 0.25 * exact + 0.002) << round;
  }
  EXPECT_EQ(ProbabilityOfRanksAbove(std::vector<double>(40, 7.0), std::vector<double>(40, 7.0)), 1);
}

TEST(CompareStatsTest, NormalTailAgainstLibm) {
  for (double z = -8; z < 30; z += 0.03125) {
    const double libm = 0.5 * std::erfc(z / std::sqrt(2.0));
    EXPECT_NEAR(NormalUpperTail(z) / libm, 1, 1e-10) << z;
  }
}

TEST(CompareStatsTest, IntervalCoversTheRatioAndIsTheSameEachTime) {
  int covered = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Rng rng(seed);
    std::vector<double> x, y;
    for (int i = 0; i < 20; ++i) x.push_back(10 * (1 + 0.05 * rng.NextNormal()));
    for (int i = 0; i < 20; ++i) y.push_back(12 * (1 + 0.05 * rng.NextNormal()));
    const RatioInterval interval = MedianRatioInterval(x, y, 0.95, seed);
    const RatioInterval again = MedianRatioInterval(x, y, 0.95, seed);
    EXPECT_EQ(interval.low, again.low);
    EXPECT_EQ(interval.high, again.high);
    covered += interval.low <= 1.2 && 1.2 <= interval.high ? 1 : 0;
  }
  EXPECT_GE(covered, 88);
  EXPECT_LT(covered, 100);  // an interval that always covers says nothing
}

struct Counts {
  int same = 0, improved = 0, regressed = 0, changed = 0, ambiguous = 0;
};

using Draw = std::function<double(Rng&)>;

MetricGate LowerBetter() {
  MetricGate gate;
  gate.direction = Direction::kLowerBetter;
  return gate;
}

// Verdicts of `pairs` pairs of runs with `repeats` samples a side; printed, for the README.
Counts Verdicts(const char* name, int pairs, int repeats, const Draw& base, const Draw& next) {
  Counts counts;
  for (int pair = 0; pair < pairs; ++pair) {
    Rng rng(1000 + static_cast<uint64_t>(pair));
    std::vector<double> x, y;
    for (int i = 0; i < repeats; ++i) x.push_back(base(rng));
    for (int i = 0; i < repeats; ++i) y.push_back(next(rng));
    MetricComparison comparison;
    JudgeMeasured(x, y, LowerBetter(), static_cast<uint64_t>(pair), &comparison);
    switch (comparison.verdict) {
      case Verdict::kSame:
        ++counts.same;
        break;
      case Verdict::kImproved:
        ++counts.improved;
        break;
      case Verdict::kRegressed:
        ++counts.regressed;
        break;
      case Verdict::kAmbiguous:
        ++counts.ambiguous;
        break;
      case Verdict::kChanged:
      case Verdict::kMissing:
      case Verdict::kNew:
        ++counts.changed;
        break;
    }
  }
  std::printf("  %s: %d regressed, %d improved, %d same, %d ambiguous\n", name, counts.regressed,
              counts.improved, counts.same, counts.ambiguous);
  return counts;
}

Draw Normal(double mean, double noise) {
  return [=](Rng& rng) { return mean * (1 + noise * rng.NextNormal()); };
}
Draw HeavyTailed(double scale) {
  return [=](Rng& rng) { return scale * rng.NextLogNormal(0, 0.5); };
}

TEST(CompareStatsTest, RunsOfOneDistributionAreNotCalledRegressed) {
  struct {
    const char* name;
    int repeats;
    Draw draw;
  } cases[] = {{"20 repeats", 20, Normal(10, 0.02)},
               {"5 repeats", 5, Normal(10, 0.02)},
               {"2 repeats", 2, Normal(10, 0.02)},
               {"noisy", 20, Normal(10, 0.2)},
               {"heavy tails", 20, HeavyTailed(3)}};
  for (const auto& one : cases) {
    const Counts counts = Verdicts(one.name, 200, one.repeats, one.draw, one.draw);
    EXPECT_LE(counts.regressed, 4) << one.name;  // 2 % of 200
    EXPECT_LE(counts.improved, 4) << one.name;
    if (one.repeats < 5) {
      EXPECT_EQ(counts.ambiguous, 200) << one.name;
    }
  }
}

TEST(CompareStatsTest, AShiftOf5PercentAtNoiseOf2PercentIsFound) {
  const Counts slower = Verdicts("5 % slower", 200, 20, Normal(10, 0.02), Normal(10.5, 0.02));
  EXPECT_GE(slower.regressed, 190);
  EXPECT_EQ(slower.improved, 0);
  const Counts faster = Verdicts("5 % faster", 200, 20, Normal(10.5, 0.02), Normal(10, 0.02));
  EXPECT_GE(faster.improved, 190);
  EXPECT_EQ(faster.regressed, 0);
}

// What is significant and yet below the minimum effect does not fail; a quiet pair is the same.
TEST(CompareStatsTest, SmallEffectsAreTheSame) {
  const Counts counts =
      Verdicts("0.5 % slower, quiet", 50, 20, Normal(10, 0.001), Normal(10.05, 0.001));
  EXPECT_EQ(counts.same, 50);
  EXPECT_GE(Verdicts("equal, quiet", 50, 20, Normal(10, 0.005), Normal(10, 0.005)).same, 49);
}

TEST(CompareStatsTest, OneWildSampleDecidesNothing) {
  std::vector<double> base(20, 10.0), next(20, 10.0);
  for (size_t i = 0; i < base.size(); ++i) base[i] += 0.001 * double(i);
  next = base;
  next[7] = 1000;
  MetricComparison comparison;
  JudgeMeasured(base, next, LowerBetter(), 1, &comparison);
  EXPECT_EQ(comparison.verdict, Verdict::kSame);
}

TEST(CompareStatsTest, SingleSamplesAreAmbiguousAtBestBeyondTheMargin) {
  MetricComparison comparison;
  const double base = 10, within = 10.1, beyond = 30;
  JudgeMeasured({&base, 1}, {&within, 1}, LowerBetter(), 1, &comparison);
  EXPECT_EQ(comparison.verdict, Verdict::kSame);
  JudgeMeasured({&base, 1}, {&beyond, 1}, LowerBetter(), 1, &comparison);
  EXPECT_EQ(comparison.verdict, Verdict::kAmbiguous);
  EXPECT_EQ(comparison.why, "one sample on a side cannot be told from noise; repeat the runs");
  const std::vector<double> four = {30, 31, 32, 33}, other = {10, 11, 12, 13};
  JudgeMeasured(other, four, LowerBetter(), 1, &comparison);
  EXPECT_EQ(comparison.verdict, Verdict::kAmbiguous);
  EXPECT_EQ(comparison.why, "4 and 4 samples cannot show a change at p < 0.01; 5 a side can");
}

TEST(CompareStatsTest, SamplesWithoutRatio) {
  MetricGate gate = LowerBetter();
  MetricComparison comparison;
  const std::vector<double> zeros(6, 0.0), some = {0, 0.1, 0.2, 0.1, 0.1, 0.1};
  JudgeMeasured(zeros, zeros, gate, 1, &comparison);
  EXPECT_EQ(comparison.verdict, Verdict::kSame);
  JudgeMeasured(zeros, some, gate, 1, &comparison);
  EXPECT_EQ(comparison.verdict, Verdict::kAmbiguous);
  EXPECT_NE(comparison.why, "");
  gate.tolerance_absolute = 0.5;
  JudgeMeasured(zeros, some, gate, 1, &comparison);
  EXPECT_EQ(comparison.verdict, Verdict::kSame);
}

TEST(CompareStatsTest, WithoutADirectionAChangeIsAChange) {
  MetricGate gate;  // direction kNone
  MetricComparison comparison;
  const std::vector<double> base = {10, 10.1, 10.2, 9.9, 9.8, 10},
                            next = {12, 12.1, 12.2, 12, 12, 12};
  JudgeMeasured(base, next, gate, 1, &comparison);
  EXPECT_EQ(comparison.verdict, Verdict::kChanged);
  ASSERT_TRUE(comparison.ratio);
  EXPECT_NEAR(comparison.ratio->low, 1.2, 0.05);
}

}  // namespace
}  // namespace tierscope

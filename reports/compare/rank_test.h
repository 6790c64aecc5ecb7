// Two samples of repeated measurements against each other: the rank-sum test of Mann and Whitney
// ("On a test of whether one of two random variables is stochastically larger than the other",
// Ann. Math. Statist. 18, 1947) and a bootstrap interval of the ratio of medians (Efron and
// Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13). Same bits on every machine.
#ifndef TIERSCOPE_REPORTS_COMPARE_RANK_TEST_H_
#define TIERSCOPE_REPORTS_COMPARE_RANK_TEST_H_

#include <cstdint>
#include <span>

namespace tierscope {

// Up to this many samples of both sides together the test is exact: the counts of all ways to deal
// the ranks, ties included, are whole numbers below 2^53.
inline constexpr size_t kExactRankSamplesMax = 50;

// One-sided p-value: how likely samples of one distribution are to put `y` at least as far above
// `x` as they are. Ties count half. Exact for few samples, beyond them normal with the correction
// for ties and continuity. Precondition: neither is empty. Cost: some ms at most.
double ProbabilityOfRanksAbove(std::span<const double> x, std::span<const double> y);

// The smallest p-value that so many samples can give: 1 / (x + y choose y).
double SmallestProbability(size_t x_count, size_t y_count);

// P(Z >= z) of the standard normal distribution, relative error below 1e-10 for |z| <= 30.
double NormalUpperTail(double z);

// The mean of the two middle ones where their number is even. Precondition: not empty.
double MedianOf(std::span<const double> samples);

struct RatioInterval {
  double low = 0;
  double high = 0;
};

// The percentile bootstrap interval of median(next) / median(base) at `level`, e.g. 0.95, from
// 1,000 resamples drawn from `seed`. Not BCa: its acceleration comes from the jackknife, which is
// not consistent for a median. Precondition: all samples are above 0 and neither side is empty.
RatioInterval MedianRatioInterval(std::span<const double> base, std::span<const double> next,
                                  double level, uint64_t seed);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_COMPARE_RANK_TEST_H_

#include "reports/compare/rank_test.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/base/check.h"
#include "sim/base/det_math.h"
#include "sim/base/rng.h"

namespace tierscope {
namespace {

constexpr int kResamples = 1000;
constexpr double kPi = 3.14159265358979323846;

// Twice the ranks, 1-based, of x then y among all of them: whole numbers with ties halved.
struct Ranks {
  std::vector<int64_t> doubled;
  double tie_cubes = 0;  // sum of t^3 - t over groups of t ties
};

Ranks RanksOf(std::span<const double> x, std::span<const double> y) {
  std::vector<double> all(x.begin(), x.end());
  all.insert(all.end(), y.begin(), y.end());
  std::vector<double> sorted = all;
  std::sort(sorted.begin(), sorted.end());
  Ranks ranks;
  for (const double value : all) {
    const auto [first, last] = std::equal_range(sorted.begin(), sorted.end(), value);
    ranks.doubled.push_back((first - sorted.begin()) + (last - sorted.begin()) + 1);
  }
  for (auto at = sorted.begin(); at != sorted.end();) {
    const auto end = std::upper_bound(at, sorted.end(), *at);
    const auto ties = static_cast<double>(end - at);
    ranks.tie_cubes += ties * ties * ties - ties;
    at = end;
  }
  return ranks;
}

// The share of all ways to choose `count` of the ranks whose sum is at least `sum`.
double ExactUpperTail(const std::vector<int64_t>& ranks, size_t count, int64_t sum) {
  int64_t total = 0;
  for (const int64_t rank : ranks) total += rank;
  const auto width = static_cast<size_t>(total) + 1;
  std::vector<double> ways((count + 1) * width);  // [chosen][sum]
  ways[0] = 1;
  for (const int64_t rank : ranks) {
    const auto step = static_cast<size_t>(rank);
    for (size_t chosen = count; chosen-- > 0;) {
      const double* from = &ways[chosen * width];
      double* to = &ways[(chosen + 1) * width];
      for (size_t s = 0; s + step < width; ++s) to[s + step] += from[s];
    }
  }
  const double* row = &ways[count * width];
  double all = 0, above = 0;
  for (size_t s = 0; s < width; ++s) {
    all += row[s];
    if (static_cast<int64_t>(s) >= sum) above += row[s];
  }
  return above / all;
}

double NormalApproximation(const Ranks& ranks, size_t x_count, size_t y_count, int64_t sum) {
  const auto n = static_cast<double>(x_count), m = static_cast<double>(y_count), all = n + m;
  const double mean = m * (all + 1) / 2;
  const double variance = n * m / 12 * ((all + 1) - ranks.tie_cubes / (all * (all - 1)));
  if (variance <= 0) return 1;  // all samples are equal
  return NormalUpperTail((static_cast<double>(sum) / 2 - mean - 0.5) / std::sqrt(variance));
}

double NormalDensity(double z) { return DetExp(-z * z / 2) / std::sqrt(2 * kPi); }

double MedianInPlace(std::vector<double>& samples) {
  const size_t middle = samples.size() / 2;
  std::nth_element(samples.begin(), samples.begin() + static_cast<ptrdiff_t>(middle),
                   samples.end());
  const double upper = samples[middle];
  if (samples.size() % 2 == 1) return upper;
  const double lower =
      *std::max_element(samples.begin(), samples.begin() + static_cast<ptrdiff_t>(middle));
  return lower + (upper - lower) / 2;
}

double ResampledMedian(std::span<const double> samples, Rng& rng, std::vector<double>& scratch) {
  scratch.clear();
  for (size_t i = 0; i < samples.size(); ++i) {
    scratch.push_back(samples[rng.NextBelow(samples.size())]);
  }
  return MedianInPlace(scratch);
}

}  // namespace

double ProbabilityOfRanksAbove(std::span<const double> x, std::span<const double> y) {
  TIERSCOPE_CHECK(!x.empty() && !y.empty());
  const Ranks ranks = RanksOf(x, y);
  int64_t sum = 0;
  for (size_t i = x.size(); i < ranks.doubled.size(); ++i) sum += ranks.doubled[i];
  if (ranks.doubled.size() <= kExactRankSamplesMax) {
    return ExactUpperTail(ranks.doubled, y.size(), sum);
  }
  return NormalApproximation(ranks, x.size(), y.size(), sum);
}

double SmallestProbability(size_t x_count, size_t y_count) {
  double ways = 1;
  for (size_t i = 1; i <= y_count; ++i) {
    ways *= static_cast<double>(x_count + i) / static_cast<double>(i);
  }
  return 1 / ways;
}

// Below 3 the series of the integral of the density, above it Laplace's continued fraction.
double NormalUpperTail(double z) {
  if (z < 0) return 1 - NormalUpperTail(-z);
  if (z < 3) {
    double term = z, sum = z;
    for (int k = 1; k < 100; ++k) sum += term *= z * z / (2 * k + 1);
    return 0.5 - NormalDensity(z) * sum;
  }
  double fraction = z;
  for (int k = 200; k > 0; --k) fraction = z + k / fraction;
  return NormalDensity(z) / fraction;
}

double MedianOf(std::span<const double> samples) {
  TIERSCOPE_CHECK(!samples.empty());
  std::vector<double> copy(samples.begin(), samples.end());
  return MedianInPlace(copy);
}

RatioInterval MedianRatioInterval(std::span<const double> base, std::span<const double> next,
                                  double level, uint64_t seed) {
  TIERSCOPE_CHECK(!base.empty() && !next.empty());
  Rng rng(seed);
  std::vector<double> ratios, scratch;
  for (int i = 0; i < kResamples; ++i) {
    const double of_base = ResampledMedian(base, rng, scratch);
    ratios.push_back(ResampledMedian(next, rng, scratch) / of_base);
  }
  std::sort(ratios.begin(), ratios.end());
  const auto left_off = static_cast<size_t>(kResamples * (1 - level) / 2);
  return {ratios[left_off], ratios[ratios.size() - 1 - left_off]};
}

}  // namespace tierscope

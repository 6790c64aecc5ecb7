#include "reports/compare/change_points.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "reports/compare/rank_test.h"
#include "sim/base/rng.h"

namespace tierscope {
namespace {

constexpr int kPermutations = 499;
constexpr double kProbabilityMax = 0.01;

struct Split {
  size_t at = 0;
  double statistic = -1;
};

double Pairs(double n) { return n * (n - 1) / 2; }

// The split with the largest energy statistic nm/(n+m) (2 mean|x-y| - mean|x-x'| - mean|y-y'|).
// One pass: the sums of distances within and between the parts follow a value as it changes side.
Split BestSplit(std::span<const double> values) {
  const size_t count = values.size();
  double left = 0, right = 0, between = 0;
  for (size_t i = 0; i < count; ++i) {
    for (size_t j = i + 1; j < count; ++j) right += std::abs(values[i] - values[j]);
  }
  Split best;
  for (size_t at = 1; at + kSegmentMin <= count; ++at) {
    const double moved = values[at - 1];
    double to_left = 0, to_right = 0;
    for (size_t i = 0; i + 1 < at; ++i) to_left += std::abs(moved - values[i]);
    for (size_t j = at; j < count; ++j) to_right += std::abs(moved - values[j]);
    left += to_left;
    right -= to_right;
    between += to_right - to_left;
    if (at < kSegmentMin) continue;
    const auto n = static_cast<double>(at), m = static_cast<double>(count - at);
    const double energy = 2 * between / (n * m) - left / Pairs(n) - right / Pairs(m);
    const double statistic = n * m / (n + m) * energy;
    if (statistic > best.statistic) best = {at, statistic};
  }
  return best;
}

void Shuffle(std::vector<double>& values, Rng& rng) {
  for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[rng.NextBelow(i)]);
}

// How likely a random order of the values has a split as strong; stops once that is no longer rare.
double ProbabilityOf(const Split& split, std::span<const double> values, Rng& rng) {
  std::vector<double> shuffled(values.begin(), values.end());
  constexpr double kAsStrongMax = kProbabilityMax * (kPermutations + 1);
  int as_strong = 1;  // the order that was seen
  for (int i = 0; i < kPermutations && as_strong < kAsStrongMax; ++i) {
    Shuffle(shuffled, rng);
    as_strong += BestSplit(shuffled).statistic >= split.statistic * (1 - 1e-12) ? 1 : 0;
  }
  return static_cast<double>(as_strong) / (kPermutations + 1);
}

void Search(std::span<const double> series, size_t begin, size_t end, Rng& rng,
            std::vector<ChangePoint>* found) {
  if (end - begin < 2 * kSegmentMin) return;
  const std::span<const double> segment = series.subspan(begin, end - begin);
  const Split split = BestSplit(segment);
  if (split.statistic <= 0) return;
  const double probability = ProbabilityOf(split, segment, rng);
  if (probability >= kProbabilityMax) return;
  const size_t at = begin + split.at;
  Search(series, begin, at, rng, found);
  found->push_back({at, 0, 0, probability});
  Search(series, at, end, rng, found);
}

// Medians of the segments that the points leave.
void FillMedians(std::span<const double> series, std::vector<ChangePoint>* points) {
  for (size_t i = 0; i < points->size(); ++i) {
    ChangePoint& point = (*points)[i];
    const size_t begin = i == 0 ? 0 : (*points)[i - 1].at;
    const size_t end = i + 1 == points->size() ? series.size() : (*points)[i + 1].at;
    point.before = MedianOf(series.subspan(begin, point.at - begin));
    point.after = MedianOf(series.subspan(point.at, end - point.at));
  }
}

}  // namespace

std::vector<ChangePoint> FindChangePoints(std::span<const double> series, uint64_t seed) {
  const size_t skipped = series.size() - std::min(series.size(), kSeriesMax);
  const std::span<const double> newest = series.subspan(skipped);
  Rng rng(seed);
  std::vector<ChangePoint> points;
  Search(newest, 0, newest.size(), rng, &points);
  FillMedians(newest, &points);
  for (ChangePoint& point : points) point.at += skipped;
  return points;
}

std::vector<ChangePoint> ExactChanges(std::span<const double> series) {
  std::vector<ChangePoint> points;
  for (size_t i = 1; i < series.size(); ++i) {
    if (series[i] != series[i - 1]) points.push_back({i, series[i - 1], series[i], 0});
  }
  return points;
}

}  // namespace tierscope

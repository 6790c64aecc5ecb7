// Where a series of repeated measurements shifts. The method is E-divisive means: Matteson and
// James, "A Nonparametric Approach for Multiple Change Point Analysis of Multivariate Data" (JASA
// 109, 2014), as used on performance histories by Daly et al., "The Use of Change Point Detection
// to Identify Software Performance Regressions in a Continuous Integration System" (ICPE 2020,
// MongoDB) and by Fleming et al., "Hunter" (ICPE 2023, arXiv 2301.03034).
//
// A segment is split where the energy statistic between its two parts is largest; the split counts
// when fewer than 1 % of random orders of the segment have one as large; both parts are then
// searched. The permutation test, which Hunter gave up for Student's t because it wants the same
// answer twice, is kept: it is seeded, so the answer is the same, and it is exact for any noise.
#ifndef TIERSCOPE_REPORTS_COMPARE_CHANGE_POINTS_H_
#define TIERSCOPE_REPORTS_COMPARE_CHANGE_POINTS_H_

#include <cstdint>
#include <span>
#include <vector>

namespace tierscope {

struct ChangePoint {
  size_t at = 0;                 // index of the first value after the change
  double before = 0, after = 0;  // medians of the segments on either side
  double probability = 0;        // of so strong a split by chance
};

// Values on either side of a change: a shift shows once as many runs have it.
inline constexpr size_t kSegmentMin = 3;
// Only so many of the newest values are searched: the cost grows with their square.
inline constexpr size_t kSeriesMax = 500;

// In order of `at`. The same series and seed give the same points. Cost: 5 ms for 100 values,
// 0.2 s for 500.
std::vector<ChangePoint> FindChangePoints(std::span<const double> series, uint64_t seed);

// Of a series that is deterministic: every value that differs from the one before it.
std::vector<ChangePoint> ExactChanges(std::span<const double> series);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_COMPARE_CHANGE_POINTS_H_

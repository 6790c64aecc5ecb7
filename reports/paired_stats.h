// How far predictions lie from measurements, pair by pair. Pure functions; cost: a sort.
#ifndef TIERSCOPE_REPORTS_PAIRED_STATS_H_
#define TIERSCOPE_REPORTS_PAIRED_STATS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tierscope {

// Both of one thing, in one unit, not negative.
struct PredictedMeasured {
  double predicted = 0.0;
  double measured = 0.0;
};

// e = predicted / measured - 1, over the pairs with measured > 0.
struct PairedStats {
  int64_t pairs = 0;
  int64_t pairs_relative = 0;  // of them with measured > 0
  double predicted_sum = 0.0;
  double measured_sum = 0.0;
  double predicted_median = 0.0;  // nearest rank, as all percentiles
  double measured_median = 0.0;
  double mape = 0.0;                                         // mean |e|
  double bias = 0.0;                                         // mean e
  double bias_p50 = 0.0;                                     // median e
  double error_p50 = 0.0, error_p90 = 0.0, error_p99 = 0.0;  // of |e|
  double nrmse = 0.0;  // sqrt(mean (predicted - measured)^2) / mean measured; 0 where that is 0
  std::optional<double> pearson;  // nothing where either does not vary

  // |predicted_sum / measured_sum - 1|; 0 where both are 0, infinite where only measured is.
  double error_of_sums() const;
};

// All zero without pairs.
PairedStats StatsOf(std::span<const PredictedMeasured> pairs);

// The smallest value such that at least q of all are no larger. Precondition: not empty, 0 < q
// <= 1.
double NearestRank(std::vector<double> values, double q);

// What choosing by prediction costs: measured cost of the configuration with the least predicted
// cost over the least measured cost, - 1. Ties of prediction: the first. Precondition: equal
// lengths, not empty, measured > 0.
double RegretOfChoice(std::span<const PredictedMeasured> costs);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_PAIRED_STATS_H_

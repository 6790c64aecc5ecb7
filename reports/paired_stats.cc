#include "reports/paired_stats.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/check.h"

namespace tierscope {
namespace {

std::optional<double> Pearson(std::span<const PredictedMeasured> pairs, double predicted_mean,
                              double measured_mean) {
  double pp = 0.0, mm = 0.0, pm = 0.0;
  for (const PredictedMeasured& pair : pairs) {
    const double p = pair.predicted - predicted_mean;
    const double m = pair.measured - measured_mean;
    pp += p * p;
    mm += m * m;
    pm += p * m;
  }
  // What rounding leaves of a constant does not vary.
  const double n = static_cast<double>(pairs.size());
  const auto constant = [n](double squares, double mean) {
    return squares <= 1e-24 * n * mean * mean;
  };
  if (constant(pp, predicted_mean) || constant(mm, measured_mean)) return std::nullopt;
  return pm / std::sqrt(pp * mm);
}

double Mean(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

void FillErrors(std::span<const PredictedMeasured> pairs, PairedStats* stats) {
  std::vector<double> errors, magnitudes;
  for (const PredictedMeasured& pair : pairs) {
    if (pair.measured <= 0.0) continue;
    errors.push_back(pair.predicted / pair.measured - 1.0);
    magnitudes.push_back(std::abs(errors.back()));
  }
  stats->pairs_relative = static_cast<int64_t>(errors.size());
  if (errors.empty()) return;
  stats->bias = Mean(errors);
  stats->mape = Mean(magnitudes);
  stats->bias_p50 = NearestRank(errors, 0.5);
  stats->error_p50 = NearestRank(magnitudes, 0.5);
  stats->error_p90 = NearestRank(magnitudes, 0.9);
  stats->error_p99 = NearestRank(magnitudes, 0.99);
}

}  // namespace

double PairedStats::error_of_sums() const {
  if (measured_sum > 0.0) return std::abs(predicted_sum / measured_sum - 1.0);
  return predicted_sum > 0.0 ? std::numeric_limits<double>::infinity() : 0.0;
}

double NearestRank(std::vector<double> values, double q) {
  TIERSCOPE_CHECK(!values.empty());
  const double n = static_cast<double>(values.size());
  const auto rank = static_cast<size_t>(std::max(1.0, std::ceil(q * n - 1e-9)));
  const auto at = values.begin() + static_cast<ptrdiff_t>(rank - 1);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

PairedStats StatsOf(std::span<const PredictedMeasured> pairs) {
  PairedStats stats;
  stats.pairs = static_cast<int64_t>(pairs.size());
  if (pairs.empty()) return stats;
  std::vector<double> predicted, measured;
  double squares = 0.0;
  for (const PredictedMeasured& pair : pairs) {
    predicted.push_back(pair.predicted);
    measured.push_back(pair.measured);
    stats.predicted_sum += pair.predicted;
    stats.measured_sum += pair.measured;
    squares += (pair.predicted - pair.measured) * (pair.predicted - pair.measured);
  }
  const double n = static_cast<double>(pairs.size());
  stats.predicted_median = NearestRank(predicted, 0.5);
  stats.measured_median = NearestRank(measured, 0.5);
  if (stats.measured_sum > 0.0) stats.nrmse = std::sqrt(squares / n) / (stats.measured_sum / n);
  stats.pearson = Pearson(pairs, stats.predicted_sum / n, stats.measured_sum / n);
  FillErrors(pairs, &stats);
  return stats;
}

double RegretOfChoice(std::span<const PredictedMeasured> costs) {
  TIERSCOPE_CHECK(!costs.empty());
  const auto by_prediction = [](const auto& a, const auto& b) { return a.predicted < b.predicted; };
  const auto by_measurement = [](const auto& a, const auto& b) { return a.measured < b.measured; };
  const auto chosen = std::min_element(costs.begin(), costs.end(), by_prediction);
  const auto best = std::min_element(costs.begin(), costs.end(), by_measurement);
  return chosen->measured / best->measured - 1.0;
}

}  // namespace tierscope

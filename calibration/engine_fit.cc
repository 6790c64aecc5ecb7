#include "calibration/engine_fit.h"

#include <algorithm>

#include "sim/base/check.h"

namespace tierscope {
namespace {

constexpr double kPerRequestMax = 10.0;  // ms
constexpr double kErrorMax = 10.0;
constexpr int kSearchSteps = 200;

// With per_request = a, every row is within relative error e when base lies in [low, high].
struct BaseRange {
  double low = 0.0, high = 0.0;
};

BaseRange RangeAt(const std::vector<ServingRow>& rows, double a, double e) {
  BaseRange range = {0.0, 1e12};
  for (const ServingRow& row : rows) {
    const double step_ms = row.requests / row.tok_per_s * 1e3;
    range.low = std::max(range.low, step_ms / (1.0 + e) - row.kernels_ms - a * row.requests);
    if (e < 1.0) {
      range.high = std::min(range.high, step_ms / (1.0 - e) - row.kernels_ms - a * row.requests);
    }
  }
  return range;
}

// The per_request at which low - high, a convex function of it, is least.
double BestPerRequest(const std::vector<ServingRow>& rows, double e) {
  double from = 0.0, to = kPerRequestMax;
  for (int i = 0; i < kSearchSteps; ++i) {
    const double left = from + (to - from) / 3.0;
    const double right = to - (to - from) / 3.0;
    const BaseRange l = RangeAt(rows, left, e);
    const BaseRange r = RangeAt(rows, right, e);
    (l.low - l.high <= r.low - r.high ? to : from) =
        l.low - l.high <= r.low - r.high ? right : left;
  }
  return 0.5 * (from + to);
}

}  // namespace

EngineFit FitEngine(const std::vector<ServingRow>& rows) {
  TIERSCOPE_CHECK(!rows.empty());
  double below = 0.0, above = kErrorMax;
  for (int i = 0; i < kSearchSteps; ++i) {
    const double error = 0.5 * (below + above);
    const BaseRange range = RangeAt(rows, BestPerRequest(rows, error), error);
    (range.low <= range.high ? above : below) = error;
  }
  EngineFit fit;
  fit.per_request_ms = BestPerRequest(rows, above);
  fit.base_ms = RangeAt(rows, fit.per_request_ms, above).low;
  return fit;
}

double RateError(const EngineFit& fit, const ServingRow& row) {
  const double step_ms = fit.base_ms + fit.per_request_ms * row.requests + row.kernels_ms;
  return row.requests * 1e3 / step_ms / row.tok_per_s - 1.0;
}

std::vector<double> LeaveOneOut(const std::vector<ServingRow>& rows) {
  TIERSCOPE_CHECK(rows.size() > 1);
  std::vector<double> errors;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<ServingRow> others = rows;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    errors.push_back(RateError(FitEngine(others), rows[i]));
  }
  return errors;
}

double KendallTau(const std::vector<double>& a, const std::vector<double>& b) {
  TIERSCOPE_CHECK(a.size() == b.size() && a.size() > 1);
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = i + 1; j < a.size(); ++j) {
      const double product = (a[i] - a[j]) * (b[i] - b[j]);
      sum += product > 0.0 ? 1.0 : product < 0.0 ? -1.0 : 0.0;
    }
  }
  const double n = static_cast<double>(a.size());
  return sum / (n * (n - 1.0) / 2.0);
}

}  // namespace tierscope

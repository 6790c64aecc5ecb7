#include "traces/generator_tables.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "sim/base/det_math.h"

namespace tierscope {
namespace {

template <size_t kCount>
double Polynomial(const double (&coefficients)[kCount], double x) {
  double sum = 0.0;
  for (const double c : coefficients) sum = sum * x + c;
  return sum;
}

// P. J. Acklam, "An algorithm for computing the inverse normal cumulative distribution function".
constexpr double kA[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                         1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
constexpr double kB[] = {-5.447609879822406e+01, 1.615858368580409e+02,  -1.556989798598866e+02,
                         6.680131188771972e+01,  -1.328068155288572e+01, 1.0};
constexpr double kC[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                         -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
constexpr double kD[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                         3.754408661907416e+00, 1.0};

}  // namespace

double NormalQuantile(double p) {
  if (p > 0.5) return -NormalQuantile(1.0 - p);
  if (p < 0.02425) {
    const double q = std::sqrt(-2.0 * DetLog(p));
    return Polynomial(kC, q) / Polynomial(kD, q);
  }
  const double q = p - 0.5;
  return Polynomial(kA, q * q) * q / Polynomial(kB, q * q);
}

const GeneratorTables& GeneratorTables::Get() {
  static const GeneratorTables tables;
  return tables;
}

GeneratorTables::GeneratorTables() {
  for (size_t i = 0; i < normal_.size(); ++i) {
    normal_[i] =
        NormalQuantile((static_cast<double>(i) + 0.5) / static_cast<double>(normal_.size()));
  }
  for (size_t i = 0; i < code_.size(); ++i) {
    const double score = DetSigmoid(static_cast<double>(i) / kCellsPerLogit - kLogitMax);
    code_[i] = static_cast<uint8_t>(std::min(255.0, 256.0 * score));
  }
}

}  // namespace tierscope

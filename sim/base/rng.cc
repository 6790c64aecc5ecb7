#include "sim/base/rng.h"

#include <cmath>

#include "sim/base/det_math.h"

namespace tierscope {

double Rng::NextNormal() {
  for (;;) {
    const double u = 2.0 * NextDouble() - 1.0;
    const double v = 2.0 * NextDouble() - 1.0;
    const double s = u * u + v * v;
    if (s > 1e-300 && s < 1.0) return u * std::sqrt(-2.0 * DetLog(s) / s);
  }
}

double Rng::NextExponential() { return -DetLog(1.0 - NextDouble()); }

double Rng::NextGamma(double shape) {
  if (shape < 1.0) {
    // Gamma(a) = Gamma(a + 1) * U^(1/a).
    const double u = 1.0 - NextDouble();
    return NextGamma(shape + 1.0) * DetPow(u, 1.0 / shape);
  }
  const double d = shape - 1.0 / 3.0;
  const double c = 1.0 / std::sqrt(9.0 * d);
  for (;;) {
    const double x = NextNormal();
    const double root = 1.0 + c * x;
    if (root <= 0.0) continue;
    const double v = root * root * root;
    const double u = 1.0 - NextDouble();
    if (DetLog(u) < 0.5 * x * x + d - d * v + d * DetLog(v)) return d * v;
  }
}

double Rng::NextLogNormal(double mu, double sigma) { return DetExp(mu + sigma * NextNormal()); }

int64_t Rng::NextGeometric(double p) {
  if (p >= 1.0) return 0;
  return static_cast<int64_t>(NextExponential() / -DetLog(1.0 - p));
}

}  // namespace tierscope

#include "sim/base/det_math.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace tierscope {
namespace {

// ln 2 in two parts: the high one has 32 trailing zero bits, so k * high is exact for |k| < 2^11.
constexpr double kLn2High = 6.93147180369123816490e-01;
constexpr double kLn2Low = 1.90821492927058770002e-10;
constexpr double kInvLn2 = 1.44269504088896338700;

// pi / 2 in three parts: the first two have 27 bits, so k times them is exact for |k| < 2^26.
constexpr double kHalfPiHigh = 0x1.921fb54p+0;
constexpr double kHalfPiMiddle = 0x1.10b461p-30;
constexpr double kHalfPiLow = 0x1.a62633145c06ep-58;

double ScaleByPowerOfTwo(double x, int exponent) {
  // Two factors, so that a subnormal result is rounded once and an exponent of 1024 is reachable.
  const int half = exponent / 2;
  const auto power = [](int e) {
    return std::bit_cast<double>(static_cast<uint64_t>(e + 1023) << 52);
  };
  return x * power(half) * power(exponent - half);
}

}  // namespace

double DetExp(double x) {
  if (x < -745.0) return 0.0;
  if (x > 709.78) return std::numeric_limits<double>::infinity();
  const int k = static_cast<int>(x * kInvLn2 + (x < 0 ? -0.5 : 0.5));
  const double r = (x - k * kLn2High) - k * kLn2Low;  // |r| <= 0.35
  // Taylor polynomial of degree 13: the next term is under 0.35^14 / 14! = 5e-18.
  double sum = 1.0;
  for (int n = 13; n >= 1; --n) sum = 1.0 + sum * r / n;
  return ScaleByPowerOfTwo(sum, k);
}

double DetLog(double x) {
  const uint64_t bits = std::bit_cast<uint64_t>(x);
  int exponent = static_cast<int>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0xfffffffffffffULL) | 0x3ff0000000000000ULL);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  // log m = 2 atanh(s), s = (m - 1) / (m + 1), |s| <= 0.172: terms to s^21 leave under 1e-18.
  const double s = (m - 1.0) / (m + 1.0);
  const double s2 = s * s;
  double sum = 0.0;
  for (int n = 21; n >= 1; n -= 2) sum = sum * s2 + 1.0 / n;
  return exponent * kLn2High + (2.0 * s * sum + exponent * kLn2Low);
}

SinCos DetSinCos(double x) {
  const long long k = std::llround(x / (kHalfPiHigh + kHalfPiMiddle));
  const auto quarters = static_cast<double>(k);
  const double r =
      ((x - quarters * kHalfPiHigh) - quarters * kHalfPiMiddle) - quarters * kHalfPiLow;
  // Taylor polynomials: with |r| <= 0.79 the next terms are under 0.79^21 / 21! = 2e-22.
  const double r2 = r * r;
  double sin = 1.0, cos = 1.0;
  for (int n = 18; n >= 2; n -= 2) {
    sin = 1.0 - sin * r2 / (n * (n + 1));
    cos = 1.0 - cos * r2 / (n * (n - 1));
  }
  sin *= r;
  switch (k & 3) {
    case 0:
      return {sin, cos};
    case 1:
      return {cos, -sin};
    case 2:
      return {-sin, -cos};
    default:
      return {-cos, sin};
  }
}

}  // namespace tierscope

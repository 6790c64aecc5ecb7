#include "sim/base/rng.h"

#include <cmath>

#include "gtest/gtest.h"

namespace tierscope {
namespace {

constexpr int kSamples = 200000;

template <typename Draw>
void ExpectMoments(Draw draw, double mean, double variance) {
  double sum = 0.0, squares = 0.0;
  for (int i = 0; i < kSamples; ++i) {
    const double x = draw();
    sum += x;
    squares += x * x;
  }
  const double m = sum / kSamples;
  const double v = squares / kSamples - m * m;
  // Five standard errors of the mean; a twentieth of the variance.
  EXPECT_NEAR(m, mean, 5.0 * std::sqrt(variance / kSamples));
  EXPECT_NEAR(v, variance, 0.05 * variance);
}

TEST(RngTest, SameSeedSameStream) {
  Rng a(7, 3), b(7, 3), other_stream(7, 4), other_seed(8, 3);
  const uint64_t first = a.NextUint64();
  EXPECT_EQ(first, b.NextUint64());
  EXPECT_NE(first, other_stream.NextUint64());
  EXPECT_NE(first, other_seed.NextUint64());
}

TEST(RngTest, Moments) {
  Rng rng(1);
  ExpectMoments([&] { return rng.NextDouble(); }, 0.5, 1.0 / 12.0);
  ExpectMoments([&] { return rng.NextNormal(); }, 0.0, 1.0);
  ExpectMoments([&] { return rng.NextExponential(); }, 1.0, 1.0);
  ExpectMoments([&] { return rng.NextGamma(3.5); }, 3.5, 3.5);
  ExpectMoments([&] { return rng.NextGamma(0.25); }, 0.25, 0.25);
  ExpectMoments([&] { return static_cast<double>(rng.NextGeometric(0.2)); }, 4.0, 20.0);
}

TEST(RngTest, NextBelowIsUniform) {
  Rng rng(2);
  int counts[7] = {};
  for (int i = 0; i < 70000; ++i) ++counts[rng.NextBelow(7)];
  for (int count : counts) EXPECT_NEAR(count, 10000, 500);
}

}  // namespace
}  // namespace tierscope

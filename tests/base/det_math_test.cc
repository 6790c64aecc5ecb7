#include "sim/base/det_math.h"

#include <cmath>

#include "gtest/gtest.h"

namespace tierscope {
namespace {

TEST(DetMathTest, ExpAgreesWithLibm) {
  for (double x = -700.0; x < 700.0; x += 0.37) {
    EXPECT_NEAR(DetExp(x) / std::exp(x), 1.0, 1e-14) << x;
  }
  EXPECT_EQ(DetExp(0.0), 1.0);
  EXPECT_EQ(DetExp(-1000.0), 0.0);
  EXPECT_TRUE(std::isinf(DetExp(1000.0)));
}

TEST(DetMathTest, LogAgreesWithLibm) {
  for (double x = 1e-300; x < 1e300; x *= 1.7) {
    EXPECT_NEAR(DetLog(x), std::log(x), 1e-14 * std::fabs(std::log(x)) + 1e-16) << x;
  }
  EXPECT_EQ(DetLog(1.0), 0.0);
}

TEST(DetMathTest, SigmoidIsSymmetric) {
  EXPECT_EQ(DetSigmoid(0.0), 0.5);
  for (double x = 0.1; x < 30.0; x += 0.7) {
    EXPECT_NEAR(DetSigmoid(x) + DetSigmoid(-x), 1.0, 1e-15);
  }
}

TEST(DetMathTest, SineAndCosineAgreeWithLibm) {
  for (double x = 1e-9; x < 0x1p26; x *= 1.0137) {
    const SinCos of_x = DetSinCos(x), of_minus = DetSinCos(-x);
    EXPECT_NEAR(of_x.sin, std::sin(x), 1e-14) << x;
    EXPECT_NEAR(of_x.cos, std::cos(x), 1e-14) << x;
    EXPECT_NEAR(of_minus.sin, -of_x.sin, 1e-14) << x;
    EXPECT_NEAR(of_minus.cos, of_x.cos, 1e-14) << x;
  }
  // Near multiples of pi / 2 nearly all of x is taken away.
  for (double k = 1.0; k < 4e7; k = std::floor(k * 1.5) + 1.0) {
    const double x = k * 1.5707963267948966;
    EXPECT_NEAR(DetSinCos(x).sin, std::sin(x), 1e-14) << x;
    EXPECT_NEAR(DetSinCos(x).cos, std::cos(x), 1e-14) << x;
  }
  EXPECT_EQ(DetSinCos(0.0).sin, 0.0);
  EXPECT_EQ(DetSinCos(0.0).cos, 1.0);
}

// The bits themselves: a compiler or CPU that fuses or reorders would change them.
TEST(DetMathTest, KnownBits) {
  EXPECT_EQ(DetExp(1.0), 0x1.5bf0a8b14576ap+1);
  EXPECT_EQ(DetLog(10.0), 0x1.26bb1bbb55516p+1);
}

}  // namespace
}  // namespace tierscope

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

// The bits themselves: a compiler or CPU that fuses or reorders would change them.
TEST(DetMathTest, KnownBits) {
  EXPECT_EQ(DetExp(1.0), 0x1.5bf0a8b14576ap+1);
  EXPECT_EQ(DetLog(10.0), 0x1.26bb1bbb55516p+1);
}

}  // namespace
}  // namespace tierscope

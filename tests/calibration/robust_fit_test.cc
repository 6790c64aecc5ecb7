#include "calibration/robust_fit.h"

#include <cmath>

#include "gtest/gtest.h"

#include "calibration/family.h"

namespace tierscope {
namespace {

// A table whose times follow floor + slope * size exactly.
constexpr double kFloor = 4.0, kSlope = 0.25;

Family LinearFamily(size_t rows) {
  Family family;
  family.name = "linear";
  family.table = "made.csv";
  family.parameters = {{"floor", 1.0, 0.1, 100.0}, {"slope", 1.0, 0.001, 10.0}};
  for (size_t i = 0; i < rows; ++i) {
    family.measured_us.push_back(kFloor + kSlope * static_cast<double>(1 + i));
  }
  family.bind = [](const std::vector<double>& p) -> RowPredictor {
    return [p](size_t row) { return p[0] + p[1] * static_cast<double>(1 + row); };
  };
  return family;
}

TEST(RobustFitTest, RecoversParameters) {
  const auto fitted = FitFamily(LinearFamily(100));
  ASSERT_TRUE(fitted.ok());
  EXPECT_NEAR(fitted->values[0], kFloor, 1e-3);
  EXPECT_NEAR(fitted->values[1], kSlope, 1e-4);
  EXPECT_EQ(fitted->rows_fitted, 80);
  EXPECT_EQ(fitted->errors.rows, 20);
  EXPECT_LT(fitted->errors.worst, 1e-3);
}

// One row in ten ten times too slow, which would double a mean.
TEST(RobustFitTest, OutliersDoNotDecide) {
  Family family = LinearFamily(200);
  for (size_t i = 0; i < 200; i += 10) family.measured_us[i] *= 10.0;
  const auto fitted = FitFamily(family);
  ASSERT_TRUE(fitted.ok());
  EXPECT_NEAR(fitted->values[0], kFloor, 0.15 * kFloor);
  EXPECT_NEAR(fitted->values[1], kSlope, 0.1 * kSlope);
}

TEST(RobustFitTest, StaysWithinBounds) {
  Family family = LinearFamily(100);
  family.parameters[1].max = 0.1;
  family.parameters[1].start = 0.05;
  const auto fitted = FitFamily(family);
  ASSERT_TRUE(fitted.ok());
  EXPECT_LE(fitted->values[1], 0.1 + 1e-12);
  EXPECT_GT(fitted->values[1], 0.0999);
}

// Every fifth row is kept out: whatever stands there, the parameters keep their bits, and the
// errors show it. A row that is fitted moves them.
TEST(RobustFitTest, RowsKeptOutNeverEnterTheFit) {
  const auto clean = FitFamily(LinearFamily(100));
  Family poisoned = LinearFamily(100);
  for (size_t row = 0; row < 100; ++row) {
    if (IsKeptOut(row)) poisoned.measured_us[row] *= 50.0;
  }
  const auto fitted = FitFamily(poisoned);
  ASSERT_TRUE(clean.ok() && fitted.ok());
  EXPECT_EQ(fitted->values, clean->values);
  EXPECT_GT(fitted->errors.median, 0.9);
  Family moved = LinearFamily(100);
  moved.measured_us[3] *= 50.0;
  const auto other = FitFamily(moved);
  ASSERT_TRUE(other.ok());
  EXPECT_NE(other->values, clean->values);
}

TEST(RobustFitTest, EveryFifthRow) {
  int kept_out = 0;
  for (size_t row = 0; row < 100; ++row) kept_out += IsKeptOut(row) ? 1 : 0;
  EXPECT_EQ(kept_out, 20);
  EXPECT_FALSE(IsKeptOut(0));
  EXPECT_TRUE(IsKeptOut(4));
  EXPECT_TRUE(IsKeptOut(9));
}

TEST(RobustFitTest, TooFewRows) {
  const auto fitted = FitFamily(LinearFamily(6));
  ASSERT_FALSE(fitted.ok());
  EXPECT_EQ(fitted.status().message(),
            "made.csv: 6 usable rows for the 2 parameters of linear; give at least 8");
}

// Errors of predictions 1.0, 1.1, 0.8, 2.0 times what was measured.
TEST(RobustFitTest, Errors) {
  const FitErrors errors = ErrorsOf({10, 11, 8, 20}, {10, 10, 10, 10});
  EXPECT_EQ(errors.rows, 4);
  EXPECT_NEAR(errors.median, 0.2, 1e-12);
  EXPECT_NEAR(errors.p90, 1.0, 1e-12);
  EXPECT_NEAR(errors.worst, 1.0, 1e-12);
  EXPECT_NEAR(errors.bias, 0.1, 1e-12);
}

}  // namespace
}  // namespace tierscope

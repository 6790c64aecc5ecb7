#include "reports/format.h"

#include "gtest/gtest.h"

#include "sim/base/units.h"

namespace tierscope::testing {
namespace {

TEST(FormatTest, Counts) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1'000), "1,000");
  EXPECT_EQ(FormatCount(-1'234'567), "-1,234,567");
}

TEST(FormatTest, NumbersKeepFourDigits) {
  EXPECT_EQ(FormatNumber(0), "0");
  EXPECT_EQ(FormatNumber(88.1), "88.10");
  EXPECT_EQ(FormatNumber(12'345.6), "12,346");
  EXPECT_EQ(FormatNumber(0.01234), "0.0123");
  EXPECT_EQ(FormatNumber(3e-9), "3.00e-09");
  EXPECT_EQ(FormatNumber(-1.5), "-1.500");
}

TEST(FormatTest, PercentNeverRoundsToAnEndThatItIsNotAt) {
  EXPECT_EQ(FormatPercent(0), "0 %");
  EXPECT_EQ(FormatPercent(1), "100 %");
  EXPECT_EQ(FormatPercent(0.9731), "97.3 %");
  EXPECT_EQ(FormatPercent(0.999), "99.90 %");
  EXPECT_EQ(FormatPercent(0.999'999), ">99.99 %");
  EXPECT_EQ(FormatPercent(1e-9), "<0.01 %");
  EXPECT_EQ(FormatPercent(1.25), "125.0 %");
}

TEST(FormatTest, FixedNeverRoundsToZero) {
  EXPECT_EQ(FormatFixed(0, 2), "0");
  EXPECT_EQ(FormatFixed(1234.5, 2), "1,234.50");
  EXPECT_EQ(FormatFixed(0.0001, 2), "<0.01");
  EXPECT_EQ(FormatGib(3 * kGiB / 2), "1.50 GiB");
}

TEST(FormatTest, Quantities) {
  EXPECT_EQ(FormatQuantity(0.25, "fraction"), "25.0 %");
  EXPECT_EQ(FormatQuantity(1'234, "requests"), "1,234");
  EXPECT_EQ(FormatQuantity(59.75, "requests"), "59.75");
  EXPECT_EQ(FormatQuantity(2.5, "ms"), "2.500 ms");
  EXPECT_EQ(FormatQuantity(30'690, "ms"), "30.69 s");
  EXPECT_EQ(FormatValue(30'690, "ms"), "30,690");
}

}  // namespace
}  // namespace tierscope::testing

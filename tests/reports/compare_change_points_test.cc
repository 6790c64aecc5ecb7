#include <cstdio>
#include <cstdlib>
#include <vector>

#include "gtest/gtest.h"

#include "reports/compare/change_points.h"
#include "sim/base/rng.h"

namespace tierscope {
namespace {

std::vector<double> Series(uint64_t seed, int count, int change_at, double shift, double noise) {
  Rng rng(seed);
  std::vector<double> series;
  for (int i = 0; i < count; ++i) {
    series.push_back(10 * (i >= change_at ? 1 + shift : 1) * (1 + noise * rng.NextNormal()));
  }
  return series;
}

// 5 % at 2 % noise, somewhere in the middle: found, and where it is.
TEST(ChangePointsTest, APlantedChangeIsFoundWithin3Runs) {
  int found = 0, elsewhere = 0;
  constexpr int kHistories = 40;
  for (int history = 0; history < kHistories; ++history) {
    const int at = 20 + history * 60 / kHistories;
    const auto points =
        FindChangePoints(Series(static_cast<uint64_t>(history), 100, at, 0.05, 0.02), 1);
    for (const ChangePoint& point : points) {
      if (std::abs(static_cast<int>(point.at) - at) > 3) {
        ++elsewhere;
        continue;
      }
      ++found;
      EXPECT_NEAR(point.after / point.before, 1.05, 0.02) << history;
      EXPECT_LT(point.probability, 0.01);
    }
  }
  std::printf("  planted, 5 %% at 2 %%: %d of %d found within 3 runs, %d points elsewhere\n", found,
              kHistories, elsewhere);
  EXPECT_GE(found, kHistories * 95 / 100);
  EXPECT_LE(elsewhere, kHistories / 10);
}

// And it is there once 3 runs have it: a history that ends so soon, a shift of 10 % at 2 %.
TEST(ChangePointsTest, ShowsAfter3Runs) {
  int found = 0, early = 0;
  for (uint64_t history = 0; history < 20; ++history) {
    std::vector<double> series = Series(history, 100, 97, 0.1, 0.02);
    for (const ChangePoint& point : FindChangePoints(series, 1)) found += point.at == 97 ? 1 : 0;
    series.resize(97);
    early += FindChangePoints(series, 1).empty() ? 0 : 1;
  }
  std::printf("  3 runs after a change of 10 %% at 2 %%: %d of 20 found, %d before it\n", found,
              early);
  EXPECT_GE(found, 19);
  EXPECT_LE(early, 2);
}

TEST(ChangePointsTest, NoiseRaisesFewFalseAlarms) {
  int normal = 0, heavy = 0;
  for (uint64_t history = 0; history < 100; ++history) {
    normal += FindChangePoints(Series(history, 100, 100, 0, 0.02), 1).empty() ? 0 : 1;
    Rng rng(history);
    std::vector<double> wild;
    for (int i = 0; i < 60; ++i) wild.push_back(rng.NextLogNormal(0, 1));
    heavy += FindChangePoints(wild, 1).empty() ? 0 : 1;
  }
  std::printf("  false alarms: normal %d of 100, log-normal %d of 100\n", normal, heavy);
  EXPECT_LE(normal, 5);
  EXPECT_LE(heavy, 5);
}

TEST(ChangePointsTest, SeveralChangesAndTheirMedians) {
  std::vector<double> series;
  Rng rng(3);
  for (const double level : {10.0, 20.0, 15.0}) {
    for (int i = 0; i < 20; ++i) series.push_back(level + 0.1 * rng.NextNormal());
  }
  const auto points = FindChangePoints(series, 1);
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[0].at, 20u);
  EXPECT_EQ(points[1].at, 40u);
  EXPECT_NEAR(points[0].before, 10, 0.2);
  EXPECT_NEAR(points[0].after, 20, 0.2);
  EXPECT_NEAR(points[1].before, 20, 0.2);
  EXPECT_NEAR(points[1].after, 15, 0.2);
}

TEST(ChangePointsTest, ShortAndConstantSeriesHaveNone) {
  EXPECT_TRUE(FindChangePoints(std::vector<double>{}, 1).empty());
  EXPECT_TRUE(FindChangePoints(std::vector<double>{1, 1, 2, 2, 2}, 1).empty());
  EXPECT_TRUE(FindChangePoints(std::vector<double>(300, 5.0), 1).empty());
}

// Only the newest 500 are searched, and indices are of the whole.
TEST(ChangePointsTest, LongSeriesAreSearchedAtTheirEnd) {
  std::vector<double> series(600, 1.0);
  for (size_t i = 0; i < 50; ++i) series[i] = 9;
  for (size_t i = 560; i < 600; ++i) series[i] = 2;
  const auto points = FindChangePoints(series, 1);
  ASSERT_EQ(points.size(), 1u);
  EXPECT_EQ(points[0].at, 560u);
}

TEST(ChangePointsTest, ExactChangesAreAllOfThem) {
  const std::vector<double> series = {1, 1, 1.0000000000000002, 1.0000000000000002, 1};
  const auto points = ExactChanges(series);
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[0].at, 2u);
  EXPECT_EQ(points[1].at, 4u);
  EXPECT_EQ(points[1].after, 1);
}

}  // namespace
}  // namespace tierscope

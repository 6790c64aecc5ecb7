#include "reports/paired_stats.h"

#include <cmath>

#include "gtest/gtest.h"

namespace tierscope {
namespace {

// By hand. e: +10 %, -10 %, +50 %, 0. MAPE 17.5 %, bias 12.5 %; |e| sorted 0, 10, 10, 50.
// Squares of differences 100, 400, 2500, 0: root of the mean 750 is 27.386, over a mean of 125.
// Deviations from the means 136.25 and 125: predicted (-26.25, 43.75, 13.75, -31.25), measured
// (-25, 75, -25, -25); sums of products 4375, 3768.75 + ... worked out below.
TEST(PairedStatsTest, HandWorked) {
  const PredictedMeasured pairs[] = {{110, 100}, {180, 200}, {150, 100}, {105, 100}};
  const PairedStats stats = StatsOf(pairs);
  EXPECT_EQ(stats.pairs, 4);
  EXPECT_NEAR(stats.mape, (0.10 + 0.10 + 0.50 + 0.05) / 4, 1e-12);
  EXPECT_NEAR(stats.bias, (0.10 - 0.10 + 0.50 + 0.05) / 4, 1e-12);
  EXPECT_NEAR(stats.bias_p50, 0.05, 1e-12);
  EXPECT_NEAR(stats.error_p50, 0.10, 1e-12);
  EXPECT_NEAR(stats.error_p90, 0.50, 1e-12);
  EXPECT_NEAR(stats.nrmse, std::sqrt((100.0 + 400 + 2500 + 25) / 4) / 125, 1e-12);
  // Means 136.25 and 125; deviations p (-26.25, 43.75, 13.75, -31.25), m (-25, 75, -25, -25).
  const double pm = 26.25 * 25 + 43.75 * 75 - 13.75 * 25 + 31.25 * 25;
  const double pp = 26.25 * 26.25 + 43.75 * 43.75 + 13.75 * 13.75 + 31.25 * 31.25;
  const double mm = 3 * 625.0 + 5625;
  ASSERT_TRUE(stats.pearson.has_value());
  EXPECT_NEAR(*stats.pearson, pm / std::sqrt(pp * mm), 1e-12);
  EXPECT_EQ(stats.measured_median, 100);
  EXPECT_EQ(stats.predicted_median, 110);
  EXPECT_NEAR(stats.error_of_sums(), 545.0 / 500 - 1, 1e-12);
}

TEST(PairedStatsTest, WhatDoesNotVaryHasNoCorrelation) {
  const PredictedMeasured flat[] = {{3.3, 1}, {3.3, 2}, {3.3, 3}};
  EXPECT_FALSE(StatsOf(flat).pearson.has_value());
  const PredictedMeasured line[] = {{2, 1}, {4, 2}, {6, 3}};
  EXPECT_NEAR(*StatsOf(line).pearson, 1.0, 1e-12);
  EXPECT_NEAR(StatsOf(line).bias, 1.0, 1e-12);
}

TEST(PairedStatsTest, PairsWithoutAMeasurementHaveNoRelativeError) {
  const PredictedMeasured pairs[] = {{5, 0}, {12, 10}};
  const PairedStats stats = StatsOf(pairs);
  EXPECT_EQ(stats.pairs, 2);
  EXPECT_EQ(stats.pairs_relative, 1);
  EXPECT_NEAR(stats.mape, 0.2, 1e-12);
  EXPECT_NEAR(stats.error_of_sums(), 0.7, 1e-12);
  const PredictedMeasured invented[] = {{5, 0}};
  EXPECT_TRUE(std::isinf(StatsOf(invented).error_of_sums()));
  EXPECT_EQ(StatsOf({}).pairs, 0);
}

TEST(PairedStatsTest, NearestRankIsASample) {
  EXPECT_EQ(NearestRank({4, 1, 3, 2}, 0.5), 2);
  EXPECT_EQ(NearestRank({4, 1, 3, 2}, 0.51), 3);
  EXPECT_EQ(NearestRank({4, 1, 3, 2}, 1.0), 4);
  EXPECT_EQ(NearestRank({7}, 0.01), 7);
}

// Predicted best is the second (20), which costs 30; the best measured costs 24.
TEST(PairedStatsTest, Regret) {
  const PredictedMeasured costs[] = {{25, 24}, {20, 30}, {40, 50}};
  EXPECT_NEAR(RegretOfChoice(costs), 0.25, 1e-12);
  const PredictedMeasured right[] = {{10, 24}, {20, 30}};
  EXPECT_EQ(RegretOfChoice(right), 0.0);
}

}  // namespace
}  // namespace tierscope

#include "sim/base/stats.h"

#include "gtest/gtest.h"

#include "sim/base/rng.h"

namespace tierscope {
namespace {

TEST(StatsTest, PercentileIsNearestRank) {
  std::vector<int64_t> samples = {50, 15, 40, 20, 35};
  EXPECT_EQ(Percentile(samples, 0.30), 20);
  EXPECT_EQ(Percentile(samples, 0.40), 20);
  EXPECT_EQ(Percentile(samples, 0.50), 35);
  EXPECT_EQ(Percentile(samples, 1.00), 50);
  EXPECT_EQ(Percentile(samples, 0.01), 15);
}

TEST(StatsTest, HistogramIsExactBelow2048) {
  LogHistogram histogram;
  for (int64_t v = 0; v < 2048; ++v) histogram.Add(v);
  EXPECT_EQ(histogram.Percentile(0.5), 1023);
  EXPECT_EQ(histogram.Percentile(1.0), 2047);
  EXPECT_DOUBLE_EQ(histogram.mean(), 1023.5);
}

TEST(StatsTest, HistogramStaysWithinItsResolution) {
  Rng rng(3);
  LogHistogram histogram;
  std::vector<int64_t> samples;
  for (int i = 0; i < 20000; ++i) {
    samples.push_back(static_cast<int64_t>(rng.NextUint64() >> (1 + rng.NextBelow(60))));
    histogram.Add(samples.back());
  }
  for (double q : {0.01, 0.5, 0.9, 0.99, 1.0}) {
    const double exact = static_cast<double>(Percentile(samples, q));
    EXPECT_NEAR(static_cast<double>(histogram.Percentile(q)), exact, exact / 1024 + 1e-9) << q;
  }
}

}  // namespace
}  // namespace tierscope

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

// Exact as long as it keeps the samples; then within the histogram's 1/1024, in bounded memory.
TEST(SampleSetTest, ExactThenBounded) {
  SampleSet samples;
  EXPECT_TRUE(samples.empty());
  const auto value = [](size_t i) { return static_cast<int64_t>(i * 7919 % 1'000'003); };
  const size_t half = SampleSet::kExactMax;
  std::vector<int64_t> all;
  for (size_t i = 0; i < 2 * half; ++i) {
    if (i == half) {
      EXPECT_TRUE(samples.exact());
      EXPECT_EQ(samples.values(), all);
      std::vector<int64_t> sorted = all;
      EXPECT_EQ(samples.Percentile(0.9), Percentile(sorted, 0.9));
    }
    samples.Add(value(i));
    all.push_back(value(i));
  }
  EXPECT_FALSE(samples.exact());
  EXPECT_TRUE(samples.values().empty());
  EXPECT_EQ(samples.count(), static_cast<int64_t>(2 * half));
  double sum = 0;
  for (int64_t v : all) sum += static_cast<double>(v);
  EXPECT_DOUBLE_EQ(samples.mean(), sum / static_cast<double>(2 * half));
  const int64_t exact = Percentile(all, 0.9);
  EXPECT_LE(samples.Percentile(0.9), exact);
  EXPECT_GE(samples.Percentile(0.9), exact - exact / 1024 - 1);
}

}  // namespace
}  // namespace tierscope

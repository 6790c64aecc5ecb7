#include "sim/planner/pareto.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "sim/planner/sensitivity.h"

namespace tierscope {
namespace {

// The definition, point against point.
std::vector<size_t> SlowFront(const std::vector<double>& values,
                              const std::vector<Objective>& objectives) {
  const size_t width = objectives.size();
  const size_t count = values.size() / width;
  const auto at = [&](size_t p, size_t o) {
    return objectives[o].maximize ? -values[p * width + o] : values[p * width + o];
  };
  const auto finite = [&](size_t p) {
    for (size_t o = 0; o < width; ++o) {
      if (!std::isfinite(at(p, o))) return false;
    }
    return true;
  };
  std::vector<size_t> front;
  for (size_t p = 0; p < count; ++p) {
    bool beaten = !finite(p);
    for (size_t q = 0; q < count && !beaten; ++q) {
      if (!finite(q)) continue;
      bool no_worse = true, better = false;
      for (size_t o = 0; o < width; ++o) {
        no_worse = no_worse && at(q, o) <= at(p, o);
        better = better || at(q, o) < at(p, o);
      }
      beaten = no_worse && better;
    }
    if (!beaten) front.push_back(p);
  }
  return front;
}

TEST(ParetoTest, AgreesWithComparingAllPairs) {
  Rng rng(5);
  size_t largest = 0;
  for (int round = 0; round < 400; ++round) {
    std::vector<Objective> objectives;
    for (uint64_t o = 0; o < 1 + rng.NextBelow(4); ++o) {
      objectives.push_back({"m", rng.NextBelow(2) == 0});
    }
    std::vector<double> values;
    const uint64_t levels = 2 + rng.NextBelow(30);  // few levels: many ties and equal points
    const uint64_t count = rng.NextBelow(60);
    for (uint64_t i = 0; i < count * objectives.size(); ++i) {
      const bool none = rng.NextBelow(40) == 0;
      values.push_back(none ? std::numeric_limits<double>::quiet_NaN()
                            : static_cast<double>(rng.NextBelow(levels)));
    }
    const std::vector<size_t> front = ParetoFront(values, objectives);
    EXPECT_EQ(front, SlowFront(values, objectives)) << "round " << round;
    largest = std::max(largest, front.size());
  }
  EXPECT_GT(largest, 8u);
}

TEST(ParetoTest, EqualPointsStandTogether) {
  const std::vector<Objective> objectives = {{"a", false}, {"b", true}};
  const std::vector<double> values = {1, 5, 1, 5, 2, 5, 0, 1};
  EXPECT_EQ(ParetoFront(values, objectives), (std::vector<size_t>{0, 1, 3}));
}

TEST(SensitivityTest, SharesOfAnAdditiveFunction) {
  // x = 10 a + b over a, b in {0, 1}: variance 25 of a, 0.25 of b.
  const std::vector<double> values = {0, 1, 10, 11};
  const std::vector<int32_t> a = {0, 0, 1, 1}, b = {0, 1, 0, 1};
  const MainEffect of_a = MainEffectOf(a, 2, values);
  EXPECT_DOUBLE_EQ(of_a.low, 0.5);
  EXPECT_DOUBLE_EQ(of_a.high, 10.5);
  EXPECT_DOUBLE_EQ(of_a.share, 25.0 / 25.25);
  EXPECT_DOUBLE_EQ(MainEffectOf(b, 2, values).share, 0.25 / 25.25);
}

TEST(SensitivityTest, LeavesOutWhatHasNoValue) {
  const double none = std::numeric_limits<double>::quiet_NaN();
  const MainEffect effect =
      MainEffectOf(std::vector<int32_t>{0, 0, 1, 2}, 3, std::vector<double>{2, none, 4, none});
  EXPECT_EQ(effect.points, 2);
  EXPECT_DOUBLE_EQ(effect.low, 2);
  EXPECT_DOUBLE_EQ(effect.high, 4);
  EXPECT_DOUBLE_EQ(effect.share, 1.0);
  EXPECT_EQ(MainEffectOf(std::vector<int32_t>{0}, 1, std::vector<double>{none}).points, 0);
  EXPECT_EQ(MainEffectOf(std::vector<int32_t>{0, 1}, 2, std::vector<double>{3, 3}).share, 0.0);
}

}  // namespace
}  // namespace tierscope

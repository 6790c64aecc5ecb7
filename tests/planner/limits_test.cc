#include "sim/planner/limits.h"

#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace tierscope {
namespace {

RunResult ResultWith(const std::string& name, double value) {
  RunResult result;
  Metric* metric = result.add_metrics();
  metric->set_name(name);
  metric->set_value(value);
  return result;
}

TEST(ParseLimit, ReadsCeilingsAndFloors) {
  const auto ceiling = ParseLimit("tpot_ms_p99 <= 50");
  ASSERT_TRUE(ceiling.ok()) << ceiling.status();
  EXPECT_EQ(ceiling->metric, "tpot_ms_p99");
  EXPECT_TRUE(ceiling->is_ceiling);
  EXPECT_EQ(ceiling->bound, 50.0);
  EXPECT_EQ(ceiling->text(), "tpot_ms_p99 <= 50");
  const auto floor = ParseLimit("coverage>=0.75");
  ASSERT_TRUE(floor.ok()) << floor.status();
  EXPECT_FALSE(floor->is_ceiling);
}

TEST(ParseLimit, RefusesWhatItCannotMean) {
  for (const char* text : {"", "tpot_ms_p99", "tpot_ms_p99<50", "tpot_ms_p99<=", "<=5",
                           "tpot_ms_p99<=fast", "tpot_ms_p99<=nan", "tpot_ms_p99<=inf"}) {
    EXPECT_FALSE(ParseLimit(text).ok()) << text;
  }
}

TEST(ParseLimit, NamesTheMetricsThatBeginAlike) {
  const auto status = ParseLimit("tpot_ms_p95<=50").status();
  EXPECT_TRUE(absl::StrContains(status.message(), "tpot_ms_p99")) << status;
}

TEST(CheckLimits, RefusesContradictionsAndRepetition) {
  const Limit low{"coverage", true, 0.5, ""}, high{"coverage", false, 0.75, ""};
  EXPECT_FALSE(CheckLimits(std::vector<Limit>{low, high}).ok());
  EXPECT_FALSE(CheckLimits(std::vector<Limit>{low, low}).ok());
  const Limit band{"coverage", true, 0.9, ""};
  EXPECT_TRUE(CheckLimits(std::vector<Limit>{band, high}).ok());
}

TEST(ReadLimits, GivesTheRoomToTheBound) {
  const std::vector<Limit> limits = {{"tpot_ms_p99", true, 50.0, ""}};
  const auto inside = ReadLimits(limits, ResultWith("tpot_ms_p99", 40.0));
  ASSERT_TRUE(inside.ok());
  EXPECT_TRUE(inside->front().holds);
  EXPECT_DOUBLE_EQ(inside->front().slack, 0.2);
  const auto beyond = ReadLimits(limits, ResultWith("tpot_ms_p99", 60.0));
  EXPECT_FALSE(beyond->front().holds);
  EXPECT_DOUBLE_EQ(beyond->front().slack, -0.2);
  const auto at = ReadLimits(limits, ResultWith("tpot_ms_p99", 50.0));
  EXPECT_TRUE(at->front().holds);
}

TEST(ReadLimits, ABoundOfZeroHasItsRoomAsSlack) {
  const std::vector<Limit> limits = {{"stall_fraction", true, 0.0, ""}};
  const auto beyond = ReadLimits(limits, ResultWith("stall_fraction", 0.25));
  EXPECT_FALSE(beyond->front().holds);
  EXPECT_DOUBLE_EQ(beyond->front().slack, -0.25);
}

TEST(ReadLimits, RefusesAMetricWithoutAValue) {
  RunResult result;
  Metric* metric = result.add_metrics();
  metric->set_name("ttft_ms_p99");
  metric->set_absent("no prefill");
  const auto status = ReadLimits(std::vector<Limit>{{"ttft_ms_p99", true, 1.0, ""}}, result);
  ASSERT_FALSE(status.ok());
  EXPECT_TRUE(absl::StrContains(status.status().message(), "no prefill"));
}

}  // namespace
}  // namespace tierscope

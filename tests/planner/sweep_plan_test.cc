#include "sim/planner/sweep_plan.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "sim/planner/refine.h"
#include "tests/testing/temp_folder.h"

namespace tierscope {
namespace {

class SweepPlanTest : public ::testing::Test {
 protected:
  absl::StatusOr<SweepPlan> Load(const std::string& text, const SweepOptions& options = {}) {
    const std::string scenario =
        absl::StrCat("scenario: \"", TIERSCOPE_SOURCE_DIR, "/scenarios/h20_lsa.txtpb\"\n");
    return LoadSweep(folder_.Write("s.txtpb", scenario + text), options);
  }
  void ExpectRefused(const std::string& text, const std::vector<std::string>& parts,
                     const SweepOptions& options = {}) {
    const auto plan = Load(text, options);
    ASSERT_FALSE(plan.ok()) << text;
    const std::string message(plan.status().message());
    EXPECT_EQ(message.find(folder_.File("s.txtpb")), 0u) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    for (const std::string& part : parts)
      EXPECT_NE(message.find(part), std::string::npos) << message;
  }
  testing::TempFolder folder_;
};

std::vector<std::string> Labels(const SweepAxis& axis) {
  std::vector<std::string> labels;
  for (const AxisValue& value : axis.values) labels.push_back(value.label);
  return labels;
}

TEST_F(SweepPlanTest, AGridVariesItsLastAxisFastest) {
  const auto plan = Load(
      "axis { field: 'policy.tau_steps' values: [32, 64] }"
      "axis { field: 'policy.kind' names: ['lsa', 'ORACLE', 'RECENCY'] } repeats: 2");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->point_count(), 12);
  std::set<std::vector<std::string>> distinct;
  for (int64_t p = 0; p < 12; ++p) distinct.insert(PointSets(*plan, p));
  EXPECT_EQ(distinct.size(), 12u);
  EXPECT_EQ(PointSets(*plan, 0),
            (std::vector<std::string>{"policy.tau_steps=32", "policy.kind=lsa", "seed=1"}));
  EXPECT_EQ(PointSets(*plan, 9),
            (std::vector<std::string>{"policy.tau_steps=64", "policy.kind=ORACLE", "seed=2"}));
  const auto scenario = ResolvePoint(*plan, PointSets(*plan, 9));
  ASSERT_TRUE(scenario.ok()) << scenario.status();
  EXPECT_EQ(scenario->policy().tau_steps(), 64);
  EXPECT_EQ(scenario->policy().kind(), Policy::ORACLE);
  EXPECT_EQ(scenario->seed(), 2u);
}

TEST_F(SweepPlanTest, RangesReachTheirEnds) {
  const auto plan = Load(
      "axis { field: 'policy.threshold' range { from: 0.1 to: 0.9 step: 0.1 } }"
      "axis { field: 'policy.tau_steps' log_range { from: 16 to: 256 count: 5 } }"
      "axis { field: 'policy.page_kmax' range { from: 10 to: 100 count: 4 } multiple_of: 8 }");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(Labels(plan->axes[0]), (std::vector<std::string>{"0.1", "0.2", "0.3", "0.4", "0.5",
                                                             "0.6", "0.7", "0.8", "0.9"}));
  EXPECT_EQ(Labels(plan->axes[1]), (std::vector<std::string>{"16", "32", "64", "128", "256"}));
  EXPECT_EQ(Labels(plan->axes[2]), (std::vector<std::string>{"8", "40", "72", "104"}));
}

TEST_F(SweepPlanTest, ZipTakesValuesTogetherAndCasesSetSeveralFields) {
  const auto plan = Load(
      "mode: ZIP axis { field: 'policy.threshold' values: [0.25, 0.5] }"
      "axis { name: 'context' case { label: '128K' set: "
      "'workload.context_tokens=131072,policy.page_kmax=48' }"
      "       case { set: 'policy.page_kmax=192,workload.context_tokens=524288' } }");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->point_count(), 2);
  EXPECT_EQ(PointSets(*plan, 0),
            (std::vector<std::string>{"policy.threshold=0.25", "workload.context_tokens=131072",
                                      "policy.page_kmax=48"}));
  EXPECT_EQ(Labels(plan->axes[1])[0], "128K");
}

TEST_F(SweepPlanTest, FileNamesAreRelativeToTheSweepAndSetsToTheWorkingFolder) {
  const auto plan = Load(
      "set: 'workload.attention.trace=t.trace'"
      "axis { field: 'workload.trace' names: ['a.jsonl', 'b/c.jsonl'] }",
      {.sets = {"hardware.preset=./x.txtpb"}, .yes = false});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const std::vector<std::string> sets = PointSets(*plan, 1);
  EXPECT_EQ(sets[0], "workload.attention.trace=" + folder_.File("t.trace"));
  EXPECT_EQ(sets[1], "hardware.preset=" + std::filesystem::current_path().string() + "/x.txtpb");
  EXPECT_EQ(sets[2], "workload.trace=" + folder_.File("b/c.jsonl"));
}

// Every part of every axis is hit exactly once, and two axes are not the same permutation.
TEST_F(SweepPlanTest, ALatinHypercubeHitsEveryPartOnce) {
  const std::string text =
      "mode: LATIN_HYPERCUBE count: 40 "
      "axis { field: 'policy.threshold' range { from: 0.2 to: 0.8 } }"
      "axis { field: 'engine.level1_interference' range { from: 0 to: 1 } }"
      "axis { field: 'workload.attention.window_churn' log_range { from: 0.05 to: 0.5 } }"
      "axis { field: 'policy.page_kmax' values: [48, 96, 192, 384] }";
  const auto plan = Load(text);
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->point_count(), 40);
  std::vector<std::vector<int>> parts(2);
  std::map<std::string, int> kmax;
  for (int64_t p = 0; p < 40; ++p) {
    const std::vector<int32_t> at = plan->Coordinates(p);
    const double threshold = *plan->axes[0].values[static_cast<size_t>(at[0])].number;
    const double interference = *plan->axes[1].values[static_cast<size_t>(at[1])].number;
    const double churn = *plan->axes[2].values[static_cast<size_t>(at[2])].number;
    EXPECT_GE(churn, 0.05);
    EXPECT_LE(churn, 0.5);
    parts[0].push_back(static_cast<int>((threshold - 0.2) / 0.6 * 40));
    parts[1].push_back(static_cast<int>(interference * 40));
    ++kmax[plan->axes[3].values[static_cast<size_t>(at[3])].label];
  }
  EXPECT_NE(parts[0], parts[1]);
  for (std::vector<int>& list : parts) {
    std::sort(list.begin(), list.end());
    for (int i = 0; i < 40; ++i) EXPECT_EQ(list[static_cast<size_t>(i)], i);
  }
  for (const auto& [label, count] : kmax) EXPECT_EQ(count, 10) << label;
  EXPECT_EQ(kmax.size(), 4u);

  const auto again = Load(text);
  const auto other = Load(text + " sample_seed: 2");
  EXPECT_EQ(PointSets(*plan, 7), PointSets(*again, 7));
  EXPECT_NE(PointSets(*plan, 7), PointSets(*other, 7));
}

TEST_F(SweepPlanTest, RefusesWithFileAndField) {
  ExpectRefused("axis { field: 'policy.tau' values: 1 }",
                {"s.txtpb:2:1", "axis policy.tau", "policy.tau_steps"});
  ExpectRefused("axis { field: 'policy.tau_steps' }", {"has no values"});
  ExpectRefused("axis { field: 'policy.tau_steps' values: 8 range { from: 1 to: 2 count: 2 } }",
                {"several kinds"});
  ExpectRefused("axis { field: 'policy.threshold' range { from: 0.9 to: 0.1 step: 0.1 } }",
                {"policy.threshold", "is empty"});
  ExpectRefused("axis { field: 'policy.threshold' range { from: 0.1 to: 0.9 } }",
                {"needs a step or a count"});
  ExpectRefused("axis { field: 'policy.threshold' range { from: 0.1 to: 0.9 step: 0 } }",
                {"not above 0"});
  ExpectRefused("axis { field: 'policy.tau_steps' log_range { from: 0 to: 9 count: 3 } }",
                {"0 < from <= to"});
  ExpectRefused("axis { field: 'policy.tau_steps' values: 1.5 }", {"not a whole number"});
  ExpectRefused("axis { field: 'policy.kind' names: 'LSB' }", {"policy.kind", "LSB"});
  ExpectRefused("axis { field: 'policy.kind' values: 1 }", {"list its values as names"});
  ExpectRefused("axis { field: 'policy.tau_steps' values: [8, 16, 8] }", {"the value 8 twice"});
  ExpectRefused("axis { field: 'policy' values: 1 }", {"no such field"});
  ExpectRefused(
      "axis { field: 'policy.tau_steps' values: 8 } axis { field: 'policy.tau_steps' values: 9 }",
      {"also set by axis policy.tau_steps"});
  ExpectRefused("set: 'policy.tau_steps=8' axis { field: 'policy.tau_steps' values: 8 }",
                {"also set by set"});
  ExpectRefused("axis { field: 'seed' values: [1, 2] } repeats: 2", {"repeats"});
  ExpectRefused(
      "mode: ZIP axis { field: 'seed' values: [1, 2] } axis { field: 'policy.tau_steps' values: 8 "
      "}",
      {"has 1 values and the first axis 2"});
  ExpectRefused("mode: LATIN_HYPERCUBE axis { field: 'seed' values: [1, 2] }", {"needs a count"});
  ExpectRefused("axis { name: 'x' case { set: 'seed=1' } case { set: 'policy.tau_steps=8' } }",
                {"cases set different fields"});
  ExpectRefused("axis { case { set: 'seed=1' } }", {"no name"});
  ExpectRefused("axis { field: 'seed' values: 1 } objective { metric: 'speed' }",
                {"no metric is called 'speed'"});
  ExpectRefused("axis { field: 'seed' values: 1 } limit: 'coverage>0.5'", {"METRIC<=BOUND"});
  ExpectRefused("axis { field: 'seed' values: 1 } metric: 'speed'",
                {"no metric is called 'speed'"});
  ExpectRefused("", {"0 axes"});
  ExpectRefused("axis { feld: 'seed' }", {"s.txtpb:2:12"});
}

// Counted before a value exists: a range of 10^15 values would not fit into memory.
TEST_F(SweepPlanTest, TooManyPointsAreRefusedUnasked) {
  const std::string huge =
      "axis { field: 'policy.threshold' range { from: 0.1 to: 0.9 step: 1e-15 } }";
  ExpectRefused(huge, {"more than 1,000,000,000 points"}, {.sets = {}, .yes = true});
  const std::string large =
      "axis { field: 'seed' range { from: 1 to: 4000 step: 1 } }"
      "axis { field: 'policy.page_kmax' range { from: 1 to: 4000 step: 1 } }";
  ExpectRefused(large, {"16,000,000 points", "--yes"});
  const auto plan = Load(large, {.sets = {}, .yes = true});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->point_count(), 16'000'000);
  ExpectRefused(
      "repeats: 1000000 axis { field: 'policy.page_kmax' values: [1,2,3,4,5,6,7,8,9,10,11] }",
      {"11,000,000 points"});
}

TEST(StudiesTest, EachLoadsAndItsPointsAreScenarios) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(
           absl::StrCat(TIERSCOPE_SOURCE_DIR, "/scenarios/studies"))) {
    if (entry.path().extension() != ".txtpb") continue;
    ++files;
    const auto plan = LoadSweep(entry.path().string(), {});
    ASSERT_TRUE(plan.ok()) << plan.status();
    const int64_t points = plan->point_count();
    for (int64_t p = 0; p < points; p += std::max<int64_t>(1, points / 20)) {
      EXPECT_TRUE(ResolvePoint(*plan, PointSets(*plan, p)).ok()) << entry.path() << " " << p;
    }
    if (plan->name == "bench_1000") {
      EXPECT_EQ(points, 1000);
    }
  }
  EXPECT_GE(files, 2);
}

TEST_F(SweepPlanTest, RefinementProposesMiddlesOnce) {
  const auto plan = Load(
      "axis { field: 'policy.page_kmax' values: [8, 16, 17] }"
      "axis { field: 'policy.tau_steps' log_range { from: 16 to: 256 count: 2 } }"
      "axis { field: 'policy.kind' names: ['LSA', 'ORACLE'] }");
  ASSERT_TRUE(plan.ok()) << plan.status();
  std::vector<std::vector<AxisValue>> points;
  for (int64_t p = 0; p < plan->point_count(); ++p) {
    std::vector<AxisValue> values;
    const auto at = plan->Coordinates(p);
    for (size_t a = 0; a < at.size(); ++a)
      values.push_back(plan->axes[a].values[static_cast<size_t>(at[a])]);
    points.push_back(values);
  }
  const auto text = [](const std::vector<std::vector<AxisValue>>& proposed) {
    std::string out;
    for (const auto& values : proposed) {
      for (const AxisValue& value : values) absl::StrAppend(&out, value.label, " ");
      out += "| ";
    }
    return out;
  };
  // Point 4 is (16, 16, LSA): between 8 and 16; 16 and 17 have no whole number between them;
  // between 16 and 256 lies 64, the geometric middle. Point 8, (17, 16, LSA), adds its own.
  const std::vector<size_t> front = {4, 8};
  EXPECT_EQ(text(ProposeRefinement(plan->axes, points, front, 100)),
            "12 16 LSA | 16 64 LSA | 17 64 LSA | ");
  EXPECT_EQ(text(ProposeRefinement(plan->axes, points, front, 2)), "12 16 LSA | 16 64 LSA | ");
  for (const auto& values : ProposeRefinement(plan->axes, points, front, 100))
    points.push_back(values);
  EXPECT_EQ(text(ProposeRefinement(plan->axes, points, front, 1)), "14 16 LSA | ");
}

}  // namespace
}  // namespace tierscope

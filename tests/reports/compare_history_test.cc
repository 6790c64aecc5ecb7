#include <filesystem>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "reports/compare/history.h"
#include "reports/sqlite.h"
#include "sim/base/rng.h"
#include "tests/reports/compare_sides.h"
#include "tests/testing/temp_folder.h"

namespace tierscope::testing {
namespace {

class HistoryTest : public ::testing::Test {
 protected:
  Recorded Record(const RunSet& runs, const std::string& label) {
    absl::StatusOr<History> history = History::Open(path_, true);
    EXPECT_TRUE(history.ok()) << history.status();
    const absl::StatusOr<Recorded> recorded = history->Record(runs, label);
    EXPECT_TRUE(recorded.ok()) << recorded.status();
    return recorded.ok() ? *recorded : Recorded();
  }
  std::vector<MetricHistory> Read(const std::string& metric) {
    const absl::StatusOr<History> history = History::Open(path_, false);
    EXPECT_TRUE(history.ok()) << history.status();
    absl::StatusOr<std::vector<MetricHistory>> read = history->Read(metric);
    EXPECT_TRUE(read.ok()) << read.status();
    return read.ok() ? *std::move(read) : std::vector<MetricHistory>();
  }
  std::string ErrorOf(const std::string& path, const std::string& metric = "") {
    const absl::StatusOr<History> history = History::Open(path, false);
    return std::string(history.ok() ? history->Read(metric).status().message()
                                    : history.status().message());
  }
  TempFolder folder_;
  std::string path_ = folder_.File("h.sqlite");
};

TEST_F(HistoryTest, RecordingAgainChangesNothing) {
  RunSet runs = SideOf({SimulatedRuns("s", {{"steps", 100}, {"coverage", 0.5}})});
  runs.scenarios[0].metrics.push_back({"sim_wall_s", "s", true, {1, 3, 2}, ""});
  runs.scenarios[0].metrics.push_back({"ttft_ms_p50", "ms", false, {}, "none"});
  EXPECT_EQ(Record(runs, "c1").values, 3);
  const Recorded again = Record(runs, "c1");
  EXPECT_EQ(again.runs, 0);
  EXPECT_EQ(again.values, 0);
  runs.scenarios[0].metrics[2].values = {9};  // measured anew: the first stays
  EXPECT_EQ(Record(runs, "c1").values, 0);
  const std::vector<MetricHistory> wall = Read("sim_wall_s");
  ASSERT_EQ(wall.size(), 1u);
  EXPECT_EQ(wall[0].values, (std::vector<double>{2}));
  EXPECT_TRUE(wall[0].measured);
  EXPECT_EQ(Read("").size(), 3u);
}

TEST_F(HistoryTest, OneLabelHasOneSimulatedValue) {
  RunSet runs = SideOf({SimulatedRuns("s", {{"steps", 100}, {"coverage", 0.5}})});
  Record(runs, "c1");
  runs.scenarios[0].metrics.insert(runs.scenarios[0].metrics.begin(),
                                   {"decode_s", "s", false, {1}, ""});
  runs.scenarios[0].metrics[1].values = {101};
  absl::StatusOr<History> history = History::Open(path_, true);
  EXPECT_EQ(history->Record(runs, "c1").status().message(),
            path_ +
                ": label 'c1' has steps = 100 of scenario 's' and the new run 101: simulated "
                "values of one label are equal; give another --label");
  EXPECT_EQ(Read("").size(), 2u);  // nothing of it was added
  EXPECT_EQ(Record(runs, "c2").values, 3);
}

TEST_F(HistoryTest, SimulatedChangesAreAllListed) {
  for (int i = 0; i < 6; ++i) {
    Record(SideOf({SimulatedRuns("s", {{"steps", i < 4 ? 100 : 101}})}), absl::StrCat("c", i));
  }
  const std::vector<MetricHistory> steps = Read("steps");
  ASSERT_EQ(steps.size(), 1u);
  const std::vector<ChangePoint> changes = ChangesOf(steps[0]);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(steps[0].labels[changes[0].at], "c4");
}

TEST_F(HistoryTest, AMeasuredShiftIsFound) {
  Rng rng(1);
  for (int i = 0; i < 40; ++i) {
    RunSet runs = SideOf({SimulatedRuns("s", {{"steps", 1}})});
    const double level = i < 25 ? 10 : 11;
    runs.scenarios[0].metrics.push_back(
        {"sim_wall_s", "s", true, {level * (1 + 0.02 * rng.NextNormal())}, ""});
    Record(runs, absl::StrCat("c", i));
  }
  const std::vector<ChangePoint> changes = ChangesOf(Read("sim_wall_s")[0]);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_NEAR(static_cast<double>(changes[0].at), 25, 3);
}

TEST_F(HistoryTest, OtherFingerprintsAndHostsAreLeftOut) {
  RunSet runs = SideOf({SimulatedRuns("s", {{"steps", 1}})});
  runs.scenarios[0].metrics.push_back({"sim_wall_s", "s", true, {1.0}, ""});
  runs.scenarios[0].cpu = "one";
  Record(runs, "c1");
  runs.scenarios[0].cpu = "other";
  Record(runs, "c2");
  EXPECT_EQ(Read("steps")[0].values.size(), 2u);
  EXPECT_EQ(Read("sim_wall_s")[0].values.size(), 1u);
  EXPECT_EQ(Read("sim_wall_s")[0].left_out, 1);
  runs.scenarios[0].identity.mutable_inputs(0)->set_digest("another trace");
  Record(runs, "c3");
  EXPECT_EQ(Read("steps")[0].labels, (std::vector<std::string>{"c3"}));
  EXPECT_EQ(Read("steps")[0].left_out, 2);
}

TEST_F(HistoryTest, EmptyAndForeignFilesAreNamed) {
  EXPECT_EQ(ErrorOf(path_),
            path_ + ": the history is empty, there is no such file; add runs with --record");
  EXPECT_FALSE(std::filesystem::exists(path_));
  const std::string nothing = folder_.Write("nothing.sqlite", "");
  EXPECT_EQ(ErrorOf(nothing), nothing + ": the history is empty; add runs with --record");
  ASSERT_TRUE(History::Open(path_, true).ok());
  EXPECT_EQ(ErrorOf(path_), path_ + ": the history is empty; add runs with --record");
  Record(SideOf({SimulatedRuns("s", {{"steps", 1}})}), "c1");
  EXPECT_EQ(ErrorOf(path_, "stepz"),
            path_ + ": no run has the metric 'stepz'; --trend alone lists what changed");
  const std::string text = folder_.Write("text", std::string(5000, 'x'));
  EXPECT_NE(ErrorOf(text).find("is no history"), std::string::npos) << ErrorOf(text);
  const std::string foreign = folder_.File("foreign.sqlite");
  ASSERT_TRUE(SqliteDatabase::Open(foreign)->Execute("CREATE TABLE t(a)").ok());
  EXPECT_EQ(ErrorOf(foreign), foreign + ": is no history; give another --history");
  ASSERT_TRUE(SqliteDatabase::Open(path_)->Execute("PRAGMA user_version=2").ok());
  EXPECT_EQ(ErrorOf(path_),
            path_ + ": is a history of format 2, this tierscope has 1; give another --history");
}

}  // namespace
}  // namespace tierscope::testing

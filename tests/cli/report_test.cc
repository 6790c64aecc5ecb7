// tierscope report as a user meets it: what it writes where, and how it refuses wrong input. What
// the page does in a browser: tests/browser.
#include <algorithm>
#include <filesystem>

#include "gtest/gtest.h"

#include "tests/testing/command.h"
#include "tests/testing/golden.h"

namespace tierscope::testing {
namespace {

class ReportVerbTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string scenario = std::string(TIERSCOPE_SOURCE_DIR) + "/scenarios/h20_full.txtpb";
    const CommandOutput run = RunTierscope(
        "run " + scenario + " --set engine.simulated_s=60 --out " + folder_.File("run"));
    ASSERT_EQ(run.exit_code, 0) << run.err;
  }
  void ExpectRefused(const std::string& arguments, const std::string& part) {
    const CommandOutput output = RunTierscope("report " + arguments);
    EXPECT_EQ(output.exit_code, 2) << arguments;
    EXPECT_EQ(output.out, "") << arguments;
    EXPECT_EQ(std::count(output.err.begin(), output.err.end(), '\n'), 1) << output.err;
    EXPECT_NE(output.err.find(part), std::string::npos) << output.err;
  }
  bool Exists(const std::string& name) { return std::filesystem::exists(folder_.File(name)); }

  TempFolder folder_;
};

// With the libraries a page, the same bytes each time; without them Markdown and what is missing.
TEST_F(ReportVerbTest, WritesThePageOrSaysWhatIsMissing) {
  const CommandOutput first = RunTierscope("report " + folder_.File("run"));
  ASSERT_EQ(first.exit_code, 0) << first.err;
  if (first.err.find("no interactive report, Markdown instead") != std::string::npos) {
    EXPECT_TRUE(Exists("run/report.md"));
    EXPECT_FALSE(Exists("run/interactive.html"));
    return;
  }
  const std::string page = ReadFile(folder_.File("run/interactive.html"));
  EXPECT_LT(page.size(), size_t{15} << 20);
  ASSERT_EQ(
      RunTierscope("report " + folder_.File("run") + "/ --out " + folder_.File("b.html")).exit_code,
      0);
  EXPECT_TRUE(ReadFile(folder_.File("b.html")) == page);
}

TEST_F(ReportVerbTest, MarkdownToStandardOutput) {
  const CommandOutput output =
      RunTierscope("report " + folder_.File("run") + " --format=markdown --out -");
  ASSERT_EQ(output.exit_code, 0) << output.err;
  EXPECT_EQ(output.err, "");
  for (const char* part : {"## Summary", "| binding limit |", "## Footprint", "h20\\_full"}) {
    EXPECT_NE(output.out.find(part), std::string::npos) << part;
  }
}

TEST_F(ReportVerbTest, JoinsTimelinesOfTheWindow) {
  const std::string run = folder_.File("run"), out = folder_.File("both.json");
  ASSERT_EQ(RunTierscope("report " + run + " " + run + " --timeline=" + out).exit_code, 0);
  const std::string text = ReadFile(out);
  EXPECT_NE(text.find("\"pid\":2"), std::string::npos);
  EXPECT_NE(text.find("simulated: h20_full"), std::string::npos);
  ExpectRefused(run + " --timeline=" + out + " --timeline-window=900,901",
                "has no event from 900 s");
  ExpectRefused(run + " --timeline=" + out + " --timeline-window=9", "no BEGIN,END");
  std::filesystem::remove(run + "/timeline.json");
  ExpectRefused(run + " --timeline=" + out, "has neither timeline.json nor phases.csv");
}

TEST_F(ReportVerbTest, RefusesWhatItCannotShow) {
  ExpectRefused("", "INPUT is required");
  ExpectRefused(folder_.File("nothing"), "No such file");
  ExpectRefused(folder_.path(), "holds no result.json");
  ExpectRefused(folder_.File("run") + " --format=pdf", "neither html nor markdown");
  ExpectRefused(folder_.File("run") + "/scenario.txtpb", "is not JSON");
  ExpectRefused(folder_.File("run") + " --format=markdown --out " + folder_.File("no/such/x.md"),
                "no/such");
  std::string many;
  for (int i = 0; i < 65; ++i) many += folder_.File("run") + " ";
  ExpectRefused(many, "at most 64 inputs");
}

TEST_F(ReportVerbTest, AnOldRunWithoutItsSeriesIsShown) {
  std::filesystem::remove(folder_.File("run/series.json"));
  std::filesystem::remove(folder_.File("run/timeline.json"));
  std::filesystem::remove(folder_.File("run/host.json"));
  EXPECT_EQ(RunTierscope("report " + folder_.File("run")).exit_code, 0);
  folder_.Write("run/series.json", "{\"time_ns\": [");
  ExpectRefused(folder_.File("run"), "series.json: is not JSON");
}

}  // namespace
}  // namespace tierscope::testing

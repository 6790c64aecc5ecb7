// tierscope compare as CI meets it: exit codes, what is refused and how it is named, documents,
// history, and the project's own suite when its baseline does not hold.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "gtest/gtest.h"

#include "tests/testing/command.h"
#include "tests/testing/golden.h"

namespace tierscope::testing {
namespace {

namespace fs = std::filesystem;

constexpr char kCi[] = TIERSCOPE_SOURCE_DIR "/reports/ci";

class CompareVerbTest : public ::testing::Test {
 protected:
  // A run of the suite's scenario without attention, under `name`.
  std::string Run(const std::string& name, const std::string& sets = "") {
    const std::string out = folder_.File(name);
    const CommandOutput output =
        RunTierscope("run " + std::string(kCi) + "/scenarios/full.txtpb --out " + out + " " + sets);
    EXPECT_EQ(output.exit_code, 0) << output.err;
    return out;
  }
  // A copy of a run with `from` in its result.json replaced.
  std::string Edited(const std::string& run, const std::string& name, const std::string& from,
                     const std::string& to) {
    const std::string copy = folder_.File(name);
    fs::remove_all(copy);
    fs::copy(run, copy, fs::copy_options::recursive);
    std::string text = ReadFile(run + "/result.json");
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    folder_.Write(name + "/result.json", text.replace(at, from.size(), to));
    return copy;
  }
  // The text of `metric`'s value in a run's result.json.
  std::string ValueText(const std::string& run, const std::string& metric) {
    const std::string text = ReadFile(run + "/result.json");
    const size_t at = text.find("\"" + metric + "\": {\"value\": ") + metric.size() + 14;
    return text.substr(at, text.find(',', at) - at);
  }
  // The run with a metric multiplied.
  std::string Scaled(const std::string& run, const std::string& name, const std::string& metric,
                     double factor) {
    const std::string value = ValueText(run, metric);
    char scaled[64];
    std::snprintf(scaled, sizeof scaled, "%.17g", std::strtod(value.c_str(), nullptr) * factor);
    return Edited(run, name, "\"" + metric + "\": {\"value\": " + value,
                  "\"" + metric + "\": {\"value\": " + scaled);
  }
  static void ExpectExit(const CommandOutput& output, int exit_code, const std::string& says) {
    EXPECT_EQ(output.exit_code, exit_code) << output.out << output.err;
    EXPECT_NE((output.out + output.err).find(says), std::string::npos) << says << "\n"
                                                                       << output.out << output.err;
  }
  CommandOutput Compare(const std::string& arguments) {
    return RunTierscope("compare --today=2026-11-22 " + arguments);
  }
  TempFolder folder_;
};

TEST_F(CompareVerbTest, ExitCodes) {
  const std::string base = Run("base"), again = Run("again");
  ExpectExit(Compare(base + " " + again + " --simulated"), 0, "passed: ");
  // 1 %, found in a simulated metric.
  const std::string slower = Scaled(base, "slower", "throughput_tok_per_s", 0.99);
  const CommandOutput regressed = Compare(base + " " + slower + " --simulated");
  ExpectExit(regressed, 1, "failed: 1 of 104 metrics");
  ExpectExit(regressed, 1, "FAIL regressed");
  ExpectExit(regressed, 1, "-1.00 %");
  const std::string faster = Scaled(base, "faster", "throughput_tok_per_s", 1.01);
  ExpectExit(Compare(base + " " + faster + " --simulated"), 0, "improved");
  const std::string lost = Edited(base, "lost", "    \"coverage\": ", "    \"other\": ");
  ExpectExit(Compare(base + " " + lost + " --simulated"), 1, "FAIL missing");
  ExpectExit(Compare(base + " " + folder_.File("none")), 2, "none: is not there; check the path");
  ExpectExit(Compare(base), 2, "give two sides, BASE and NEW");
  const std::string other = Run("other", "--set workload.concurrency=9");
  const CommandOutput refused = Compare(base + " " + other);
  ExpectExit(refused, 3, "'suite_full' differs in workload.concurrency ('8' / '9')");
  EXPECT_EQ(refused.out, "");
  ExpectExit(Compare(base + " " + other + " --simulated --across=scenario"), 1, "FAIL");
  const std::string device = Run("device", "--set hardware.hbm_bytes=140000000000");
  ExpectExit(Compare(base + " " + device + " --simulated"), 3, "hardware.hbm_bytes");
  ExpectExit(Compare(base + " " + device + " --simulated --across=model"), 3, "--across=device");
  ExpectExit(Compare(base + " " + device + " --simulated --across=device"), 0, "passed");
}

TEST_F(CompareVerbTest, SuitesArePairedByName) {
  for (const char* side : {"base", "new"}) {
    Run(std::string(side) + "/a");
    Run(std::string(side) + "/b", "--set name=second");
  }
  ExpectExit(Compare(folder_.File("base") + " " + folder_.File("new") + " --simulated"), 0,
             "208 metrics in 2 scenarios");
  fs::remove_all(folder_.File("new/b"));
  ExpectExit(Compare(folder_.File("base") + " " + folder_.File("new") + " --simulated"), 1,
             "FAIL second: missing: the new runs do not have it");
  const CommandOutput csv =
      Compare(folder_.File("base") + " " + folder_.File("new") + " --simulated --format=csv");
  EXPECT_EQ(csv.exit_code, 1);
  EXPECT_EQ(csv.err, "FAIL second: missing: the new runs do not have it\n");
  ExpectExit(Compare(folder_.File("base/b") + " " + folder_.File("new") + " --simulated"), 3,
             "no common scenario");
}

// Six runs a side are six samples of the host's metrics.
TEST_F(CompareVerbTest, RepeatsOfTheHost) {
  const std::string run = Run("run");
  for (const char* side : {"base", "new"}) {
    for (int i = 0; i < 6; ++i) {
      const std::string name = std::string(side) + "/" + std::to_string(i);
      fs::create_directories(folder_.File(side));
      fs::copy(run, folder_.File(name));
      const double wall_s = (side[0] == 'b' ? 1.0 : 1.5) + 0.001 * i;
      folder_.Write(name + "/host.json", "{\"sim_wall_s\": " + std::to_string(wall_s) +
                                             ", \"cpu\": \"c\", \"build_type\": \"Release\"}");
    }
  }
  const CommandOutput output = Compare(folder_.File("base") + " " + folder_.File("new"));
  ExpectExit(output, 1, "FAIL regressed");
  ExpectExit(output, 1, "6 / 6");
  ExpectExit(Compare(folder_.File("base/0") + " " + folder_.File("new/0")), 0, "ambiguous");
  const std::string strict =
      folder_.Write("g.txtpb", "gate { metric: 'sim_wall_s' ambiguous_fails: true }");
  ExpectExit(Compare(folder_.File("base/0") + " " + folder_.File("new/0") + " --gates " + strict),
             1, "FAIL ambiguous");
  folder_.Write("new/0/host.json", "{\"sim_wall_s\": 1, \"cpu\": \"other\"}");
  ExpectExit(Compare(folder_.File("base/0") + " " + folder_.File("new/0")), 3,
             "host.cpu ('c' / 'other')");
}

TEST_F(CompareVerbTest, GatesAndWaivers) {
  const std::string base = Run("base"), slower = Scaled(base, "s", "step_ms_p99", 1.01);
  const std::string sides = base + " " + slower + " --simulated --gates ";
  const auto with = [&](const std::string& gates) {
    return Compare(sides + folder_.Write("g.txtpb", gates));
  };
  ExpectExit(with("gate { metric: 'step_ms_*' tolerance_relative: 0.02 }"), 0, "passed");
  ExpectExit(with("gate { metric: 'step_ms_p50' tolerance_relative: 0.02 }"), 1, "failed");
  ExpectExit(with("gate { metric: 'step_msec' }"), 2,
             "g.txtpb:1:1: a gate on the unknown metric 'step_msec'");
  ExpectExit(with("gate { metric: 'steps' wrong: 1 }"), 2, "g.txtpb:1:");
  const std::string waiver = "waiver { metric: 'step_ms_p99' scenario: 'suite_*' reason: 'known' ";
  ExpectExit(with(waiver + "expires: '2026-11-22' }"), 0, "waived: known (until 2026-11-22)");
  ExpectExit(with(waiver + "expires: '2026-11-21' }"), 1, "expired on 2026-11-21");
  ExpectExit(RunTierscope("compare " + sides + folder_.File("g.txtpb") + " --today=2020-01-01"), 0,
             "waived");
  ExpectExit(RunTierscope("compare " + sides + folder_.File("g.txtpb")), 1, "expired");
  ExpectExit(RunTierscope("compare " + sides + folder_.File("g.txtpb") + " --today=tomorrow"), 2,
             "--today: 'tomorrow' is no date; give YYYY-MM-DD");
}

TEST_F(CompareVerbTest, NewerSchemaAndBadOptionsAreNamed) {
  const std::string base = Run("base");
  const std::string newer = Edited(base, "newer", "\"schema_version\": 1", "\"schema_version\": 2");
  ExpectExit(Compare(base + " " + newer), 2, "schema_version 2 is newer than 1");
  ExpectExit(Compare(base + " " + base + " --across=luck"), 2,
             "--across: unknown part 'luck'; use scenario, trace, model, device");
  ExpectExit(Compare(base + " " + base + " --format=xml"), 2, "unknown format 'xml'");
  ExpectExit(Compare(base + " --record"), 2, "--history goes with --record or --trend; give both");
  ExpectExit(Compare(base + " " + base + " --junit " + folder_.File("no/such/j.xml")), 2,
             "cannot create");
}

TEST_F(CompareVerbTest, Documents) {
  const std::string base = Run("base"), slower = Scaled(base, "s", "step_ms_p99", 1.01);
  const std::string files = " --markdown " + folder_.File("c.md") + " --junit " +
                            folder_.File("c.xml") + " --html " + folder_.File("c.html") +
                            " --json " + folder_.File("c.json");
  const CommandOutput json = Compare(base + " " + slower + " --simulated --format=json" + files);
  EXPECT_EQ(json.exit_code, 1);
  EXPECT_EQ(json.out, ReadFile(folder_.File("c.json")));
  for (const char* name : {"c.md", "c.xml", "c.html", "c.json"}) {
    EXPECT_NE(ReadFile(folder_.File(name)).find("step_ms_p99"), std::string::npos) << name;
  }
}

TEST_F(CompareVerbTest, History) {
  const std::string run = Run("run"), slower = Scaled(run, "s", "step_ms_p99", 1.01);
  const std::string history = " --history " + folder_.File("h.sqlite");
  ExpectExit(Compare("--trend" + history), 2, "h.sqlite: the history is empty");
  ExpectExit(Compare(run + " --record --label c1 --simulated" + history), 0, "1 runs, ");
  ExpectExit(Compare(run + " --record --label c1 --simulated" + history), 0, "0 runs, 0 values");
  ExpectExit(Compare(run + " --record --label c2 --simulated" + history), 0, "1 runs, ");
  ExpectExit(Compare(slower + " --record --label c2 --simulated" + history), 2,
             "label 'c2' has step_ms_p99");
  ExpectExit(Compare("--trend" + history), 0, "nothing changed");
  ExpectExit(Compare(run + " " + slower + " --record --label c3 --simulated" + history), 1,
             "FAIL regressed");
  ExpectExit(Compare("--trend --format=csv" + history), 0, "suite_full,step_ms_p99,3,c3,");
  ExpectExit(Compare("--trend=step_ms_p99" + history), 0, "+1.00 %");
  ExpectExit(Compare("--trend=nothing" + history), 2, "no run has the metric 'nothing'");
  ExpectExit(Compare("--trend " + history + " --record"), 2, "--trend reads the history alone");
}

class CiSuiteTest : public CompareVerbTest {
 protected:
  void SetUp() override { fs::copy(kCi, folder_.File("ci"), fs::copy_options::recursive); }
  CommandOutput Suite(const std::string& options = "") {
    const std::string out = folder_.File("suite.out");
    const int status =
        std::system((folder_.File("ci/suite.sh") + " --tierscope " TIERSCOPE_BINARY " --out " +
                     folder_.File("suite") + " " + options + " >" + out + " 2>&1")
                        .c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, ReadFile(out), ""};
  }
};

TEST_F(CiSuiteTest, FailsOnTheLastBitAndIsRenewedByOneCommand) {
  const std::string value = ValueText(folder_.File("ci/baseline/lsa"), "coverage");
  char nudged[64];
  std::snprintf(nudged, sizeof nudged, "%.17g",
                std::strtod(value.c_str(), nullptr) * (1 - 2.3e-16));
  ASSERT_NE(std::strtod(nudged, nullptr), std::strtod(value.c_str(), nullptr));
  Edited(folder_.File("ci/baseline/lsa"), "edited", "\"coverage\": {\"value\": " + value,
         std::string("\"coverage\": {\"value\": ") + nudged);
  fs::copy(folder_.File("edited/result.json"), folder_.File("ci/baseline/lsa/result.json"),
           fs::copy_options::overwrite_existing);
  // Better by a bit, and fails: the baseline is what runs.
  ExpectExit(Suite(), 1, "FAIL changed");
  EXPECT_NE(ReadFile(folder_.File("suite/report.md")).find("coverage"), std::string::npos);
  EXPECT_NE(ReadFile(folder_.File("suite/junit.xml")).find("<failure"), std::string::npos);
  ExpectExit(Suite("--renew"), 0, "passed");
  ExpectExit(Suite(), 0, "passed");
  for (const char* name : {"lsa", "prefix"}) {
    const std::string file = std::string("/baseline/") + name + "/result.json";
    EXPECT_EQ(ReadFile(folder_.File("ci") + file), ReadFile(kCi + file)) << name;
  }
}

TEST_F(CiSuiteTest, AnotherScenarioIsNotComparable) {
  std::string text = ReadFile(folder_.File("ci/scenarios/full.txtpb"));
  const std::string from = "concurrency: 8";
  text.replace(text.find(from), from.size(), "concurrency: 7");
  folder_.Write("ci/scenarios/full.txtpb", text);
  ExpectExit(Suite(), 3, "workload.concurrency ('8' / '7')");
  ExpectExit(Suite("--frob"), 2, "unknown option '--frob'");
}

// What the recipes call is there, and what they attach is what the suite leaves.
TEST_F(CiSuiteTest, RecipesMatchTheSuite) {
  ExpectExit(Suite(), 0, "passed");
  for (const char* recipe : {"github.yml", "gitlab.yml"}) {
    const std::string text = ReadFile(std::string(kCi) + "/" + recipe);
    EXPECT_NE(text.find("reports/ci/suite.sh --out suite\n"), std::string::npos) << recipe;
    EXPECT_EQ(text.find('\t'), std::string::npos) << recipe;
    size_t named = 0;
    for (size_t at = 0; (at = text.find(" suite/", at)) != std::string::npos; ++named) {
      at += 1;
      const std::string file = text.substr(at, text.find_first_of(" \n]", at) - at);
      EXPECT_TRUE(fs::exists(folder_.File(file))) << recipe << " names " << file;
    }
    EXPECT_GE(named, 4u) << recipe;
  }
}

}  // namespace
}  // namespace tierscope::testing

// tierscope reconcile and the phases.csv of a simulated run, as a user meets them: on a profile
// with made-up times that is sealed for this machine, so that nothing is calibrated here and no
// time is asserted.
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "simdjson.h"

#include "reports/phase_join.h"
#include "tests/testing/command.h"
#include "tests/testing/golden.h"
#include "tests/testing/made_up_profile.h"

namespace tierscope::testing {
namespace {

const std::string kScenario = std::string(TIERSCOPE_SOURCE_DIR) + "/scenarios/reconcile_cpu.txtpb";
const std::string kSuite = std::string(TIERSCOPE_SOURCE_DIR) + "/scenarios/reconcile_cpu.txt";

// One request of 8K tokens for a few steps: a fraction of a second on the CPU.
constexpr char kTiny[] =
    " --set workload.context_tokens=8192,workload.output_tokens=17,workload.concurrency=1"
    " --set workload.request_limit=1,workload.attention.steps=32"
    " --set workload.attention.profiles_per_context=1,policy.page_kmax=4 ";

class ReconcileVerbTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cache_ = new TempFolder();
    setenv("TIERSCOPE_CACHE", cache_->path().c_str(), 1);
  }
  static void TearDownTestSuite() { delete cache_; }

  std::string Profile() {
    return folder_.Write("profile.txtpb", ProfileText(MadeUpProfile(), "a test"));
  }
  std::string RunFolderOf(const std::string& verb, const std::string& sets) {
    const std::string out = folder_.File(absl::StrCat("run", ++runs_));
    const CommandOutput output =
        RunTierscope(absl::StrCat(verb, " ", kScenario, kTiny, "--set hardware.preset=", Profile(),
                                  ",engine.executed_ranks=1 ", sets, " --out ", out));
    EXPECT_EQ(output.exit_code, 0) << output.err;
    return out;
  }
  static void ExpectRefused(const std::string& arguments, const std::string& part) {
    const CommandOutput output = RunTierscope("reconcile " + arguments);
    EXPECT_EQ(output.exit_code, 2) << arguments << output.out;
    EXPECT_TRUE(absl::StrContains(output.err, part)) << output.err;
  }

  static TempFolder* cache_;
  TempFolder folder_;
  int runs_ = 0;
};
TempFolder* ReconcileVerbTest::cache_ = nullptr;

TEST_F(ReconcileVerbTest, PhasesOfASimulatedRunAddUp) {
  const std::string out = RunFolderOf("run --phases", "");
  const auto spans = ReadPhaseLog(out + "/phases.csv");
  ASSERT_TRUE(spans.ok()) << spans.status();
  const auto table = TabulatePhases(*spans, "phases.csv");
  ASSERT_TRUE(table.ok()) << table.status();
  ASSERT_EQ(table->steps.size(), 17u);
  std::map<int64_t, int64_t> begins;
  for (const PhaseSpan& span : *spans) {
    if (span.phase == Phase::kStep) begins[span.step] = span.begin_ns;
  }
  for (size_t i = 0; i < table->steps.size(); ++i) {
    int64_t parts = 0;
    for (int phase = 0; phase < kPhaseCount; ++phase) {
      const bool part = phase != 0 && IsOfStep(static_cast<Phase>(phase)) &&
                        static_cast<Phase>(phase) != Phase::kWriteback;
      if (part) parts += table->steps[i].ns[static_cast<size_t>(phase)];
    }
    const int64_t step_ns = table->steps[i].ns[0];
    EXPECT_NEAR(static_cast<double>(parts), static_cast<double>(step_ns), 10.0) << i;
    const auto number = static_cast<int64_t>(i);
    const int64_t begin = i == 0 ? 0 : begins[number - 1] + table->steps[i - 1].ns[0];
    EXPECT_EQ(begins[number], begin) << i;
  }
  // The first tick behind step 0, then every 8 steps while a later one follows.
  ASSERT_EQ(table->ticks.size(), 2u);
  EXPECT_EQ(table->ticks.at(0).launch_step, 0);
  EXPECT_EQ(table->ticks.at(0).publish_step, 1) << "synchronous";
  EXPECT_GT(table->ticks.at(0).pages_wanted, 0);
  EXPECT_GT(table->ticks.at(0).ns[static_cast<size_t>(Phase::kScore)], 0);
}

TEST_F(ReconcileVerbTest, JoinsASimulatedAndARealRun) {
  const std::string simulated = RunFolderOf("run --phases", "");
  const std::string measured = RunFolderOf("real --backend=cpu --mode=replay --repeats=2", "");
  const CommandOutput output = RunTierscope("reconcile " + simulated + " " + measured);
  EXPECT_EQ(output.exit_code, 1) << "made-up times cannot be within bounds\n" << output.err;
  EXPECT_TRUE(absl::StrContains(output.out, "step - ballast")) << output.out;
  EXPECT_TRUE(absl::StrContains(output.out, "BROKEN")) << output.out;
  EXPECT_TRUE(absl::StrContains(output.out, "measured 2 times")) << output.out;
  EXPECT_TRUE(absl::StrContains(output.out, "Outside the grid")) << output.out;
  EXPECT_FALSE(absl::StrContains(output.out, "  NO  ")) << "counts differ\n" << output.out;

  // The same folders the other way round, and a folder that is none.
  ExpectRefused(measured + " " + simulated, "a simulated one comes first");
  ExpectRefused(simulated + " " + folder_.path(), "result.json");

  // Another budget is another question.
  const std::string other = RunFolderOf("run --phases", "--set policy.page_kmax=5");
  ExpectRefused(other + " " + measured, "policy.page_kmax: the simulated run has '5'");
}

struct TrackEvents {
  std::set<std::string> tracks, spans;
  std::vector<std::string> intervals;
  std::map<std::string, std::string> arrows;  // points in order, by tick
};

// What a joined timeline holds of each process. Every point of an arrow stands at a span that
// begins there on its track.
std::map<std::string, TrackEvents> ReadJoined(const std::string& path) {
  simdjson::dom::parser parser;
  const simdjson::dom::element root = parser.load(path);
  std::map<int64_t, std::string> processes;
  std::map<std::string, TrackEvents> joined;
  std::set<std::string> places;
  const auto text = [](const simdjson::dom::element& value) {
    return std::string(std::string_view(value));
  };
  for (const simdjson::dom::element event : root["traceEvents"].get_array()) {
    const std::string kind = text(event["ph"]), name = text(event["name"]);
    const int64_t pid = event["pid"];
    if (name == "process_name") processes[pid] = text(event["args"]["name"]);
    TrackEvents& of = joined[processes[pid]];
    if (name == "thread_name") of.tracks.insert(text(event["args"]["name"]));
    if (kind == "M") continue;
    const double begin_us = event["ts"];
    const std::string place = absl::StrFormat("%d %d %.3f", pid, int64_t(event["tid"]), begin_us);
    if (kind == "X") {
      of.spans.insert(name);
      places.insert(place);
      of.intervals.push_back(
          absl::StrFormat("%s %d %d %.3f %.3f %d %d", name, int64_t(event["args"]["step"]),
                          int64_t(event["args"]["tick"]), begin_us, double(event["dur"]),
                          int64_t(event["args"]["bytes"]), int64_t(event["args"]["pages"])));
    } else {
      EXPECT_TRUE(places.contains(place)) << "an arrow that hangs in the air: " << place;
      of.arrows[text(event["id"])] += kind;
    }
  }
  return joined;
}

std::vector<std::string> IntervalsOf(const std::string& phases) {
  std::vector<std::string> intervals;
  const auto spans = ReadPhaseLog(phases);
  EXPECT_TRUE(spans.ok()) << spans.status();
  for (const PhaseSpan& span : *spans) {
    if (span.request >= 0) continue;
    intervals.push_back(
        absl::StrFormat("%s %d %d %.3f %.3f %d %d", PhaseName(span.phase), span.step, span.tick,
                        static_cast<double>(span.begin_ns) * 1e-3,
                        static_cast<double>(span.duration_ns) * 1e-3, span.bytes, span.pages));
  }
  return intervals;
}

// Both runs, what they come to, both sides in one timeline, and a report of the folder.
TEST_F(ReconcileVerbTest, LeavesAFolderThatIsLookedAt) {
  const std::string out = folder_.File("out");
  const CommandOutput output = RunTierscope(absl::StrCat(
      "reconcile ", kScenario, kTiny, "--backend=cpu --repeats=1 --format=json --profile ",
      Profile(), " --out ", out));
  EXPECT_EQ(output.exit_code, 1) << output.err;
  EXPECT_EQ(ReadFile(out + "/reconcile.json"), output.out);

  std::map<std::string, TrackEvents> joined = ReadJoined(out + "/timeline.json");
  ASSERT_EQ(joined.size(), 2u);
  const TrackEvents &simulated = joined["simulated"], &measured = joined["measured"];
  EXPECT_EQ(simulated.tracks, measured.tracks);
  EXPECT_EQ(simulated.tracks.size(), static_cast<size_t>(kPhaseCount));
  for (const char* name : {"step", "ballast", "score", "select", "recall", "publish"}) {
    EXPECT_TRUE(simulated.spans.contains(name) && measured.spans.contains(name)) << name;
  }
  EXPECT_EQ(simulated.intervals, IntervalsOf(out + "/simulated/phases.csv"));
  EXPECT_EQ(measured.intervals, IntervalsOf(out + "/measured/phases.csv"));
  EXPECT_EQ(simulated.arrows.size(), 2u);
  EXPECT_EQ(measured.arrows.size(), 2u);
  for (const auto& [tick, arrow] : simulated.arrows) EXPECT_EQ(arrow, "stf") << tick;
  for (const auto& [tick, arrow] : measured.arrows) EXPECT_EQ(arrow, "stf") << tick;

  // The measured run alone has its own, of the same spans.
  const auto alone = ReadJoined(out + "/measured/timeline.json");
  EXPECT_EQ(alone.at("measured").intervals, measured.intervals);

  const CommandOutput report = RunTierscope("report " + out + " --format=markdown --out -");
  ASSERT_EQ(report.exit_code, 0) << report.err;
  EXPECT_TRUE(absl::StrContains(report.out, ReadFile(out + "/reconcile.md"))) << report.out;
  EXPECT_EQ(RunTierscope("report " + out).exit_code, 0);
  EXPECT_TRUE(std::filesystem::exists(out + "/interactive.html") ||
              std::filesystem::exists(out + "/report.md"));
}

// Live the kernels decide; what they recorded, simulated, counts the same.
TEST_F(ReconcileVerbTest, ALiveRunIsPredictedFromWhatItRecorded) {
  const std::string out = folder_.File("live");
  const std::string arguments =
      absl::StrCat("reconcile ", kScenario, kTiny, "--backend=cpu --live --repeats=1 --profile ",
                   Profile(), " --format=json --out ", out);
  const CommandOutput output = RunTierscope(arguments);
  EXPECT_EQ(output.exit_code, 1) << output.err;  // the profile is made up
  simdjson::dom::parser parser;
  const simdjson::dom::element result = parser.parse(output.out);
  int64_t wanted = 0, counts = 0;
  for (const simdjson::dom::element count : result["counts"].get_array()) {
    counts += bool(count["must_match"]) ? 1 : 0;
    EXPECT_EQ(std::string_view(count["first_difference"]), "") << simdjson::to_string(count);
    EXPECT_EQ(double(count["simulated"]), double(count["measured"])) << simdjson::to_string(count);
    if (std::string_view(count["count"]) == "pages wanted, job by job") {
      wanted = static_cast<int64_t>(double(count["measured"]));
    }
  }
  EXPECT_GE(counts, 10);
  EXPECT_GT(wanted, 0);
  EXPECT_TRUE(absl::StrContains(ReadFile(out + "/measured/result.json"), "\"live\""));

  // Its folder again: the trace of before gives way. Another trace is another question.
  EXPECT_EQ(RunTierscope(arguments).exit_code, 1);
  const std::string other = RunFolderOf("run --phases", "");
  ExpectRefused(absl::StrCat(other, " ", out, "/measured"), "attention trace");
}

// A grid ranks its configurations; its folder is a report's input as well.
TEST_F(ReconcileVerbTest, AGridIsRankedAndShown) {
  const std::string out = folder_.File("grid");
  const CommandOutput output =
      RunTierscope(absl::StrCat("reconcile ", kScenario, kTiny,
                                "--set workload.output_tokens=10 --backend=cpu --repeats=1 "
                                "--grid 'policy.page_kmax=3,5' --profile ",
                                Profile(), " --out ", out));
  EXPECT_EQ(output.exit_code, 1) << output.err;
  const CommandOutput report = RunTierscope("report " + out + " --format=markdown --out -");
  ASSERT_EQ(report.exit_code, 0) << report.err;
  EXPECT_TRUE(absl::StrContains(report.out, ReadFile(out + "/summary.md"))) << report.out;
  EXPECT_TRUE(absl::StrContains(report.out, "Rank agreement over 2 configurations"));
}

TEST_F(ReconcileVerbTest, AProfileThatWasTouchedIsRefused) {
  const std::string text = ProfileText(MadeUpProfile(), "a test");
  const std::string path = folder_.Write(
      "touched.txtpb",
      absl::StrReplaceAll(text, {{"hbm_bytes: 8589934592", "hbm_bytes: 8589934593"}}));
  ExpectRefused(absl::StrCat(kScenario, kTiny, "--backend=cpu --profile ", path, " --out ",
                             folder_.File("out")),
                "not the digest of the hardware around it");
  EXPECT_FALSE(std::filesystem::exists(folder_.File("out/simulated")));
}

TEST_F(ReconcileVerbTest, AScenarioOnThePointsOfTheProfileIsRefused) {
  Hardware hardware = MadeUpProfile();
  OpTable* score = hardware.mutable_measured_ops()->mutable_tables(5);
  ASSERT_EQ(score->op(), OpTable::SCORE);
  score->set_x(0, 2048);   // 8,192 tokens
  score->set_batch(0, 1);  // of one request
  SealProfile("2026-01-01", &hardware);
  const std::string path = folder_.Write("on_grid.txtpb", ProfileText(hardware, "a test"));
  ExpectRefused(absl::StrCat(kScenario, kTiny, "--backend=cpu --profile ", path, " --out ",
                             folder_.File("out")),
                "SCORE at 2048, batch 1");
}

TEST_F(ReconcileVerbTest, WrongUsage) {
  ExpectRefused("a b --live", "--live: executes a scenario");
  ExpectRefused(kScenario + " --live", "--live: executes a scenario");
  ExpectRefused(absl::StrCat(kScenario, kTiny, "--backend=cpu --live --profile ", Profile(),
                             " --set workload.attention.trace=x.trace --out ", folder_.File("o")),
                "leave out one of them");
  ExpectRefused(kScenario, "or one scenario and --backend");
  ExpectRefused(kScenario + " --backend=abacus --out " + folder_.File("a"), "no backend 'abacus'");
  ExpectRefused(kScenario + " --backend=cpu --suite x --grid y=1", "give one of them");
  ExpectRefused(kScenario + " --backend=cpu --grid nothing", "is no axis");
  ExpectRefused(kScenario + " --format=xml", "--format");
  const std::string twice = folder_.Write("suite.txt", "# c\na b=1\na b=2\n");
  ExpectRefused(kScenario + " --backend=cpu --suite " + twice, "suite.txt:3: the name 'a'");
  const std::string bare = folder_.Write("bare.txt", "alone\n");
  ExpectRefused(kScenario + " --backend=cpu --suite " + bare, "bare.txt:1: a line is a name");
}

// Every line of the suite resolves and has its reserve, and none stands on the grid of calibrate.
TEST_F(ReconcileVerbTest, TheSuiteRuns) {
  std::ifstream suite(kSuite);
  std::string line;
  int scenarios = 0;
  while (std::getline(suite, line)) {
    if (line.empty() || line[0] == '#') continue;
    ++scenarios;
    const std::string sets = line.substr(line.rfind(' ') + 1);
    const CommandOutput output = RunTierscope(
        absl::StrCat("run ", kScenario, " --phases --set ", sets, ",hardware.preset=", Profile(),
                     ",engine.executed_ranks=1 --overwrite --out ", folder_.File("suite")));
    EXPECT_EQ(output.exit_code, 0) << line << output.err;
  }
  EXPECT_GE(scenarios, 12);
}

}  // namespace
}  // namespace tierscope::testing

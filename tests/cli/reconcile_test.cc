// tierscope reconcile and the phases.csv of a simulated run, as a user meets them: on a profile
// with made-up times that is sealed for this machine, so that nothing is calibrated here and no
// time is asserted.
#include <cmath>
#include <filesystem>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"

#include "calibration/device_profile.h"
#include "real/cpu_backend.h"
#include "reports/phase_join.h"
#include "tests/testing/command.h"

namespace tierscope::testing {
namespace {

const std::string kScenario = std::string(TIERSCOPE_SOURCE_DIR) + "/scenarios/reconcile_cpu.txtpb";
const std::string kSuite = std::string(TIERSCOPE_SOURCE_DIR) + "/scenarios/reconcile_cpu.txt";

// One request of 8K tokens for a few steps: a fraction of a second on the CPU.
constexpr char kTiny[] =
    " --set workload.context_tokens=8192,workload.output_tokens=17,workload.concurrency=1"
    " --set workload.request_limit=1,workload.attention.steps=32"
    " --set workload.attention.profiles_per_context=1,policy.page_kmax=4 ";

OpTable Table(OpTable::Op op, double us_each) {
  OpTable table;
  table.set_op(op);
  for (const double x : {10.0, 100000.0}) table.add_x(x);
  for (const double batch : {2.0, 64.0}) table.add_batch(batch);
  for (const double batch : {2.0, 64.0}) {
    for (const double x : {10.0, 100000.0}) table.add_us(us_each * x * batch);
  }
  return table;
}

Hardware MadeUpProfile() {
  Hardware hardware;
  hardware.set_gpu("made up");
  hardware.set_hbm_bytes(int64_t{8} << 30);
  hardware.set_hbm_bytes_per_s(10'000'000'000);
  hardware.set_fp8_flop_per_s(1e10);
  hardware.set_bf16_flop_per_s(1e10);
  hardware.mutable_host_link()->set_peak_bytes_per_s(5'000'000'000);
  hardware.mutable_host_link()->set_device_to_host_bytes_per_s(5'000'000'000);
  hardware.mutable_host_link()->set_gather_bytes_per_s(5'000'000'000);
  hardware.mutable_host_link()->set_gather_unaligned_factor(1);
  hardware.mutable_host_link()->set_pageable_bytes_per_s(5'000'000'000);
  hardware.mutable_host_link()->set_copy_submit_us(1);
  CopyPoint* copy = hardware.mutable_host_link()->add_batched_copy();
  copy->set_piece_bytes(1 << 17);
  copy->set_descriptors(1);
  copy->set_bytes_per_s(5'000'000'000);
  hardware.mutable_step_model()->set_base_ms(0);
  hardware.mutable_step_model()->set_per_request_ms(0);
  hardware.mutable_step_model()->set_memory_efficiency(1);
  hardware.mutable_step_model()->set_level1_launch_ms(0);
  MeasuredOps* ops = hardware.mutable_measured_ops();
  const auto backend = MakeCpuBackend({});
  ops->set_device(backend.ok() ? (*backend)->device().name : "");
  for (const OpTable::Op op :
       {OpTable::BALLAST, OpTable::NATIVE_SCORE, OpTable::NATIVE_TOP_K, OpTable::CSA_ATTENTION,
        OpTable::HCA_ATTENTION, OpTable::SCORE, OpTable::SELECT}) {
    *ops->add_tables() = Table(op, op == OpTable::BALLAST ? 100.0 : 1.0);
  }
  SealProfile("2026-01-01", &hardware);
  return hardware;
}

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

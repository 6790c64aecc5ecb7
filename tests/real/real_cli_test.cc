// `tierscope real` as a user runs it.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <sstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "reports/schema/phase_log.h"
#include "tests/testing/command.h"

namespace tierscope {
namespace {

using testing::CommandOutput;
using testing::RunTierscope;
using testing::TempFolder;

// The scenario of the folder, shrunk to a second.
std::string SmallReal(const std::string& more) {
  return absl::StrCat(
      "real ", TIERSCOPE_SOURCE_DIR,
      "/scenarios/cpu_small.txtpb --set workload.concurrency=1,workload.request_limit=1,"
      "workload.context_tokens=1024,workload.output_tokens=6,policy.tau_steps=4,"
      "workload.attention.tick_stride_steps=4,engine.warmup_windows=0,"
      "model.q_lora_rank=2,model.hidden_size=16,model.vocab_size=16 ",
      more);
}

std::string TextOf(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

TEST(RealCliTest, LeavesAFolderThatRunReadsBack) {
  const TempFolder folder;
  const std::string out = folder.File("out");
  const std::string trace = folder.File("r.trace");
  const CommandOutput run = RunTierscope(
      SmallReal(absl::StrCat("--repeats=2 --format=json --record ", trace, " --out ", out)));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_TRUE(absl::StrContains(run.out, "\"kind\": \"measured\""));
  EXPECT_TRUE(absl::StrContains(run.out, "\"executed_ranks\": 1"));
  for (const char* name : {"result.json", "host.json", "metrics.csv", "report.html"}) {
    EXPECT_TRUE(std::filesystem::exists(out + "/" + name)) << name;
  }
  const auto median = ReadPhaseLog(out + "/phases.csv");
  ASSERT_TRUE(median.ok()) << median.status();
  const std::string chosen = TextOf(out + "/phases.csv");
  EXPECT_TRUE(chosen == TextOf(out + "/phases-0.csv") || chosen == TextOf(out + "/phases-1.csv"));
  EXPECT_NE(TextOf(out + "/phases-0.csv"), TextOf(out + "/phases-1.csv"));
  // The simulator reads the recording at the scenario of the folder.
  const CommandOutput simulated = RunTierscope(
      absl::StrCat("run ", out, "/scenario.txtpb --set workload.attention.trace=", trace, " --out ",
                   folder.File("sim")));
  EXPECT_EQ(simulated.exit_code, 0) << simulated.err;
  // Overwriting leaves nothing of the run before.
  const CommandOutput again = RunTierscope(SmallReal(absl::StrCat("--overwrite --out ", out)));
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_FALSE(std::filesystem::exists(out + "/phases-0.csv"));
}

TEST(RealCliTest, ReplaysTheTraceOfTheScenario) {
  const TempFolder folder;
  const std::string trace = folder.File("r.trace");
  ASSERT_EQ(RunTierscope(SmallReal(absl::StrCat("--record ", trace, " --out ", folder.File("a"))))
                .exit_code,
            0);
  const CommandOutput replay = RunTierscope(SmallReal(absl::StrCat(
      "--set workload.attention.trace=", trace, " --format=json --out ", folder.File("b"))));
  ASSERT_EQ(replay.exit_code, 0) << replay.err;
  EXPECT_TRUE(absl::StrContains(replay.out, "\"mode\": \"replay\""));
  const CommandOutput longer = RunTierscope(
      SmallReal(absl::StrCat("--set workload.output_tokens=20,workload.attention.trace=", trace,
                             " --out ", folder.File("c"))));
  EXPECT_EQ(longer.exit_code, 2);
  EXPECT_TRUE(absl::StrContains(longer.err, "r.trace: its profile ends after 8 steps"))
      << longer.err;
  EXPECT_FALSE(std::filesystem::exists(folder.File("c"))) << "a refused run leaves no folder";
}

TEST(RealCliTest, RefusesInOneLine) {
  const TempFolder folder;
  const std::string out = absl::StrCat(" --out ", folder.File("out"));
  const struct {
    std::string arguments;
    const char* message;
  } cases[] = {
      {SmallReal("--backend=tpu"), "--backend: no backend 'tpu'; there are cpu, cuda"},
      {SmallReal("--mode=dream"), "--mode: no mode 'dream'; there are live, replay"},
      {SmallReal("--repeats=0"), "--repeats"},
      {SmallReal("--threads=2000"), "2000 threads for decode"},
      {SmallReal("--set policy.kind=recency"), "policy.kind RECENCY: the real mode executes LSA"},
      {SmallReal("--set workload.concurrency=1000,workload.request_limit=1000,"
                 "workload.context_tokens=1000000,policy.reserve_entries=704000"),
       "the run needs"},
      {SmallReal("--record /nowhere/r.trace"), "/nowhere/r.trace"},
  };
  for (const auto& [arguments, message] : cases) {
    const CommandOutput run = RunTierscope(arguments + out);
    EXPECT_EQ(run.exit_code, 2) << arguments;
    EXPECT_TRUE(absl::StrContains(run.err, message)) << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_FALSE(std::filesystem::exists(folder.File("out"))) << arguments;
  }
}

// In a build without CUDA, without a driver and without a device: each says what is missing and
// what to do, and leaves nothing behind.
TEST(RealCliTest, WithoutAGpuCudaSaysWhatIsMissing) {
  const TempFolder folder;
  const std::string out = folder.File("out");
  const std::string scenario = absl::StrCat(TIERSCOPE_SOURCE_DIR, "/scenarios/cpu_small.txtpb");
  for (const std::string& arguments :
       {absl::StrCat(SmallReal("--backend=cuda --out "), out),
        absl::StrCat("calibrate --backend=cuda --scenario ", scenario, " --out ", out),
        absl::StrCat("reconcile ", scenario, " --backend=cuda --profile ", TIERSCOPE_SOURCE_DIR,
                     "/reports/measured/xeon_2_threads/reconcile_cpu/profile.txtpb --out ", out)}) {
    const CommandOutput run = RunTierscope(arguments);
    if (run.exit_code == 0) GTEST_SKIP() << "a GPU is here";
    EXPECT_EQ(run.exit_code, 2) << arguments << run.err;
    const bool absent = absl::StrContains(run.err, "configure with -DTIERSCOPE_CUDA=ON");
    const bool no_gpu = absl::StrContains(run.err, "run on a machine with an NVIDIA GPU");
    EXPECT_TRUE(absent || no_gpu) << arguments << run.err;
    EXPECT_TRUE(absl::StrContains(run.err, "--backend=cpu")) << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_FALSE(std::filesystem::exists(out + "/result.json"));
    std::filesystem::remove_all(out);
  }
}

// What a run would take is known anywhere.
TEST(RealCliTest, APlanNeedsNoDevice) {
  const CommandOutput run = RunTierscope(
      absl::StrCat("real ", TIERSCOPE_SOURCE_DIR,
                   "/scenarios/reconcile_gpu.txtpb --backend=cuda --mode=live --plan"));
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_TRUE(absl::StrContains(run.out, "reconcile_gpu: live, 8 requests")) << run.out;
  EXPECT_TRUE(absl::StrContains(run.out, "cold pool")) << run.out;
  const CommandOutput refused = RunTierscope(SmallReal("--plan --set policy.kind=recency"));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_TRUE(absl::StrContains(refused.err, "policy.kind RECENCY: the real mode executes LSA"));
}

// A run that is interrupted ends by the signal, and nothing of it looks like a result.
TEST(RealCliTest, AnInterruptLeavesNothing) {
  const TempFolder folder;
  const std::string out = folder.File("out");
  const std::string err = folder.File("err");
  const std::string command =
      absl::StrCat("exec ", TIERSCOPE_BINARY, " ",
                   SmallReal(absl::StrCat("--repeats=1000 --out ", out)), " >/dev/null 2>", err);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  // It handles the signal from before its first pass on.
  while (!absl::StrContains(TextOf(err), "timed pass")) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, WNOHANG), 0) << TextOf(err);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  kill(child, SIGINT);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
  EXPECT_TRUE(absl::StrContains(TextOf(err), "interrupted; nothing is written"));
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace tierscope

// `tierscope real --backend=cuda` on the stand-in runtime: what a run that fails leaves behind.
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/match.h"
#include "cli/real.h"
#include "cli/verb.h"
#include "gtest/gtest.h"

#include "tests/real/cuda_world.h"
#include "tests/real/real_world.h"
#include "tests/testing/fake_cupti.h"
#include "tests/testing/simt_runtime.h"
#include "tests/testing/temp_folder.h"

namespace tierscope {
namespace {

using testing::TempFolder;

class CudaCliTest : public testing::CudaBackendTest {
 protected:
  // RunReal into out(); the exit code that the verb would have.
  int Run(bool trace = true) {
    cli::RealOptions options;
    options.scenario = std::string(TIERSCOPE_SOURCE_DIR) + "/scenarios/cpu_small.txtpb";
    options.sets = testing::SmallSets();
    options.sets.push_back(
        "workload.concurrency=1,workload.request_limit=1,workload.context_tokens=764,"
        "workload.output_tokens=5,policy.tau_steps=4,engine.warmup_windows=0");
    options.out = out();
    options.overwrite = true;
    options.quiet = true;
    options.trace = trace;
    options.backend.name = "cuda";
    options.backend.cuda = testing::SmallCudaOptions();
    const absl::Status status = RunReal(options, std::chrono::steady_clock::now());
    said_ = std::string(status.message());
    return cli::ExitCode(status);
  }

  std::string out() const { return folder_.File("out"); }
  bool LeftAnything() const { return std::filesystem::exists(out()); }
  std::string TextOf(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(out() + "/" + name, std::ios::binary).rdbuf();
    return text.str();
  }

  const TempFolder folder_;
  std::string said_;
};

TEST_F(CudaCliTest, ARecordWithHolesEndsWithOneLineAndNoFolder) {
  testing::TheCupti().records_until_drop = 100;
  EXPECT_EQ(Run(), 1);
  EXPECT_TRUE(absl::StrContains(said_, " records were dropped and 0 have no times")) << said_;
  EXPECT_TRUE(absl::StrContains(said_, "--no-trace")) << said_;
  EXPECT_FALSE(absl::StrContains(said_, "\n"));
  EXPECT_FALSE(LeftAnything());
  EXPECT_EQ(Run(/*trace=*/false), 0) << said_;
  EXPECT_FALSE(std::filesystem::exists(out() + "/activity.csv"));
  // A run before it stays as it was.
  const std::string before = TextOf("result.json");
  EXPECT_FALSE(before.empty());
  testing::TheCupti().records_until_drop = 100;
  EXPECT_EQ(Run(), 1);
  EXPECT_EQ(TextOf("result.json"), before);
  testing::TheCupti() = {};
  EXPECT_EQ(Run(), 0) << said_;
  EXPECT_TRUE(absl::StartsWith(TextOf("activity.csv"), "# ")) << TextOf("activity.csv");
  EXPECT_TRUE(absl::StrContains(TextOf("result.json"), " of them outside any phase"));
}

TEST_F(CudaCliTest, WithoutPermissionTheResultSaysWhy) {
  testing::TheCupti().permitted = false;
  EXPECT_EQ(Run(), 0) << said_;
  EXPECT_TRUE(absl::StrContains(TextOf("result.json"), "ERR_NVGPUCTRPERM"));
  EXPECT_FALSE(std::filesystem::exists(out() + "/activity.csv"));
}

TEST_F(CudaCliTest, NoMemoryEndsWithOneLineAndNoFolder) {
  const int64_t begin = simt::CountRuntime().calls;
  testing::SmallCudaBackend();
  const int64_t opened = simt::CountRuntime().calls - begin;
  EXPECT_EQ(Run(), 0) << said_;
  const int64_t after = simt::CountRuntime().calls - begin - 2 * opened;  // of content and passes
  EXPECT_GT(after, 500);
  std::filesystem::remove_all(out());
  // When the backend is opened, in the content, in the timed pass, in the last.
  for (const int64_t at : {int64_t{0}, opened + 20, opened + after / 3, opened + after * 9 / 10}) {
    simt::TheRuntime().calls_until_no_memory = at;
    EXPECT_EQ(Run(), 2) << at;
    EXPECT_LT(simt::TheRuntime().calls_until_no_memory, 0) << "the run was over before";
    EXPECT_TRUE(absl::StrContains(said_, "lower workload.concurrency")) << said_;
    EXPECT_FALSE(absl::StrContains(said_, "\n"));
    EXPECT_FALSE(LeftAnything()) << at;
  }
  EXPECT_EQ(Run(), 0) << said_;
}

TEST_F(CudaCliTest, WithoutADeviceItEndsWithOneLineAndNoFolder) {
  simt::TheRuntime().has_device = false;
  EXPECT_EQ(Run(), 2);
  EXPECT_TRUE(absl::StrContains(said_, "or with --backend=cpu")) << said_;
  EXPECT_FALSE(LeftAnything());
}

}  // namespace
}  // namespace tierscope

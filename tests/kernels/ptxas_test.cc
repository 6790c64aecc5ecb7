// What ptxas said when it compiled the kernels: every kernel for every device, and no register
// spilled to local memory.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

namespace tierscope::testing {
namespace {

struct Resources {
  int stack_bytes = -1;
  int spill_bytes = -1;
};
using Kernel = std::pair<std::string, std::string>;  // mangled name, architecture

// The first number after `before`; -1 when it is not there.
int NumberIn(absl::string_view line, absl::string_view after) {
  const size_t at = line.find(after);
  if (at == absl::string_view::npos) return -1;
  absl::string_view digits = line.substr(0, at);
  const size_t space = digits.find_last_of(" \t");
  if (space != absl::string_view::npos) digits = digits.substr(space + 1);
  int value = -1;
  return absl::SimpleAtoi(digits, &value) ? value : -1;
}

// "Compiling entry function 'NAME' for 'ARCH'", then "N bytes stack frame, N bytes spill stores,
// ...".
std::map<Kernel, Resources> Parse(const std::string& log) {
  std::map<Kernel, Resources> kernels;
  Kernel current;
  for (const absl::string_view line : absl::StrSplit(log, '\n')) {
    if (absl::StrContains(line, "Compiling entry function")) {
      const std::vector<std::string> parts = absl::StrSplit(line, '\'');
      if (parts.size() >= 4) kernels[current = {parts[1], parts[3]}];
    }
    if (absl::StrContains(line, " bytes spill stores") && !current.first.empty()) {
      kernels[current] = {
          NumberIn(line, " bytes stack frame"),
          NumberIn(line, " bytes spill stores") + NumberIn(line, " bytes spill loads")};
    }
  }
  return kernels;
}

std::map<Kernel, Resources> ReadLogs() {
  std::map<Kernel, Resources> all;
  // ptxas says so when it cannot keep matrix products of a warpgroup in flight, or does not obey
  // setmaxnreg.
  for (const auto& entry : std::filesystem::recursive_directory_iterator(TIERSCOPE_PTXAS_LOG_DIR)) {
    if (entry.path().extension() != ".log") continue;
    std::ifstream file(entry.path());
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    EXPECT_FALSE(absl::StrContains(text, "serialized")) << entry.path();
    EXPECT_FALSE(absl::StrContains(text, "setmaxnreg")) << entry.path();
    all.merge(Parse(text));
  }
  return all;
}

TEST(PtxasTest, ReadsTheLog) {
  const auto kernels = Parse(
      "ptxas info    : Compiling entry function '_Z1k' for 'sm_90a'\n"
      "ptxas info    : Function properties for _Z1k\n"
      "    24 bytes stack frame, 28 bytes spill stores, 32 bytes spill loads\n");
  ASSERT_EQ(kernels.size(), 1u);
  EXPECT_EQ(kernels.begin()->first, Kernel("_Z1k", "sm_90a"));
  EXPECT_EQ(kernels.begin()->second.stack_bytes, 24);
  EXPECT_EQ(kernels.begin()->second.spill_bytes, 60);
}

TEST(PtxasTest, NoKernelSpills) {
  if (std::string(TIERSCOPE_PTXAS_LOG_DIR).empty()) GTEST_SKIP() << "built without nvcc";
  const std::map<Kernel, Resources> kernels = ReadLogs();
  for (const auto& [kernel, resources] : kernels) {
    EXPECT_EQ(resources.spill_bytes, 0) << kernel.first << " for " << kernel.second;
    EXPECT_EQ(resources.stack_bytes, 0) << kernel.first << " for " << kernel.second;
  }
  const std::vector<std::string> architectures = absl::StrSplit(TIERSCOPE_CUDA_ARCHITECTURES, ',');
  for (const std::string& arch : architectures) {
    for (const char* name :
         {"ScoreKernelILi1ELi64E", "ScoreKernelILi3ELi128E", "HopperAttentionKernel",
          "HopperScoreKernelILi1E", "HopperScoreKernelILi3E", "SelectKernel", "TopKernel",
          "PageGatherKernel", "EntryGatherKernel", "AttentionKernel", "CombineKernel"}) {
      const auto is_it = [&](const auto& entry) {
        return absl::StrContains(entry.first.first, name) && entry.first.second == "sm_" + arch;
      };
      EXPECT_TRUE(std::any_of(kernels.begin(), kernels.end(), is_it)) << name << " for sm_" << arch;
    }
  }
}

}  // namespace
}  // namespace tierscope::testing

// What ptxas said when it compiled the kernels: every kernel for every device, and no register
// spilled to local memory.
#include <stdio.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
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

// What a shell command prints.
std::string OutputOf(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  std::string output;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.append(buffer, n);
  return pclose(pipe) == 0 ? output : "";
}

// The functions of a disassembly ("Function : NAME") that hold an instruction.
std::set<std::string> FunctionsWith(const std::string& sass, const std::string& instruction) {
  std::set<std::string> functions;
  std::string current;
  for (const absl::string_view line : absl::StrSplit(sass, '\n')) {
    const size_t at = line.find("Function : ");
    if (at != absl::string_view::npos) current = std::string(line.substr(at + 11));
    if (absl::StrContains(line, instruction)) functions.insert(current);
  }
  return functions;
}

TEST(SassTest, ReadsADisassembly) {
  const std::string sass =
      "\tFunction : _Za\n /*0*/ HMMA.16816 R1\n\tFunction : _Zb\n /*0*/ QGMMA.64x128x32 R1\n";
  EXPECT_EQ(FunctionsWith(sass, "GMMA"), std::set<std::string>{"_Zb"});
}

TEST(SassTest, HopperKernelsMultiplyByWarpgroup) {
  if (std::string(TIERSCOPE_PTXAS_LOG_DIR).empty()) GTEST_SKIP() << "built without nvcc";
  const std::string path = "PATH=$PATH:/usr/local/cuda/bin ";
  if (OutputOf(path + "sh -c 'command -v cuobjdump'").empty()) GTEST_SKIP() << "no cuobjdump";
  std::string sass;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(TIERSCOPE_PTXAS_LOG_DIR)) {
    const bool hopper = absl::StrContains(entry.path().string(), "_hopper.cu");
    if (hopper && entry.path().extension() == ".o") {
      sass += OutputOf(path + "cuobjdump --dump-sass -arch sm_90a " + entry.path().string());
    }
  }
  const std::set<std::string> functions = FunctionsWith(sass, "GMMA");
  for (const char* name :
       {"HopperAttentionKernel", "HopperScoreKernelILi1E", "HopperScoreKernelILi3E"}) {
    const auto is_it = [&](const std::string& f) { return absl::StrContains(f, name); };
    EXPECT_TRUE(std::any_of(functions.begin(), functions.end(), is_it)) << name;
  }
}

}  // namespace
}  // namespace tierscope::testing

// The cases on a GPU: gpu_main [--small] [SEED...]. Exits 77 where there is none, as ctest's mark
// of a skipped test, with the reason. Needs no test library, so that it builds where there is only
// CUDA and CMake.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/kernels/kernel_case.h"

int main(int argc, char** argv) {
  using tierscope::testing::CaseSize;
  if (const tierscope::KernelStatus status = tierscope::CheckDevice(); !status.ok()) {
    std::printf("skipped: %s\n", status.message);
    return 77;
  }
  CaseSize size = CaseSize::kLarge;
  std::vector<uint64_t> seeds;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--small") == 0) {
      size = CaseSize::kSmall;
    } else {
      seeds.push_back(std::strtoull(argv[i], nullptr, 10));
    }
  }
  if (seeds.empty()) seeds = {1, 2, 3};
  int failures = 0;
  for (const auto& test : tierscope::testing::KernelCases()) {
    for (const uint64_t seed : seeds) {
      const std::string problem = test.run(seed, size);
      std::printf("%-18s seed %-6llu %s\n", test.name, static_cast<unsigned long long>(seed),
                  problem.empty() ? "ok" : problem.c_str());
      std::fflush(stdout);
      failures += !problem.empty() && !tierscope::testing::WasSkipped(problem);
    }
  }
  std::printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}

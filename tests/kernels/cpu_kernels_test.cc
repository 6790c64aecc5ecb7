// The float versions on the CPU against the double references, by the cases of the kernels.
#include "gtest/gtest.h"

#include "tests/kernels/kernel_case.h"

namespace tierscope::testing {
namespace {

class CpuKernelTest : public ::testing::TestWithParam<KernelCase> {};

TEST_P(CpuKernelTest, EqualsItsReference) {
  for (const uint64_t seed : {1, 2, 3, 4, 5}) {
    const std::string problem = GetParam().run(seed, CaseSize::kSmall);
    // Hopper's own versions have no other on the CPU.
    const bool hopper = std::string(GetParam().name).find("Hopper") != std::string::npos;
    EXPECT_EQ(WasSkipped(problem), hopper);
    EXPECT_TRUE(hopper || problem.empty()) << problem;
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, CpuKernelTest, ::testing::ValuesIn(KernelCases()),
                         [](const auto& entry) { return entry.param.name; });

}  // namespace
}  // namespace tierscope::testing

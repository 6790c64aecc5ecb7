// The float versions on the CPU against the double references, by the cases of the kernels.
#include "gtest/gtest.h"

#include "tests/kernels/kernel_case.h"

namespace tierscope::testing {
namespace {

class CpuKernelTest : public ::testing::TestWithParam<KernelCase> {};

TEST_P(CpuKernelTest, EqualsItsReference) {
  for (const uint64_t seed : {1, 2, 3, 4, 5}) {
    const std::string problem = GetParam().run(seed, CaseSize::kSmall);
    if (WasSkipped(problem)) GTEST_SKIP() << problem;
    EXPECT_EQ(problem, "");
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, CpuKernelTest, ::testing::ValuesIn(KernelCases()),
                         [](const auto& entry) { return entry.param.name; });

}  // namespace
}  // namespace tierscope::testing

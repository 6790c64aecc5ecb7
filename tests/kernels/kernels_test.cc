// Every kernel under the SIMT machine: equal to its reference, nothing outside its memory, nothing
// read before it is written, no race, and no barrier that could go unnoticed if it were missing.
#include "gtest/gtest.h"

#include "tests/kernels/kernel_case.h"
#include "tests/testing/simt.h"
#include "tests/testing/simt_runtime.h"

namespace tierscope::testing {
namespace {

std::string Lines(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

class KernelTest : public ::testing::TestWithParam<KernelCase> {
 protected:
  ~KernelTest() override {
    simt::MachineOptions() = {};
    simt::TakeViolations();
    simt::TakeBarrierSites();
  }
};

TEST_P(KernelTest, EqualsItsReference) {
  for (const uint64_t seed : {1, 2}) {
    simt::MachineOptions().seed = seed;
    EXPECT_EQ(GetParam().run(seed, CaseSize::kSmall), "");
    EXPECT_EQ(Lines(simt::TakeViolations()), "");
  }
}

TEST_P(KernelTest, MissesEveryBarrierThatIsTakenOut) {
  simt::MachineOptions().sm_count = 1;  // one block does it all, again and again
  GetParam().run(3, CaseSize::kSmall);
  const std::set<simt::Site> sites = simt::TakeBarrierSites();
  // Copies and gathers have none to take out.
  const std::string name = GetParam().name;
  EXPECT_EQ(sites.empty(), name == "PageCopy" || name == "PageGather" || name == "EntryGather");
  for (const simt::Site& site : sites) {
    simt::MachineOptions().skipped_barrier = site;
    simt::TakeViolations();
    GetParam().run(3, CaseSize::kSmall);
    simt::RecoverContext();
    EXPECT_NE(Lines(simt::TakeViolations()), "") << site.first << ":" << site.second;
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, KernelTest, ::testing::ValuesIn(KernelCases()),
                         [](const auto& entry) { return entry.param.name; });

}  // namespace
}  // namespace tierscope::testing

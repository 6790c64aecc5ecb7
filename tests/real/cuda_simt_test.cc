// The CUDA backend with the project's own kernels under the SIMT machine: what it really launches,
// with the parameters of a real step and job. As small as a run can be: the machine does about a
// million products a second. Evidence of logic, never of speed.
#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "kernels/fp8.h"
#include "real/executor.h"
#include "tests/real/backend_contract.h"
#include "tests/real/cuda_world.h"
#include "tests/real/real_world.h"
#include "tests/testing/simt.h"
#include "tests/testing/simt_runtime.h"

namespace tierscope {
namespace {

using testing::DecidedIn;
using testing::SmallCudaBackend;
using testing::WhatWentWrong;

TEST(CudaSimtTest, RecallsWithTheGatherKernel) {
  testing::CheckAKernelsRefusalIsAnError(*SmallCudaBackend());
  testing::CheckSequencesReadWhatIsThere(*SmallCudaBackend());
  {
    constexpr int64_t kPage = 37376;
    const auto backend = SmallCudaBackend();
    uint8_t* cold = backend->Allocate("cold", Arena::kHost, 4 * kPage).value();
    uint8_t* reserve = backend->Allocate("reserve", Arena::kDevice, 3 * kPage).value();
    for (int64_t i = 0; i < 4 * kPage; ++i) cold[i] = static_cast<uint8_t>(i / kPage * 50 + i % 47);
    for (const RecallPath path : {RecallPath::kGatherKernel, RecallPath::kStaged}) {
      const std::vector<PageMove> moves = {{3, 0}, {1, 2}};
      ASSERT_TRUE(
          backend->Recall(Stream::kSideBand, {{cold, reserve, kPage, 4, 3}, moves, path}).ok());
      const auto got = testing::BytesAt(*backend, Stream::kSideBand, reserve, 3 * kPage);
      EXPECT_TRUE(std::equal(got.begin(), got.begin() + kPage, cold + 3 * kPage));
      EXPECT_TRUE(std::equal(got.begin() + 2 * kPage, got.end(), cold + kPage));
    }
  }
  EXPECT_EQ(WhatWentWrong(), "");
}

// One request with 64 entries and one page: step 0, its tick, and steps that attend to what was
// recalled. Decisions as on the CPU; attention within the rounding of bf16.
TEST(CudaSimtTest, ATinyRunDecidesAsTheCpuBackendDoes) {
  const Scenario scenario = testing::SmallScenario(
      {"workload.concurrency=1,workload.request_limit=1,workload.context_tokens=250",
       "workload.output_tokens=3,policy.page_kmax=1,policy.reserve_entries=384",
       "engine.warmup_windows=0,model.hca_layers=0,model.swa_layers=0"});
  const ExecutionPlan plan = testing::SmallPlan(scenario);
  using Outputs = std::map<std::pair<int64_t, int32_t>, std::vector<uint16_t>>;
  const auto run_on = [&](Backend& backend, Outputs* outputs) {
    ExecutorOptions options;
    options.poison = true;
    options.inspector = [&](const CsaLayerView& view) {
      (*outputs)[{view.batch_step, view.layer}].assign(
          view.attention->out, view.attention->out + kAttentionHeads * kKvDim);
    };
    return DecidedIn(testing::RunOnceOn(backend, plan, options));
  };
  Outputs expected, got;
  const testing::Decided on_cpu = run_on(*testing::SmallCpuBackend(), &expected);
  const testing::Decided on_cuda = run_on(*SmallCudaBackend(), &got);
  EXPECT_EQ(on_cuda, on_cpu);
  EXPECT_EQ(on_cpu.lists.size(), 1u);
  EXPECT_EQ(on_cpu.recalled, std::vector<int64_t>{1});
  ASSERT_EQ(got.size(), expected.size());
  for (const auto& [place, values] : expected) {
    const std::vector<uint16_t>& mine = got.at(place);
    for (size_t i = 0; i < values.size(); ++i) {
      const float want = Bf16ToFloat(values[i]);
      ASSERT_NEAR(Bf16ToFloat(mine[i]), want, 0.02f * (1 + std::abs(want)))
          << "step " << place.first << " layer " << place.second;
    }
  }
  EXPECT_EQ(WhatWentWrong(), "");
}

}  // namespace
}  // namespace tierscope

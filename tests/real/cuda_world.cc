#include "tests/real/cuda_world.h"

#include "absl/strings/str_cat.h"

#include "sim/base/check.h"
#include "tests/real/real_world.h"
#include "tests/testing/fake_cupti.h"
#include "tests/testing/simt.h"
#include "tests/testing/simt_runtime.h"

namespace tierscope::testing {

CudaBackendOptions SmallCudaOptions() {
  CudaBackendOptions options;
  options.pinned_bytes_max = int64_t{40} << 20;
  options.staging_bytes = 256 << 10;
  options.products_workspace_bytes = 4096;
  return options;
}

std::unique_ptr<Backend> SmallCudaBackend() {
  absl::StatusOr<std::unique_ptr<Backend>> backend = MakeCudaBackend(SmallCudaOptions());
  TIERSCOPE_CHECK(backend.ok());
  return *std::move(backend);
}

std::unique_ptr<Backend> SmallBackend() { return SmallCudaBackend(); }

std::string WhatWentWrong() {
  std::string text;
  for (const std::string& line : simt::TakeViolations()) absl::StrAppend(&text, line, "\n");
  const simt::RuntimeCounts counts = simt::CountRuntime();
  if (counts.allocations != 0 || counts.streams != 0 || counts.events != 0 || counts.graphs != 0) {
    absl::StrAppend(&text, "left behind: ", counts.allocations, " allocations, ", counts.streams,
                    " streams, ", counts.events, " events, ", counts.graphs, " graphs\n");
  }
  return text;
}

Scenario ShortScenario(const std::string& sets) {
  return SmallScenario({"workload.output_tokens=10", sets});
}

CudaBackendTest::~CudaBackendTest() {
  EXPECT_EQ(WhatWentWrong(), "");
  simt::ResetRuntime();
  simt::MachineOptions() = {};
  TheCupti() = {};
}

}  // namespace tierscope::testing

// The CUDA backend on the stand-in runtime where something fails: kernels, memory, interrupts,
// records of activity. Every test ends with everything given back (cuda_world.h).
#include <atomic>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "real/executor.h"
#include "real/measure.h"
#include "tests/real/cuda_world.h"
#include "tests/real/real_world.h"
#include "tests/testing/fake_cupti.h"
#include "tests/testing/simt_runtime.h"

namespace tierscope {
namespace {

using testing::CudaBackendTest;
using testing::DecidedIn;
using testing::RunOnceOn;
using testing::ShortScenario;
using testing::SmallCudaBackend;
using testing::SmallPlan;
using testing::WhatWentWrong;

class CudaFaultsTest : public CudaBackendTest {};

// Whichever op fails, on whichever stream: the pass ends with the device's error, every later call
// answers the same, and all is given back.
TEST_F(CudaFaultsTest, AKernelThatFailsEndsTheRun) {
  const ExecutionPlan plan = SmallPlan(ShortScenario());
  const auto backend = SmallCudaBackend();
  const int64_t before = simt::CountRuntime().ops;
  RunOnceOn(*backend, plan, {});
  const int64_t ops = simt::CountRuntime().ops - before;
  EXPECT_GT(ops, 10 * 20);
  for (int64_t at = 0; at < ops; at += 1 + ops / 6) {
    const auto doomed = SmallCudaBackend();
    simt::TheRuntime().ops_until_fault = at;
    const auto executor = Executor::Make(plan, *doomed, {});
    absl::Status status = executor.status();
    if (executor.ok()) status = (*executor)->RunPass(at % 2 == 0).status();
    EXPECT_TRUE(absl::IsInternal(status)) << at << ": " << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "cudaError700")) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "context is lost")) << status;
    EXPECT_EQ(doomed->Synchronize(Stream::kDecode).code(), absl::StatusCode::kInternal);
    simt::ResetRuntime();
  }
}

TEST_F(CudaFaultsTest, AnInterruptedRunGivesEverythingBack) {
  for (const char* sets : {"policy.level1=SYNC", "policy.level1=ASYNC"}) {
    std::atomic<bool> cancelled{false};
    MeasureOptions options;
    options.cancelled = &cancelled;
    options.repeats = 1000;
    options.progress = [&](const std::string& line) {
      if (absl::StartsWith(line, "timed pass 2")) cancelled = true;
    };
    const auto backend = SmallCudaBackend();
    const absl::Status status = Measure(ShortScenario(sets), *backend, options).status();
    EXPECT_TRUE(absl::IsCancelled(status)) << status;
  }
}

// A run that finds no memory at its `at`th call, from the loading of its content on.
absl::Status WithoutMemoryAt(const ExecutionPlan& plan, int64_t at) {
  const auto backend = SmallCudaBackend();
  simt::TheRuntime().calls_until_no_memory = at;
  const auto executor = Executor::Make(plan, *backend, {});
  if (!executor.ok()) return executor.status();
  const absl::Status status = (*executor)->RunPass(/*profiled=*/true).status();
  // The stream that failed, and the other, answer so from there on; an allocation is of no stream.
  if (!absl::StrContains(status.message(), "bytes of device memory beside")) {
    EXPECT_EQ(backend->Synchronize(Stream::kDecode), status);
    EXPECT_EQ(backend->Synchronize(Stream::kSideBand), status);
  }
  return status;
}

int64_t CallsOfARun(const ExecutionPlan& plan) {
  const auto backend = SmallCudaBackend();
  const int64_t before = simt::CountRuntime().calls;
  RunOnceOn(*backend, plan, {});
  return simt::CountRuntime().calls - before;
}

// As few calls as a run with every op has: one request, three pages of which the last is sealed
// after its fourth step, a tick behind step 0.
ExecutionPlan TinyPlan(const std::string& sets) {
  return SmallPlan(testing::SmallScenario(
      {"workload.concurrency=1,workload.request_limit=1,workload.context_tokens=764",
       "workload.output_tokens=5,policy.tau_steps=4,engine.warmup_windows=0", sets}));
}

// Whichever call finds no memory: the run ends and says which op it was and what to do, all is
// given back, and the context serves the next run.
TEST_F(CudaFaultsTest, NoMemoryInTheMiddleEndsTheRunAndNotTheContext) {
  std::set<std::string> ops;
  int64_t begin = 0;
  for (const char* path : {"COPY_ENGINE", "STAGED", "GATHER_KERNEL"}) {
    const ExecutionPlan plan = TinyPlan(absl::StrCat("policy.recall_path=", path));
    const int64_t calls = CallsOfARun(plan);
    EXPECT_GT(calls, 200);
    for (int64_t at = begin++; at < calls; at += calls / 8) {
      const absl::Status status = WithoutMemoryAt(plan, at);
      EXPECT_TRUE(absl::IsResourceExhausted(status)) << at << ": " << status;
      EXPECT_TRUE(absl::StrContains(status.message(), "lower workload.concurrency")) << status;
      EXPECT_EQ(WhatWentWrong(), "") << at << ": " << status;
      ops.insert(std::string(status.message().substr(0, status.message().find(':'))));
    }
    EXPECT_EQ(simt::TheRuntime().calls_until_no_memory, -1);
    EXPECT_EQ(DecidedIn(RunOnceOn(*SmallCudaBackend(), plan, {})),
              DecidedIn(RunOnceOn(*testing::SmallCpuBackend(), plan, {})));
  }
  EXPECT_GT(ops.size(), 6u) << "each by its name";
}

// Every call of a sequence that is captured, played and played again. A mark fails when its stream
// is waited for, as nobody looks at it before.
TEST_F(CudaFaultsTest, NoMemoryInASequenceNamesTheCall) {
  std::vector<std::string> ops;
  for (int64_t at = 0;; ++at) {
    const auto backend = SmallCudaBackend();
    const GemmShape shape{3, 7, 5, 4};
    const int32_t ballast = backend->MakeBallast("weights", {&shape, 1}).value();
    simt::TheRuntime().calls_until_no_memory = at;
    absl::Status status;
    for (int play = 0; play < 2 && status.ok(); ++play) {
      const absl::StatusOr<bool> recording = backend->BeginSequence(Stream::kDecode, 1);
      status = recording.status();
      if (recording.ok() && *recording) {
        backend->Mark(Stream::kDecode);
        status = backend->Ballast(Stream::kDecode, ballast, {&shape, 1});
      }
      status.Update(backend->EndSequence(Stream::kDecode));
      status.Update(backend->Synchronize(Stream::kDecode));
    }
    if (simt::TheRuntime().calls_until_no_memory >= 0) {
      EXPECT_TRUE(status.ok()) << status;
      break;
    }
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << at << ": " << status;
    EXPECT_EQ(backend->Synchronize(Stream::kSideBand), status);
    ops.push_back(std::string(status.message().substr(0, status.message().find(':'))));
  }
  EXPECT_EQ(ops,
            (std::vector<std::string>{"capture", "marks", "mark", "cuBLAS", "graph of a sequence",
                                      "graph launch", "anchor", "graph launch", "anchor"}));
  simt::TheRuntime().calls_until_no_memory = -1;
}

// Beside a job of the other thread, whichever of the two it hits.
TEST_F(CudaFaultsTest, NoMemoryBesideAJobEndsTheRun) {
  const ExecutionPlan plan = TinyPlan("policy.level1=ASYNC");
  const int64_t calls = CallsOfARun(plan) * 9 / 10;  // how many there are hangs on time
  for (int64_t at = calls / 2; at < calls; at += calls / 24) {
    const absl::Status status = WithoutMemoryAt(plan, at);
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << at << ": " << status;
    EXPECT_EQ(WhatWentWrong(), "") << at << ": " << status;
  }
}

TEST_F(CudaFaultsTest, NoMemoryForAProductNamesItsShape) {
  const auto backend = SmallCudaBackend();
  const GemmShape shape{3, 7, 5, 4};
  const int32_t ballast = backend->MakeBallast("weights", {&shape, 1}).value();
  ASSERT_TRUE(backend->Synchronize(Stream::kDecode).ok());
  simt::TheRuntime().calls_until_no_memory = 0;
  const absl::Status status = backend->Ballast(Stream::kDecode, ballast, {&shape, 1});
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_TRUE(absl::StartsWith(status.message(),
                               "cuBLAS: product of 4 x [3, 5] by [5, 7]: status 3: "
                               "CUBLAS_STATUS_ALLOC_FAILED: out of memory; "))
      << status;
}

TEST_F(CudaFaultsTest, NoPinnedMemorySaysWhatLimitsIt) {
  const auto backend = SmallCudaBackend();
  simt::TheRuntime().calls_until_no_memory = 0;
  const absl::Status status = backend->Allocate("cold pool", Arena::kHost, 1000).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  for (const char* what : {"cold pool: 1000 bytes cannot be pinned beside 524288", "--pinned-gib",
                           "RLIMIT_MEMLOCK (ulimit -l: ", "MemAvailable"}) {
    EXPECT_TRUE(absl::StrContains(status.message(), what)) << what << ": " << status;
  }
  EXPECT_TRUE(backend->Allocate("cold pool", Arena::kHost, 1000).ok());
}

// An allocation on a device whose context is lost is not short of memory.
TEST_F(CudaFaultsTest, ALostContextIsNotTakenForFullMemory) {
  const auto backend = SmallCudaBackend();
  uint8_t* there = backend->Allocate("there", Arena::kDevice, 1000).value();
  const std::vector<uint8_t> bytes(1000);
  simt::TheRuntime().ops_until_fault = 0;
  static_cast<void>(backend->Copy(Stream::kDecode, there, bytes.data(), 1000));
  EXPECT_FALSE(backend->Synchronize(Stream::kDecode).ok());
  for (const Arena arena : {Arena::kDevice, Arena::kHost}) {
    const absl::Status status = backend->Allocate("more", arena, 1000).status();
    EXPECT_TRUE(absl::IsInternal(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "context is lost")) << status;
  }
}

// --- Records of activity with holes.

TEST_F(CudaFaultsTest, ARecordWithHolesFailsTheRun) {
  const std::pair<std::function<void(testing::CuptiOptions&)>, const char*> cases[] = {
      {[](auto& cupti) { cupti.records_until_drop = 100; }, " records were dropped and 0 have no"},
      {[](auto& cupti) { cupti.records_until_untimed = 50; },
       ": 0 records were dropped and 1 have"},
      {[](auto& cupti) { cupti.links = false; }, "records belongs to a phase"},
  };
  for (const auto& [break_it, says] : cases) {
    testing::TheCupti() = {};
    break_it(testing::TheCupti());
    MeasureOptions options;
    options.trace = true;
    const auto backend = SmallCudaBackend();
    const absl::Status status =
        Measure(TinyPlan("policy.level1=SYNC").scenario, *backend, options).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), says)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "--no-trace")) << status;
  }
}

}  // namespace
}  // namespace tierscope

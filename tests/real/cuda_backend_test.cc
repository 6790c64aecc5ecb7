// The CUDA backend on the stand-in runtime with the CPU versions of the kernels: order of streams,
// graphs, memory, errors, activity. Evidence of logic, never of speed.
#include "real/cuda_backend.h"

#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "real/executor.h"
#include "real/measure.h"
#include "tests/real/backend_contract.h"
#include "tests/real/cuda_world.h"
#include "tests/real/real_world.h"
#include "tests/testing/fake_cupti.h"
#include "tests/testing/simt.h"
#include "tests/testing/simt_runtime.h"

namespace tierscope {
namespace {

using testing::CudaBackendTest;
using testing::DecidedIn;
using testing::RunOnceOn;
using testing::ShortScenario;
using testing::SmallCudaBackend;
using testing::SmallCudaOptions;
using testing::SmallPlan;
using testing::SmallScenario;

PassRecord OnCpu(const ExecutionPlan& plan, const ExecutorOptions& options) {
  return RunOnceOn(*testing::SmallCpuBackend(), plan, options);
}

TEST_F(CudaBackendTest, KeepsTheContract) {
  testing::CheckBackendContract(SmallCudaBackend);
  EXPECT_GT(simt::CountRuntime().graphs_made, 0);
}

TEST_F(CudaBackendTest, KeepsTheContractWithoutGraphs) {
  testing::CheckBackendContract([] {
    CudaBackendOptions options = SmallCudaOptions();
    options.graphs = false;
    return MakeCudaBackend(options).value();
  });
  EXPECT_EQ(simt::CountRuntime().graphs_made, 0);
}

// Nothing may hang on when the device runs what was queued.
TEST_F(CudaBackendTest, KeepsTheContractOnADeviceThatWaitsForTheHost) {
  simt::TheRuntime().eager_at_random = false;
  testing::CheckBackendContract(SmallCudaBackend);
}

TEST_F(CudaBackendTest, ProductsAreThoseOfTheirDefinition) {
  const auto backend = SmallCudaBackend();
  const GemmShape shape{3, 7, 5, 4};
  const int32_t ballast = backend->MakeBallast("weights", {&shape, 1}).value();
  // cuBLAS's stand-in reads and writes by the leading dimensions that it is given, and reports what
  // lies outside of any allocation; smaller batches use the same weights.
  for (const int64_t rows : {3, 1}) {
    const GemmShape smaller{rows, 7, 5, 4};
    EXPECT_TRUE(backend->Ballast(Stream::kDecode, ballast, {&smaller, 1}).ok());
  }
  EXPECT_TRUE(backend->Synchronize(Stream::kDecode).ok());
  EXPECT_EQ(backend->footprint().back().name, "activations");
}

TEST_F(CudaBackendTest, DescribesTheDevice) {
  const auto backend = SmallCudaBackend();
  const DeviceDescription& device = backend->device();
  EXPECT_EQ(device.backend, "cuda");
  EXPECT_EQ(device.name, "SIMT machine");
  EXPECT_EQ(device.core_count, 3);
  EXPECT_EQ(device.memory_bytes, int64_t{48} << 20);
  EXPECT_EQ(device.device_bytes_free, int64_t{48} << 20);
  EXPECT_EQ(device.software, "driver of unknown version for CUDA 13.0, runtime 13.0, cuBLAS 13.1");
  EXPECT_TRUE(absl::StartsWith(backend->DeviceState(), "not known: NVML: none of "));
  // The device's account and ours agree on a machine that rounds nothing.
  const std::vector<NamedMemory> beside = backend->footprint_beside();
  ASSERT_EQ(beside.size(), 2u);
  EXPECT_EQ(beside[0].bytes, 0);
  EXPECT_EQ(beside[1].bytes, 0);
}

TEST_F(CudaBackendTest, SaysWhatIsMissing) {
  simt::TheRuntime().has_device = false;
  absl::Status status = MakeCudaBackend(SmallCudaOptions()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_TRUE(absl::StrContains(status.message(), "no CUDA-capable device is detected; run on a"))
      << status;
  simt::TheRuntime().has_driver = false;
  status = MakeCudaBackend(SmallCudaOptions()).status();
  EXPECT_TRUE(absl::StrContains(status.message(), "CUDA driver version is insufficient")) << status;
  simt::TheRuntime() = {};
  simt::MachineOptions().capability = 75;
  status = MakeCudaBackend(SmallCudaOptions()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_TRUE(absl::StrContains(status.message(), "compute capability 7.5, the kernels need 8.0"));
}

TEST_F(CudaBackendTest, RefusesWhatDoesNotFit) {
  const auto backend = SmallCudaBackend();
  absl::Status status = backend->Allocate("reserve", Arena::kDevice, int64_t{48} << 20).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_TRUE(absl::StrContains(status.message(), "reserve: 50331648 bytes of device memory"));
  EXPECT_TRUE(absl::StrContains(status.message(), "lower workload.concurrency")) << status;
  status = backend->Allocate("cold pool", Arena::kHost, int64_t{40} << 20).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_TRUE(absl::StrContains(status.message(), "raise --pinned-gib")) << status;
  simt::TheRuntime().pinned_bytes = 1 << 20;
  status = backend->Allocate("cold pool", Arena::kHost, 2 << 20).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_TRUE(absl::StrContains(status.message(), "cannot be pinned beside 524288")) << status;
  // Nothing is broken by it.
  EXPECT_TRUE(backend->Allocate("small", Arena::kDevice, 1000).ok());
  EXPECT_TRUE(backend->Synchronize(Stream::kDecode).ok());
}

TEST_F(CudaBackendTest, RunsOutOfMemoryBeforeItExecutesAnything) {
  simt::TheRuntime().device_bytes = 3 << 20;
  const auto backend = SmallCudaBackend();
  const absl::Status status = Measure(SmallScenario(), *backend, MeasureOptions()).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_TRUE(absl::StrContains(status.message(), "GiB of device memory and")) << status;
}

// Recalls, misses, evictions, writebacks, active sets: all as on the CPU, whichever way a recall
// takes, with steps as graphs and without.
TEST_F(CudaBackendTest, DecidesAndMovesWhatTheCpuBackendDoes) {
  for (const char* sets : {"policy.recall_path=COPY_ENGINE", "policy.recall_path=STAGED",
                           "policy.recall_path=GATHER_KERNEL,policy.threshold=0.3"}) {
    // Page 7 is sealed in the fourth step.
    const ExecutionPlan plan =
        SmallPlan(ShortScenario(absl::StrCat("workload.context_tokens=2044,", sets)));
    const testing::Decided expected = DecidedIn(OnCpu(plan, {}));
    EXPECT_GE(expected.lists.size(), 4u);
    EXPECT_EQ(expected.writebacks.size(), 2u);
    const auto backend = SmallCudaBackend();
    EXPECT_EQ(DecidedIn(RunOnceOn(*backend, plan, {})), expected) << sets;
    if (plan.scenario.policy().recall_path() != Policy::COPY_ENGINE) continue;
    CudaBackendOptions eager = SmallCudaOptions();
    eager.graphs = false;
    const auto other = MakeCudaBackend(eager).value();
    EXPECT_EQ(DecidedIn(RunOnceOn(*other, plan, {})), expected) << sets;
  }
}

TEST_F(CudaBackendTest, ReplaysForcedListsAsTheCpuBackendDoes) {
  const WindowDemand demand = testing::ChurningDemand();
  const ExecutionPlan plan = SmallPlan(SmallScenario(), RealMode::kReplay, &demand);
  ExecutorOptions options;
  options.demand = &demand;
  const testing::Decided expected = DecidedIn(OnCpu(plan, options));
  int64_t evicted = 0;
  for (const int64_t pages : expected.evicted) evicted += pages;
  EXPECT_GT(evicted, 3);
  const auto backend = SmallCudaBackend();
  EXPECT_EQ(DecidedIn(RunOnceOn(*backend, plan, options)), expected);
}

// What attention really read and gave, layer by layer, with poison wherever nothing may read.
TEST_F(CudaBackendTest, AttentionGivesWhatItGivesOnTheCpu) {
  const WindowDemand demand = testing::ChurningDemand();
  for (const char* sets :
       {"policy.level1=SYNC", "policy.recall_path=STAGED", "policy.recall_path=GATHER_KERNEL"}) {
    const ExecutionPlan plan = SmallPlan(ShortScenario(sets), RealMode::kReplay, &demand);
    const auto outputs_on = [&](Backend& backend) {
      std::map<std::pair<int64_t, int32_t>, std::vector<uint16_t>> outputs;
      ExecutorOptions options;
      options.demand = &demand;
      options.poison = true;
      options.inspector = [&](const CsaLayerView& view) {
        const size_t count = view.rows.size() * kAttentionHeads * kKvDim;
        outputs[{view.batch_step, view.layer}].assign(view.attention->out,
                                                      view.attention->out + count);
      };
      RunOnceOn(backend, plan, options);
      return outputs;
    };
    const auto expected = outputs_on(*testing::SmallCpuBackend());
    EXPECT_EQ(expected.size(), 10u * 3u);
    EXPECT_TRUE(outputs_on(*SmallCudaBackend()) == expected) << sets;
  }
}

// One graph a size of batch, with and without marks; every later step is one launch.
TEST_F(CudaBackendTest, StepsAreGraphs) {
  const ExecutionPlan plan = SmallPlan(ShortScenario());
  const auto backend = SmallCudaBackend();
  const auto executor = Executor::Make(plan, *backend, {}).value();
  const PassRecord profiled = executor->RunPass(true).value();
  EXPECT_EQ(simt::CountRuntime().graphs_made, 1);
  EXPECT_EQ(simt::CountRuntime().graph_launches, 10);
  const PassRecord plain = executor->RunPass(false).value();
  EXPECT_EQ(simt::CountRuntime().graphs_made, 2);
  EXPECT_EQ(simt::CountRuntime().graph_launches, 20);
  EXPECT_EQ(DecidedIn(plain), DecidedIn(profiled));
  // The marks of a played graph are of its last play.
  int64_t last = 0;
  for (const StepRecord& step : profiled.steps) {
    const KernelTimes::Family& ballast = step.kernels.Of(Phase::kBallast);
    ASSERT_GT(ballast.duration_ns, 0);
    ASSERT_GE(ballast.begin_ns, std::max(last, step.begin_ns));
    ASSERT_LE(ballast.begin_ns, step.begin_ns + step.duration_ns);
    int64_t kernels = 0;
    for (const KernelTimes::Family& family : step.kernels.families) kernels += family.duration_ns;
    ASSERT_LE(kernels, step.duration_ns);
    last = ballast.begin_ns;
  }
}

TEST_F(CudaBackendTest, AJobBesideTheDecodeStreamDecidesTheSame) {
  const testing::Decided sync = DecidedIn(OnCpu(SmallPlan(SmallScenario()), {}));
  const ExecutionPlan plan = SmallPlan(SmallScenario({"policy.level1=ASYNC"}));
  const auto backend = SmallCudaBackend();
  const PassRecord pass = RunOnceOn(*backend, plan, {});
  for (const auto& [tick, list] : DecidedIn(pass).lists) {
    EXPECT_EQ(list, sync.lists.at(tick));
  }
  for (const JobRecord& record : pass.jobs) {
    if (record.publish_step < 0) continue;
    EXPECT_LE(record.job.started_ns, record.job.score_begin_ns);
    EXPECT_LE(record.job.score_begin_ns, record.job.score_end_ns);
    EXPECT_LE(record.job.score_end_ns, record.job.select_end_ns);
    EXPECT_LE(record.job.recall_begin_ns, record.job.recall_end_ns);
    EXPECT_LE(record.job.recall_end_ns, record.job.done_ns);
  }
}

// --- Activity.

TEST_F(CudaBackendTest, ActivityBelongsToItsPhases) {
  // Page 7 is sealed in the fourth step.
  const ExecutionPlan plan = SmallPlan(ShortScenario("workload.context_tokens=2044"));
  const auto backend = SmallCudaBackend();
  const auto executor = Executor::Make(plan, *backend, {}).value();
  const int64_t begin_ns = backend->HostNs();
  ASSERT_TRUE(backend->StartTrace().ok());
  const PassRecord pass = executor->RunPass(/*profiled=*/false).value();
  const ActivityTable table = Attribute(backend->StopTrace().value(), plan.page_bytes).value();
  EXPECT_EQ(simt::CountRuntime().graphs_made, 0) << "a graph's kernels would have one tag";
  std::map<Phase, int64_t> rows, bytes, pages;
  for (const ActivityRow& row : table.rows) {
    ++rows[row.phase];
    bytes[row.phase] += row.bytes;
    pages[row.phase] += row.pages;
    EXPECT_GE(row.begin_ns, 0);
    EXPECT_GT(row.busy_ns, 0) << PhaseName(row.phase);
    EXPECT_LE(row.busy_ns, row.end_ns - row.begin_ns);
  }
  for (const Phase phase : {Phase::kBallast, Phase::kNativeScore, Phase::kNativeTopK,
                            Phase::kCsaAttention, Phase::kHcaAttention}) {
    EXPECT_EQ(rows[phase], 10) << PhaseName(phase);
  }
  const auto jobs = static_cast<int64_t>(pass.jobs.size());
  EXPECT_GE(jobs, 3);
  EXPECT_EQ(rows[Phase::kScore], jobs);
  EXPECT_EQ(rows[Phase::kSelect], jobs);
  int64_t recalled = 0;
  for (const JobRecord& record : pass.jobs) recalled += record.job.pages;
  EXPECT_EQ(pages[Phase::kRecall], recalled);
  EXPECT_EQ(bytes[Phase::kRecall], recalled * plan.page_bytes);
  EXPECT_EQ(pages[Phase::kWriteback], 2);
  // On the backend's clock, though CUPTI's is five seconds ahead.
  for (const ActivityRow& row : table.rows) {
    EXPECT_GE(row.begin_ns, begin_ns - 1'000'000) << "half of what asking both clocks took";
    EXPECT_LE(row.end_ns, backend->HostNs() + 1'000'000);
  }
  EXPECT_GT(table.outside_records, 0) << "uploads and content belong to no phase";
  EXPECT_GT(table.overhead_ns, 0);
}

TEST_F(CudaBackendTest, WithoutPermissionTheRunGoesOnWithItsMarks) {
  testing::TheCupti().permitted = false;
  MeasureOptions options;
  options.trace = true;
  const auto backend = SmallCudaBackend();
  const absl::StatusOr<MeasuredRun> run = Measure(ShortScenario(), *backend, options);
  ASSERT_TRUE(run.ok()) << run.status();
  const std::string& activity = run->result.execution().activity();
  EXPECT_TRUE(absl::StartsWith(activity, "none, marks alone: CUPTI: cuptiActivityEnable"))
      << activity;
  EXPECT_TRUE(absl::StrContains(activity, "ERR_NVGPUCTRPERM"));
  EXPECT_EQ(run->activity_csv, "");
  EXPECT_GT(run->timed[0].steps[5].kernels.Of(Phase::kBallast).duration_ns, 0);
}

}  // namespace
}  // namespace tierscope

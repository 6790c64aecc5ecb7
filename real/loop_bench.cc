#include "real/loop_bench.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kernels/paged.h"
#include "real/forwarding_backend.h"
#include "real/op_content.h"
#include "scenarios/fields.h"
#include "sim/base/status_macros.h"
#include "sim/base/units.h"

namespace tierscope {
namespace {

constexpr int32_t kProfiles = 8;
constexpr int32_t kWindows = 2;        // of each batch
constexpr int64_t kLayerBytes = kMiB;  // that a layer's kernels take of the host's caches: a guess

// Of the kernels page selection alone.
class WithoutKernels final : public ForwardingBackend {
 public:
  explicit WithoutKernels(Backend& inner) : ForwardingBackend(inner), cold_(kLayerBytes) {}

  absl::StatusOr<int32_t> MakeBallast(const std::string&, std::span<const GemmShape>) override {
    return 0;
  }
  absl::Status Ballast(Stream, int32_t, std::span<const GemmShape>) override {
    constexpr size_t kLine = 64;
    for (size_t i = 0; i < cold_.size(); i += kLine) ++cold_[i];
    return absl::OkStatus();
  }
  // Other pages at every tick.
  absl::Status MemoryScore(Stream stream, const MemoryScoreParams& params) override {
    const int64_t pages = int64_t{params.input.request_count} * params.input.pages_max;
    return Copy(stream, params.density, Densities(pages, &bytes_).data(), pages);
  }
  absl::Status NativeScore(Stream, const NativeScoreParams&) override { return absl::OkStatus(); }
  absl::Status TopEntries(Stream, const TopEntriesParams&) override { return absl::OkStatus(); }
  absl::Status Attention(Stream, const AttentionParams&) override { return absl::OkStatus(); }

 private:
  std::vector<uint8_t> cold_;
  PlainBytes bytes_;
};

// As many requests as the largest batch, long enough for a want list in the middle of the grid, a
// tick at every stride; whatever else the given scenario does is left out.
Scenario LoopScenario(const Scenario& given, const OpGrid& grid) {
  const int32_t page_tokens = given.model().page_entries() * given.model().csa_tokens_per_entry();
  const int32_t stride = given.workload().attention().tick_stride_steps();
  const auto requests = static_cast<int32_t>(grid.batches.back());
  const auto steps = static_cast<int64_t>(grid.batches.size()) * kWindows * stride;
  const int64_t pages =
      PagesOfEntries(static_cast<int32_t>(grid.active_entries[grid.active_entries.size() / 2]));
  const int64_t pages_at_end = pages + CeilDiv(steps, int64_t{page_tokens}) + 1;
  Scenario loop = given;
  Workload& workload = *loop.mutable_workload();
  workload.Clear();
  FillDefaults(&workload);
  workload.set_arrivals(Workload::CLOSED_LOOP);
  workload.set_concurrency(requests);
  workload.set_request_limit(requests);
  workload.set_context_tokens(pages * page_tokens);
  workload.set_output_tokens(steps + 1);
  workload.mutable_attention()->set_tick_stride_steps(stride);
  workload.mutable_attention()->set_random_offset(false);
  Policy& policy = *loop.mutable_policy();
  policy.Clear();
  FillDefaults(&policy);
  policy.set_kind(Policy::LSA);
  policy.set_level1(Policy::SYNC);
  policy.set_phase(Policy::ALIGNED);
  policy.set_layout(Policy::PAGE_MAJOR);
  policy.set_tau_steps(stride);
  policy.set_page_kmax(given.policy().page_kmax());
  policy.set_recency_entries(given.policy().recency_entries());
  policy.set_reserve_entries(requests * pages_at_end * given.model().page_entries());
  Engine& engine = *loop.mutable_engine();
  engine.Clear();
  FillDefaults(&engine);
  engine.set_tensor_parallel(given.engine().tensor_parallel());
  return loop;
}

int64_t EngineNs(const StepRecord& step) {
  int64_t ns = step.duration_ns;
  for (const int64_t wait : step.wait_ns) ns -= wait;
  for (const KernelTimes::Family& family : step.kernels.families) ns -= family.duration_ns;
  return std::max<int64_t>(1, ns);
}

}  // namespace

LoopBench::LoopBench(Backend* backend, const OpGrid& grid)
    : batches_(grid.batches), without_kernels_(std::make_unique<WithoutKernels>(*backend)) {}

LoopBench::~LoopBench() = default;

absl::StatusOr<std::unique_ptr<LoopBench>> LoopBench::Make(Backend* backend,
                                                           const Scenario& scenario,
                                                           const OpGrid& grid) {
  std::unique_ptr<LoopBench> bench(new LoopBench(backend, grid));
  const Scenario loop = LoopScenario(scenario, grid);
  ExecutionPlan& plan = bench->plan_;
  TIERSCOPE_ASSIGN_OR_RETURN(plan, PlanExecution(loop, RealMode::kLive, nullptr));
  // A request leaves when the batch falls to its number. Eight profiles are more than caches hold.
  const int32_t profiles = std::min(plan.request_count(), kProfiles);
  plan.profile_prompt_tokens.resize(static_cast<size_t>(profiles));
  for (int32_t r = 0; r < plan.request_count(); ++r) {
    const auto larger = std::count_if(grid.batches.begin(), grid.batches.end(),
                                      [&](double batch) { return batch > r; });
    plan.requests[static_cast<size_t>(r)].output_tokens =
        1 + larger * kWindows * int64_t{plan.tau_steps};
    plan.requests[static_cast<size_t>(r)].profile = r % profiles;
  }
  TIERSCOPE_ASSIGN_OR_RETURN(bench->executor_, Executor::Make(plan, *bench->without_kernels_, {}));
  return bench;
}

absl::Status LoopBench::Run(LoopSamples* samples) {
  TIERSCOPE_ASSIGN_OR_RETURN(const PassRecord pass, executor_->RunPass(/*profiled=*/true));
  samples->engine_ns.resize(batches_.size());
  samples->publish_ns.resize(batches_.size());
  const auto add = [&](size_t batch, int64_t ns, std::vector<std::vector<double>>* all) {
    const auto at = std::find(batches_.begin(), batches_.end(), static_cast<double>(batch));
    if (at != batches_.end()) {
      (*all)[static_cast<size_t>(at - batches_.begin())].push_back(static_cast<double>(ns));
    }
  };
  for (const StepRecord& step : pass.steps) {
    add(static_cast<size_t>(step.batch), EngineNs(step), &samples->engine_ns);
  }
  for (const JobRecord& job : pass.jobs) {
    add(job.job.ticks.size(), job.published_ns - job.job.done_ns, &samples->publish_ns);
  }
  return absl::OkStatus();
}

}  // namespace tierscope

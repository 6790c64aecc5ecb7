#include "tests/real/real_world.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "real/cpu_backend.h"
#include "scenarios/loader.h"

namespace tierscope::testing {

std::vector<std::string> SmallSets() {
  return {"seed=3,workload.concurrency=2,workload.request_limit=2,workload.context_tokens=2028",
          "workload.output_tokens=26,workload.attention.tick_stride_steps=4",
          "policy.tau_steps=8,policy.page_kmax=2,policy.recency_entries=32,policy.level1=SYNC",
          "policy.reserve_entries=768,engine.warmup_windows=1",
          // The products and windows of the preset would take most of the time.
          "model.q_lora_rank=2,model.o_lora_rank=1,model.hidden_size=16,model.vocab_size=16",
          "model.expert_intermediate=8,model.window_tokens=8,model.top_k=16,model.hca_layers=1"};
}

Scenario SmallScenario(const std::vector<std::string>& sets) {
  std::vector<std::string> all = SmallSets();
  all.insert(all.end(), sets.begin(), sets.end());
  const absl::StatusOr<Scenario> scenario =
      LoadScenario(absl::StrCat(TIERSCOPE_SOURCE_DIR, "/scenarios/cpu_small.txtpb"), all);
  EXPECT_TRUE(scenario.ok()) << scenario.status();
  return scenario.ok() ? *scenario : Scenario();
}

WindowDemand ChurningDemand() {
  WindowDemand demand;
  demand.stride_steps = 4;
  demand.coverage_known = false;
  for (int profile = 0; profile < 2; ++profile) {
    ProfileDemand lists;
    lists.prompt_tokens = 2028;
    lists.stride_steps = 4;
    lists.position_count = 7;
    lists.tokens_per_page = 256;
    lists.want_begin = {0};
    for (int position = 0; position < 7; ++position) {
      std::set<PageIndex> pages = {static_cast<PageIndex>((2 * position + profile) % 7),
                                   static_cast<PageIndex>((2 * position + 3) % 7), 7};
      if (2028 + 4 * position + 1 >= 2052) pages.insert(8);
      lists.want_pages.insert(lists.want_pages.end(), pages.begin(), pages.end());
      lists.want_begin.push_back(static_cast<uint32_t>(lists.want_pages.size()));
    }
    demand.profiles.push_back(std::move(lists));
  }
  return demand;
}

ExecutionPlan SmallPlan(const Scenario& scenario, RealMode mode, const WindowDemand* demand) {
  absl::StatusOr<ExecutionPlan> plan = PlanExecution(scenario, mode, demand);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *std::move(plan) : ExecutionPlan();
}

std::unique_ptr<Backend> SmallCpuBackend() {
  CpuBackendOptions options;
  options.decode_threads = 1;
  return MakeCpuBackend(options).value();
}

PassRecord RunOnceOn(Backend& backend, const ExecutionPlan& plan, const ExecutorOptions& options) {
  const auto executor = Executor::Make(plan, backend, options);
  EXPECT_TRUE(executor.ok()) << executor.status();
  if (!executor.ok()) return PassRecord();
  absl::StatusOr<PassRecord> pass = (*executor)->RunPass(/*profiled=*/true);
  EXPECT_TRUE(pass.ok()) << pass.status();
  return pass.ok() ? *std::move(pass) : PassRecord();
}

PassRecord RunOnce(const ExecutionPlan& plan, const ExecutorOptions& options) {
  return RunOnceOn(*SmallBackend(), plan, options);
}

Decided DecidedIn(const PassRecord& pass) {
  Decided decided;
  for (const JobRecord& record : pass.jobs) {
    for (const JobTick& tick : record.job.ticks) {
      decided.lists[{tick.request, tick.own_step}] = tick.list;
    }
    decided.recalled.push_back(record.job.pages);
    decided.evicted.push_back(record.job.pages_evicted);
    decided.publish_steps.push_back(record.publish_step);
  }
  for (const WritebackSpan& span : pass.writebacks) {
    decided.writebacks.push_back({span.batch_step, span.request});
  }
  for (const RequestRecord& request : pass.requests) {
    decided.sets.emplace_back();
    decided.lost.emplace_back();
    for (const ActiveSet& set : request.sets) {
      decided.sets.back().push_back(set.pages);
      decided.lost.back().push_back(set.lost);
    }
  }
  decided.evicted_for_growth = pass.pages_evicted_for_growth;
  decided.blocks_peak = pass.blocks_peak;
  decided.steps = static_cast<int64_t>(pass.steps.size());
  return decided;
}

}  // namespace tierscope::testing

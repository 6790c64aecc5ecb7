// What the real mode refuses, and what it makes of a scenario.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "real/execution_plan.h"
#include "real/measure.h"
#include "tests/real/real_world.h"

namespace tierscope {
namespace {

using testing::SmallBackend;
using testing::SmallPlan;
using testing::SmallScenario;

std::string Refusal(const std::vector<std::string>& sets) {
  const absl::Status status = PlanExecution(SmallScenario(sets), RealMode::kLive, nullptr).status();
  return status.ok() ? "accepted" : std::string(status.message());
}

TEST(PlanTest, RefusesWhatItDoesNotExecute) {
  const struct {
    const char* sets;
    const char* message;
  } cases[] = {
      {"workload.arrivals=POISSON,workload.requests_per_s=1",
       "workload.arrivals POISSON: the real mode executes a batch that starts together"},
      {"workload.request_limit=5", "workload.request_limit 5: the real mode executes one request"},
      {"workload.attention.random_offset=true", "workload.attention.random_offset true: the real"},
      {"policy.kind=ORACLE", "policy.kind ORACLE: the real mode executes LSA"},
      {"policy.kind=FULL", "policy.kind FULL: the real mode executes LSA"},
      {"policy.eviction=FIFO", "policy.eviction FIFO: the real mode"},
      {"policy.publish=NEXT_TICK,policy.reserve_entries=4096",
       "policy.publish NEXT_TICK: the real"},
      {"policy.layout=LAYER_MAJOR", "policy.layout LAYER_MAJOR: the real mode has page-major"},
      {"policy.index_key_offload=true", "policy.index_key_offload true: the real mode keeps"},
      {"policy.publish_fixed_ms=1", "policy.level1_fixed_ms or policy.publish_fixed_ms given"},
      {"engine.prefill=DISAGGREGATED,engine.prefill_tokens_per_s=1",
       "engine.prefill DISAGGREGATED: the real mode executes decode alone"},
      {"engine.replicas=2", "engine.replicas 2: the real mode executes one rank of one replica"},
      {"engine.graph_batch_sizes=[8]", "engine.graph_batch_sizes given: the real mode pads no"},
      {"model.kv_entry_bytes=656", "model.kv_entry_bytes 656: the real mode has kernels for 584"},
      {"model.query_heads=128", "model.query_heads 128: the real mode has kernels for 64"},
      {"model.target_layers=2", "model.target_layers 2: the real mode has kernels for 3"},
      {"model.top_k=4096", "model.top_k 4096: the real mode has a kernel for at most 2048"},
      {"workload.context_tokens=1100000", "workload.context_tokens gives 4304 pages: the real"},
      {"workload.context_tokens=3", "workload.context_tokens 3: the real mode needs a history"},
      {"policy.tau_steps=10", "policy.tau_steps 10: the real mode has ticks at multiples of 4"},
  };
  for (const auto& [sets, message] : cases) {
    EXPECT_TRUE(absl::StartsWith(Refusal({sets}), message)) << sets << "\n" << Refusal({sets});
  }
  EXPECT_EQ(Refusal({}), "accepted");
}

TEST(PlanTest, OneRankOfSeveralIsExecuted) {
  const ExecutionPlan plan = SmallPlan(SmallScenario({"engine.tensor_parallel=2"}));
  EXPECT_EQ(plan.request_count(), 2);
  EXPECT_EQ(plan.memory.ranks, 2);
}

// Lengths come from the simulator's own source: a ramp shortens the first request's output.
TEST(PlanTest, RequestsAreTheSimulators) {
  const ExecutionPlan plan = SmallPlan(SmallScenario({"workload.ramp_start=true"}));
  EXPECT_EQ(plan.requests[0].output_tokens, 13);
  EXPECT_EQ(plan.requests[1].output_tokens, 26);
  EXPECT_EQ(plan.step_count, 28);
  EXPECT_EQ(plan.requests[0].page_begin, 0);
  EXPECT_EQ(plan.requests[1].page_begin, plan.requests[0].page_count);
  EXPECT_EQ(plan.requests[0].page_count, 9);  // 2,057 tokens are 514 entries
  EXPECT_EQ(plan.EntriesAt(plan.requests[0], 0), 507);
  EXPECT_EQ(plan.EntriesAt(plan.requests[0], 3), 508);
  EXPECT_EQ(plan.code_cutoff, 128);
  EXPECT_EQ(plan.history_pages_max, 16);
}

WindowDemand OneProfile(int64_t prompt_tokens, int32_t positions, int32_t tokens_per_page) {
  WindowDemand demand;
  demand.trace_name = "t.trace";
  demand.stride_steps = 8;
  ProfileDemand profile;
  profile.prompt_tokens = prompt_tokens;
  profile.position_count = positions;
  profile.stride_steps = 8;
  profile.tokens_per_page = tokens_per_page;
  demand.profiles.push_back(profile);
  return demand;
}

TEST(PlanTest, AReplayNeedsATraceOfItsLengths) {
  const auto refusal = [](const WindowDemand& demand) {
    const absl::Status status = PlanExecution(SmallScenario(), RealMode::kReplay, &demand).status();
    return status.ok() ? "accepted" : std::string(status.message());
  };
  EXPECT_EQ(refusal(OneProfile(2028, 4, 256)), "accepted");
  EXPECT_EQ(refusal(OneProfile(2028, 3, 256)),
            "t.trace: its profile ends after 24 steps and a request takes 25; set "
            "workload.output_tokens=25 or less");
  EXPECT_TRUE(absl::StartsWith(refusal(OneProfile(2048, 5, 256)),
                               "t.trace: its nearest profile has 2048 prompt tokens and a request "
                               "2028, and the real mode rescales nothing"));
  EXPECT_TRUE(absl::StartsWith(refusal(OneProfile(2028, 5, 64)),
                               "t.trace: a page of the attention trace is 64 tokens"));
}

TEST(PlanTest, WhatDoesNotFitIsRefusedBeforeItBegins) {
  const auto backend = SmallBackend();
  MeasureOptions options;
  options.memory_bytes_max = 1 << 20;
  bool began = false;
  options.progress = [&](const std::string&) { began = true; };
  const absl::Status status = Measure(SmallScenario(), *backend, options).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_TRUE(absl::StartsWith(status.message(), "the run needs 0.0")) << status;
  EXPECT_FALSE(began);
  EXPECT_TRUE(backend->footprint().empty());
}

// The estimate that refuses is what is allocated, to a tenth.
TEST(PlanTest, TheEstimateIsWhatARunTakes) {
  const ExecutionPlan plan = SmallPlan(SmallScenario());
  const auto backend = SmallBackend();
  ASSERT_TRUE(Executor::Make(plan, *backend, {}).ok());
  int64_t bytes = 0;
  for (const NamedMemory& memory : backend->footprint()) bytes += memory.bytes;
  EXPECT_GT(CountMemory(plan, 4).total(), bytes * 9 / 10);
  EXPECT_LT(CountMemory(plan, 4).total(), bytes * 3 / 2);  // and the queries, which the host keeps
}

}  // namespace
}  // namespace tierscope

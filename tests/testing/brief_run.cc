#include "tests/testing/brief_run.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "sim/base/status_macros.h"
#include "sim/base/units.h"
#include "sim/demand/hot_buffers.h"
#include "sim/policy/hot_buffer.h"

namespace tierscope::testing {
namespace {

constexpr int64_t kRequestsMax = 6;
constexpr int64_t kOutputTokensMax = 70;
constexpr int32_t kChunkTokensMin = 1 << 16;
constexpr int32_t kReplicasMax = 3;
constexpr int32_t kGroupsMax = 8;
constexpr int32_t kTauMax = 1 << 12;
constexpr int64_t kReserveEntriesMax = 1 << 22;
constexpr int32_t kBufferEntriesMax = 1 << 12;
constexpr int32_t kSkewedExpertsMax = 64;  // sums over experts for each batch
constexpr int32_t kGraphMax = 1024;

constexpr int32_t kPromptPages = 8;
constexpr int32_t kWindows = 6;
constexpr int32_t kTopK = 2;

// What a few ticks and selections leave behind; the tick stride divides tau.
ProfileHeader HeaderFor(const Scenario& scenario, int32_t stride) {
  ProfileHeader header;
  const int32_t tokens_per_entry = scenario.model().csa_tokens_per_entry();
  header.set_prompt_tokens(kPromptPages * kPageEntries * tokens_per_entry);
  header.set_step_count(kWindows * stride);
  header.set_tick_stride_steps(stride);
  header.set_tokens_per_entry(tokens_per_entry);
  header.set_csa_layer_count(1);
  header.set_top_k(kTopK);
  header.set_selections(SELECTIONS_FULL_HISTORY);
  return header;
}

absl::StatusOr<WindowDemand> ListsFor(const Scenario& scenario) {
  const DemandSpec spec = DemandSpecOf(scenario);
  const int32_t stride = std::max(1, spec.tau_steps / 4);
  const ProfileHeader header = HeaderFor(scenario, spec.tau_steps % stride == 0 ? stride : 1);
  WindowDemand demand;
  TIERSCOPE_RETURN_IF_ERROR(AddProfileHeader(header, &demand));
  ProfileDistiller distiller(spec);
  TIERSCOPE_RETURN_IF_ERROR(distiller.Begin(header, 0));
  for (int32_t window = 0; window < kWindows; ++window) {
    std::vector<uint32_t> entries;
    for (int32_t page = window % 2; page < kPromptPages; page += 2) {
      entries.push_back(static_cast<uint32_t>(page * kPageEntries + window));
    }
    const int32_t tick = window * header.tick_stride_steps();
    distiller.Tick(tick, -1, entries, std::vector<uint8_t>(entries.size(), 255));
    distiller.Select(tick + 1, entries, {});
  }
  demand.profiles.push_back(distiller.Finish());
  return demand;
}

absl::StatusOr<WindowDemand> BuffersFor(const Scenario& scenario) {
  const DemandSpec spec = DemandSpecOf(scenario);
  const ProfileHeader header = HeaderFor(scenario, 1);
  const int64_t pool = PoolEntries(kPromptPages * kPageEntries, spec.pool_parts);
  const auto slots = static_cast<int32_t>(
      std::max<int64_t>(kTopK, spec.policy == WantPolicy::kEss ? pool : spec.hot_buffer_entries));
  ProfileStepDistiller distiller({slots});
  TIERSCOPE_RETURN_IF_ERROR(distiller.Begin(header));
  for (int32_t step = 0; step <= header.step_count(); ++step) {
    const auto entry = static_cast<uint32_t>(step);
    TIERSCOPE_RETURN_IF_ERROR(
        distiller.Select(step, 0, std::vector<uint32_t>{entry / 2, entry + 100}));
  }
  WindowDemand demand;
  TIERSCOPE_RETURN_IF_ERROR(AddProfileHeader(header, &demand));
  ProfileDemand& frame = demand.profiles.emplace_back();
  frame.prompt_tokens = header.prompt_tokens();
  frame.stride_steps = 1;
  frame.position_count = header.step_count();
  frame.tokens_per_page = header.tokens_per_entry() * kPageEntries;
  frame.page_count = kPromptPages + 1;
  frame.prompt_page_count = kPromptPages;
  auto buffers = std::make_shared<HotBuffers>();
  buffers->slots = {slots};
  buffers->profiles.push_back(distiller.Finish());
  demand.hot_buffers = std::move(buffers);
  return demand;
}

// Requests an hour apart that begin alike, with block ids.
RequestTrace TraceFor() {
  RequestTrace trace;
  trace.source_name = "brief";
  trace.format = "mooncake";
  trace.block_tokens = 512;
  trace.block_count = kRequestsMax + 1;
  trace.block_begin = {0};
  for (int64_t i = 0; i < kRequestsMax; ++i) {
    TraceRequest request;
    request.arrival = SimTime{} + SimDuration{3'600'000'000'000} * i;
    request.input_tokens = 1024;
    request.output_tokens = i;
    trace.requests.push_back(request);
    trace.block_ids.insert(trace.block_ids.end(), {0, static_cast<uint32_t>(i + 1)});
    trace.block_begin.push_back(trace.block_ids.size());
  }
  trace.block_reference_count = static_cast<int64_t>(trace.block_ids.size());
  return trace;
}

void BoundOutputs(Workload& workload) {
  if (workload.has_output_tokens()) {
    workload.set_output_tokens(std::min<int64_t>(workload.output_tokens(), kOutputTokensMax));
  }
  for (RequestClass& c : *workload.mutable_classes()) {
    c.set_output_tokens(std::min<int64_t>(c.output_tokens(), kOutputTokensMax));
  }
}

}  // namespace

Scenario Bounded(Scenario scenario) {
  Workload& workload = *scenario.mutable_workload();
  const bool limited = workload.request_limit() > 0;
  workload.set_request_limit(limited ? std::min(workload.request_limit(), kRequestsMax)
                                     : kRequestsMax);
  BoundOutputs(workload);
  Engine& engine = *scenario.mutable_engine();
  engine.set_replicas(std::min(engine.replicas(), kReplicasMax));
  if (engine.prefill() == Engine::COLOCATED_CHUNKED) {
    engine.set_prefill_chunk_tokens(std::max(engine.prefill_chunk_tokens(), kChunkTokensMin));
  }
  auto& graphs = *engine.mutable_graph_batch_sizes();
  graphs.erase(
      std::remove_if(graphs.begin(), graphs.end(), [](int32_t n) { return n > kGraphMax; }),
      graphs.end());
  Policy& policy = *scenario.mutable_policy();
  policy.set_tau_steps(std::min(policy.tau_steps(), kTauMax));
  policy.set_reserve_entries(std::min<int64_t>(policy.reserve_entries(), kReserveEntriesMax));
  policy.set_hot_buffer_entries(std::min(policy.hot_buffer_entries(), kBufferEntriesMax));
  if (scenario.model().experts() > kSkewedExpertsMax) {
    scenario.mutable_hardware()->mutable_step_model()->clear_expert_alpha();
  }
  return scenario;
}

absl::StatusOr<WindowDemand> MadeUpDemand(const Scenario& scenario) {
  return NeedsLayers(DemandSpecOf(scenario).policy) ? BuffersFor(scenario) : ListsFor(scenario);
}

absl::StatusOr<Simulation> RunBriefly(const Scenario& accepted) {
  const Scenario scenario = Bounded(accepted);
  if (scenario.engine().dp_attention() > kGroupsMax) {
    return absl::InvalidArgumentError("engine.dp_attention: too many groups for a brief run");
  }
  TIERSCOPE_RETURN_IF_ERROR(CheckMemory(scenario));
  SimulationInputs inputs;
  RequestTrace trace;
  if (scenario.workload().has_trace()) {
    trace = TraceFor();
    inputs.requests = &trace;
  }
  WindowDemand demand;
  if (NeedsDemand(scenario)) {
    TIERSCOPE_ASSIGN_OR_RETURN(demand, MadeUpDemand(scenario));
    inputs.demand = &demand;
  }
  return Simulate(scenario, inputs);
}

}  // namespace tierscope::testing

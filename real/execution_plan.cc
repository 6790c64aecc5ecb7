#include "real/execution_plan.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

#include "real/backbone.h"
#include "real/content.h"
#include "sim/base/status_macros.h"
#include "sim/base/units.h"
#include "sim/demand/assignment.h"
#include "sim/engine/workload_source.h"

namespace tierscope {
namespace {

constexpr int32_t kListAlignment = 16;

absl::Status Refuse(absl::string_view field, absl::string_view value, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(field, " ", value, ": the real mode ", why));
}

absl::Status CheckWorkload(const Scenario& scenario) {
  const Workload& workload = scenario.workload();
  if (workload.arrivals() != Workload::CLOSED_LOOP) {
    return Refuse("workload.arrivals", Workload::Arrivals_Name(workload.arrivals()),
                  "executes a batch that starts together; set workload.arrivals=CLOSED_LOOP");
  }
  if (workload.has_trace()) {
    return Refuse("workload.trace", "given",
                  "executes requests of the scenario's own lengths; leave it out and set "
                  "workload.context_tokens and workload.output_tokens");
  }
  if (workload.request_limit() != workload.concurrency()) {
    return Refuse("workload.request_limit", absl::StrCat(workload.request_limit()),
                  absl::StrCat("executes one request of each user; set workload.request_limit=",
                               workload.concurrency()));
  }
  if (workload.attention().random_offset()) {
    return Refuse("workload.attention.random_offset", "true",
                  "starts every request at its profile's first step; set "
                  "workload.attention.random_offset=false");
  }
  return absl::OkStatus();
}

absl::Status CheckPolicy(const Policy& policy) {
  if (policy.kind() != Policy::LSA) {
    return Refuse("policy.kind", Policy::Kind_Name(policy.kind()),
                  "executes LSA; set policy.kind=LSA");
  }
  if (policy.eviction() != Policy::LRU_PROTECTED) {
    return Refuse("policy.eviction", Policy::Eviction_Name(policy.eviction()),
                  "lets no request's live pages be overwritten; set policy.eviction=LRU_PROTECTED");
  }
  if (policy.publish() != Policy::ON_COMPLETION) {
    return Refuse("policy.publish", Policy::Publish_Name(policy.publish()),
                  "publishes what is there; set policy.publish=ON_COMPLETION");
  }
  if (policy.layout() != Policy::PAGE_MAJOR) {
    return Refuse("policy.layout", Policy::Layout_Name(policy.layout()),
                  "has page-major pools; set policy.layout=PAGE_MAJOR");
  }
  if (policy.index_key_offload()) {
    return Refuse("policy.index_key_offload", "true",
                  "keeps all index keys on the device; set policy.index_key_offload=false");
  }
  if (policy.level1_fixed_ms() > 0 || policy.publish_fixed_ms() > 0) {
    return Refuse("policy.level1_fixed_ms or policy.publish_fixed_ms", "given",
                  "takes the time that it takes; leave them out");
  }
  return absl::OkStatus();
}

absl::Status CheckEngine(const Engine& engine) {
  if (engine.prefill() != Engine::NONE) {
    return Refuse("engine.prefill", Engine::Prefill_Name(engine.prefill()),
                  "executes decode alone; set engine.prefill=NONE");
  }
  if (engine.admit() != Engine::FULL) {
    return Refuse("engine.admit", Engine::Admit_Name(engine.admit()),
                  "never preempts; set engine.admit=FULL");
  }
  if (engine.prefix_store().host_bytes() > 0) {
    return Refuse("engine.prefix_store.host_bytes",
                  absl::StrCat(engine.prefix_store().host_bytes()),
                  "has no prefix store; set it to 0");
  }
  const struct {
    const char* field;
    int64_t value, executed;
  } layouts[] = {{"engine.replicas", engine.replicas(), 1},
                 {"engine.dp_attention", engine.dp_attention(), 1},
                 {"engine.expert_parallel", engine.expert_parallel(), 1},
                 {"engine.mtp.draft_tokens", engine.mtp().draft_tokens(), 0}};
  for (const auto& [field, value, executed] : layouts) {
    if (value <= executed) continue;
    return Refuse(
        field, absl::StrCat(value),
        absl::StrCat("executes one rank of one replica without drafts; set it to ", executed));
  }
  if (engine.graph_batch_sizes_size() > 0) {
    return Refuse("engine.graph_batch_sizes", "given", "pads no batch on the CPU; leave it out");
  }
  return absl::OkStatus();
}

// The kernels have the shapes of V4's attention; the backbone's are free.
absl::Status CheckModel(const Model& model) {
  const struct {
    const char* field;
    int64_t value;
    int64_t kernel;
  } fixed[] = {{"page_entries", model.page_entries(), kPageEntries},
               {"kv_entry_bytes", model.kv_entry_bytes(), kKvRowBytes + kKvScaleBytes},
               {"index_key_bytes", model.index_key_bytes(), kIndexPageBytes / kPageEntries},
               {"target_layers", model.target_layers(), kMemoryLayers},
               {"query_heads", model.query_heads(), kAttentionHeads},
               {"head_dim", model.head_dim(), kKvDim},
               {"index_heads", model.index_heads(), kNativeHeads},
               {"index_head_dim", model.index_head_dim(), kIndexDim},
               {"memory_index_heads", model.memory_index_heads(), kMemoryHeads},
               {"memory_index_head_dim", model.memory_index_head_dim(), kIndexDim},
               {"kv_lora_rank", model.kv_lora_rank(), 0},
               {"dense_layers", model.dense_layers(), 0}};
  for (const auto& [field, value, kernel] : fixed) {
    if (value == kernel) continue;
    return Refuse(
        absl::StrCat("model.", field), absl::StrCat(value),
        absl::StrCat("has kernels for ", kernel, "; choose model.preset v4_flash or v4_tiny"));
  }
  if (model.top_k() > kTopEntriesMax) {
    return Refuse("model.top_k", absl::StrCat(model.top_k()),
                  absl::StrCat("has a kernel for at most ", kTopEntriesMax, "; lower it"));
  }
  if (model.csa_layers() < kMemoryLayers) {
    return Refuse(
        "model.csa_layers", absl::StrCat(model.csa_layers()),
        absl::StrCat("scores ", kMemoryLayers, " of them at level 1; give at least that"));
  }
  const bool shaped = model.has_hidden_size() && model.has_q_lora_rank() &&
                      model.o_lora_rank() > 0 && model.has_o_groups() && model.has_experts() &&
                      model.has_experts_per_token() && model.has_expert_intermediate() &&
                      model.has_vocab_size();
  if (!shaped) {
    return Refuse("model.hidden_size", "or another shape not given",
                  "runs the products of all layers; give the shapes that "
                  "scenarios/models/v4_flash.txtpb shows");
  }
  return absl::OkStatus();
}

int32_t RoundUp(int64_t value, int64_t to) { return static_cast<int32_t>(CeilDiv(value, to) * to); }

// Profiles that stand in for those of a trace when requests are assigned: only their prompts count.
WindowDemand LiveProfiles(const std::vector<RequestPlan>& requests) {
  WindowDemand demand;
  for (const RequestPlan& request : requests) {
    ProfileDemand profile;
    profile.prompt_tokens = request.context_tokens;
    demand.profiles.push_back(std::move(profile));
  }
  return demand;
}

absl::Status CheckReplayed(const ExecutionPlan& plan, const WindowDemand& demand,
                           const RequestPlan& request) {
  const ProfileDemand& profile = demand.profiles[static_cast<size_t>(request.profile)];
  if (profile.tokens_per_page != plan.memory.page_tokens) {
    return absl::InvalidArgumentError(absl::StrCat(
        demand.trace_name, ": a page of the attention trace is ", profile.tokens_per_page,
        " tokens, one of the model ", plan.memory.page_tokens, "; give a trace of this model"));
  }
  if (profile.prompt_tokens != request.context_tokens) {
    return absl::InvalidArgumentError(
        absl::StrCat(demand.trace_name, ": its nearest profile has ", profile.prompt_tokens,
                     " prompt tokens and a request ", request.context_tokens,
                     ", and the real mode rescales nothing; set workload.context_tokens=",
                     profile.prompt_tokens));
  }
  if (request.output_tokens - 1 > profile.step_count()) {
    return absl::InvalidArgumentError(
        absl::StrCat(demand.trace_name, ": its profile ends after ", profile.step_count(),
                     " steps and a request takes ", request.output_tokens - 1,
                     "; set workload.output_tokens=", profile.step_count() + 1, " or less"));
  }
  return absl::OkStatus();
}

absl::Status PlanRequests(const WindowDemand* demand, ExecutionPlan& plan) {
  const Scenario& scenario = plan.scenario;
  WorkloadSource source(scenario, /*trace=*/nullptr);
  for (std::optional<Arrival> arrival = source.Next(); arrival; arrival = source.Next()) {
    RequestPlan request;
    request.context_tokens = arrival->context_tokens;
    request.output_tokens = arrival->output_tokens;
    plan.requests.push_back(request);
  }
  const WindowDemand live = LiveProfiles(plan.requests);
  const WindowDemand& profiles = demand == nullptr ? live : *demand;
  for (const ProfileDemand& profile : profiles.profiles) {
    plan.profile_prompt_tokens.push_back(profile.prompt_tokens);
  }
  ProfileAssigner assigner(profiles, scenario.seed(), /*random_offset=*/false);
  for (RequestPlan& request : plan.requests) {
    request.profile =
        assigner.Assign(request.context_tokens, request.output_tokens - 1).profile.value;
    if (demand != nullptr) TIERSCOPE_RETURN_IF_ERROR(CheckReplayed(plan, *demand, request));
    if (request.context_tokens < plan.tokens_per_entry) {
      return Refuse("workload.context_tokens", absl::StrCat(request.context_tokens),
                    "needs a history of an entry at least; raise it");
    }
    plan.step_count = std::max(plan.step_count,
                               RoundUp(request.output_tokens - 1, plan.stride_steps) + int64_t{0});
  }
  return absl::OkStatus();
}

absl::Status PlacePages(ExecutionPlan& plan) {
  int32_t history_pages_max = 0;
  int64_t pages = 0, hca_pages = 0;
  for (RequestPlan& request : plan.requests) {
    const int64_t entries = (request.context_tokens + plan.step_count + 1) / plan.tokens_per_entry;
    request.page_count = static_cast<int32_t>(entries / kPageEntries + 1);
    request.hca_page_count =
        static_cast<int32_t>(plan.HcaEntriesAt(request, request.output_tokens) / kPageEntries + 1);
    request.page_begin = static_cast<int32_t>(pages);
    request.hca_page_begin = static_cast<int32_t>(hca_pages);
    pages += request.page_count;
    hca_pages += request.hca_page_count;
    history_pages_max = std::max(history_pages_max, request.page_count);
  }
  plan.history_pages_max = RoundUp(history_pages_max, kListAlignment);
  if (plan.history_pages_max > kSelectPagesMax) {
    return Refuse("workload.context_tokens",
                  absl::StrCat("gives ", plan.history_pages_max, " pages"),
                  absl::StrCat("has kernels for ", kSelectPagesMax, " of a request; lower it"));
  }
  constexpr int64_t kPagesMax = 1 << 30;
  if (pages > kPagesMax || hca_pages > kPagesMax) {
    return Refuse("workload.concurrency", absl::StrCat(plan.request_count()),
                  absl::StrCat("numbers at most ", kPagesMax, " pages; lower it"));
  }
  plan.page_total = static_cast<int32_t>(pages);
  plan.hca_page_total = static_cast<int32_t>(hca_pages);
  return absl::OkStatus();
}

// As many as the simulator promises (sim/engine/admission.cc).
void PromiseBlocks(const WindowDemand* demand, ExecutionPlan& plan) {
  for (RequestPlan& request : plan.requests) {
    const int64_t prompt_pages = CeilDiv(request.context_tokens, plan.memory.page_tokens);
    const int64_t grown =
        demand != nullptr ? GrownPagesMax(demand) : request.page_count - prompt_pages;
    request.promised_blocks = plan.memory.LivePages(request.context_tokens, grown);
  }
}

}  // namespace

absl::StatusOr<ExecutionPlan> PlanExecution(const Scenario& scenario, RealMode mode,
                                            const WindowDemand* demand) {
  TIERSCOPE_RETURN_IF_ERROR(CheckWorkload(scenario));
  TIERSCOPE_RETURN_IF_ERROR(CheckPolicy(scenario.policy()));
  TIERSCOPE_RETURN_IF_ERROR(CheckEngine(scenario.engine()));
  TIERSCOPE_RETURN_IF_ERROR(CheckModel(scenario.model()));
  ExecutionPlan plan;
  plan.scenario = scenario;
  plan.mode = mode;
  TIERSCOPE_ASSIGN_OR_RETURN(plan.memory, MakeMemoryPlan(scenario));
  const Model& model = scenario.model();
  const Policy& policy = scenario.policy();
  plan.csa_layers = model.csa_layers();
  plan.hca_layers = model.hca_layers();
  plan.swa_layers = model.swa_layers();
  plan.tokens_per_entry = model.csa_tokens_per_entry();
  plan.tokens_per_hca_entry = model.hca_tokens_per_entry();
  plan.top_k = model.top_k();
  plan.window_tokens = model.window_tokens();
  plan.tau_steps = policy.tau_steps();
  plan.code_cutoff = std::max(1, static_cast<int32_t>(std::ceil(256.0 * policy.threshold())));
  plan.page_kmax = policy.page_kmax();
  plan.stride_steps = demand != nullptr ? demand->stride_steps
                                        : scenario.workload().attention().tick_stride_steps();
  if (plan.tau_steps % plan.stride_steps != 0) {
    return Refuse("policy.tau_steps", absl::StrCat(plan.tau_steps),
                  absl::StrCat("has ticks at multiples of ", plan.stride_steps,
                               " steps (workload.attention.tick_stride_steps); set a multiple"));
  }
  plan.warmup_steps = int64_t{scenario.engine().warmup_windows()} * plan.tau_steps;
  TIERSCOPE_RETURN_IF_ERROR(PlanRequests(demand, plan));
  TIERSCOPE_RETURN_IF_ERROR(PlacePages(plan));
  PromiseBlocks(demand, plan);
  plan.window_pages = static_cast<int32_t>(CeilDiv(plan.window_tokens, kPageEntries));
  plan.reserve_blocks = static_cast<int32_t>(plan.memory.reserve_blocks);
  plan.page_bytes = plan.csa_layers * kKvPageLayerBytes;
  plan.active_pages_max = RoundUp(
      std::min<int64_t>(plan.memory.live_pages_max, plan.history_pages_max), kListAlignment);
  if (plan.page_kmax > plan.reserve_blocks || plan.active_pages_max > kTopPagesMax) {
    return Refuse("policy.page_kmax", absl::StrCat(plan.page_kmax),
                  absl::StrCat("has kernels for ", kTopPagesMax, " active pages; lower it"));
  }
  return plan;
}

MemoryNeeded CountMemory(const ExecutionPlan& plan, double weight_bytes_each) {
  const int64_t requests = plan.request_count();
  const int64_t layers = plan.csa_layers + plan.hca_layers + plan.swa_layers;
  MemoryNeeded needed;
  needed.cold_pool_bytes = int64_t{plan.page_total} * plan.page_bytes;
  int64_t bytes = int64_t{plan.page_total + plan.request_count()} * plan.csa_layers *
                      kIndexPageBytes +                             // index keys
                  int64_t{plan.reserve_blocks} * plan.page_bytes +  // reserve
                  int64_t{plan.hca_page_total} * plan.hca_layers * kKvPageLayerBytes +
                  requests * layers * plan.window_pages * kKvPageLayerBytes;
  // Queries, logits, chosen cells, outputs of a step; level 1's input.
  bytes += requests * (plan.csa_layers * int64_t{kNativeHeads} * kIndexDim +
                       int64_t{plan.active_pages_max} * kPageEntries * 4 + plan.top_k * 8 +
                       int64_t{kAttentionHeads} * kKvDim * 4 +
                       int64_t{kMemoryLayers} * kMemoryHeads * kIndexDim +
                       int64_t{plan.history_pages_max} * 32);
  for (const LayerKind kind : LayerOrder(plan.scenario.model())) {
    bytes += WeightBytes(LayerProducts(plan.scenario, kind, requests), weight_bytes_each);
  }
  bytes += WeightBytes(HeadProducts(plan.scenario, requests), weight_bytes_each);
  needed.device_bytes = bytes;
  ContentShape content;
  content.csa_layers = plan.csa_layers;
  content.target_layers = kMemoryLayers;
  content.step_count = static_cast<int32_t>(plan.step_count);
  content.tick_stride_steps = plan.stride_steps;
  needed.host_bytes = plan.profile_count() * RequestContent::QueryBytesMax(content);
  return needed;
}

}  // namespace tierscope

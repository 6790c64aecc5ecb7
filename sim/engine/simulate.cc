#include "sim/engine/simulate.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "reports/schema/metrics.h"
#include "scenarios/loader.h"
#include "sim/base/digest.h"
#include "sim/base/status_macros.h"
#include "sim/base/units.h"
#include "sim/engine/fleet.h"
#include "sim/engine/memory_plan.h"
#include "sim/engine/notes.h"
#include "sim/engine/result_metrics.h"
#include "sim/policy/hot_buffer.h"

namespace tierscope {

namespace {

constexpr int64_t kStoredBlocksMax = int64_t{1} << 26;  // of all prefix stores: 1.4 GB of state

}  // namespace

bool NeedsDemand(const Scenario& scenario) { return scenario.policy().kind() != Policy::FULL; }

bool NeedsBlockIds(const Scenario& scenario) {
  return scenario.engine().prefix_store().host_bytes() > 0;
}

namespace {

WantPolicy WantPolicyOf(Policy::Kind kind) {
  switch (kind) {
    case Policy::RECENCY:
      return WantPolicy::kRecency;
    case Policy::RANDOM:
      return WantPolicy::kRandom;
    case Policy::ORACLE:
      return WantPolicy::kOracle;
    case Policy::FLASHMEMORY:
      return WantPolicy::kFlashMemory;
    case Policy::STREAMING_LLM:
      return WantPolicy::kStreamingLlm;
    case Policy::H2O:
      return WantPolicy::kH2o;
    case Policy::QUEST:
      return WantPolicy::kQuest;
    case Policy::TOPK_SWAP:
      return WantPolicy::kTopkSwap;
    case Policy::ESS:
      return WantPolicy::kEss;
    case Policy::FULL:
    case Policy::LSA:
      return WantPolicy::kLsa;
  }
  return WantPolicy::kLsa;
}

// Host room that preemption SWAP promises at admission, beside the cold pool.
absl::Status CheckSwapFits(const Scenario& scenario, const MemoryPlan& plan, int64_t context,
                           int64_t output) {
  const Engine& engine = scenario.engine();
  if (engine.admit() != Engine::OPTIMISTIC || engine.preemption() != Engine::SWAP) {
    return absl::OkStatus();
  }
  const int64_t pages = plan.has_cold_pool ? plan.HostPages(context, output) : 0;
  const int64_t bytes =
      pages * plan.host_page_bytes_node + plan.SwapBytes(context + output) * plan.ranks;
  if (bytes <= plan.host_usable_bytes_node) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("a request of %d + %d tokens does not fit: with engine.preemption SWAP it "
                      "may take %d bytes of "
                      "host DRAM over all ranks, %d are usable; raise node.host_bytes, lower "
                      "workload.context_tokens or set engine.preemption=recompute",
                      context, output, bytes, plan.host_usable_bytes_node));
}

// Largest prompt and output that the scenario itself asks for; a trace's lengths are its own.
absl::Status CheckRequestFits(const Scenario& scenario, const MemoryPlan& plan) {
  const Workload& workload = scenario.workload();
  int64_t context = workload.context_tokens();
  int64_t output = workload.output_tokens();
  for (const RequestClass& c : workload.classes()) {
    const int64_t its_context =
        workload.has_context_tokens() ? workload.context_tokens() : c.context_tokens();
    const int64_t its_output =
        workload.has_output_tokens() ? workload.output_tokens() : c.output_tokens();
    if (its_context + its_output > context + output) context = its_context, output = its_output;
  }
  output = plan.OutputTokens(output);
  if (context + output > plan.tokens_max) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a request of %d + %d tokens does not fit: beside weights and pools one "
                        "rank of %s has HBM for "
                        "%d tokens; lower workload.context_tokens, raise engine.tensor_parallel or "
                        "choose other hardware",
                        context, output, scenario.hardware().gpu(), plan.tokens_max));
  }
  if (plan.has_cold_pool && plan.HostPages(context, output) > plan.host_pages_max) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a request of %d + %d tokens does not fit: the cold pool has host DRAM for "
                        "%d tokens; lower "
                        "workload.context_tokens or raise node.host_bytes",
                        context, output, plan.host_pages_max * plan.page_tokens));
  }
  return CheckSwapFits(scenario, plan, context, output);
}

int32_t ThresholdCode(double threshold) {
  return static_cast<int32_t>(std::ceil(256.0 * threshold));
}

absl::Status CheckTraceFitsModel(const Scenario& scenario, const WindowDemand& demand) {
  const int32_t traced = demand.profiles.front().tokens_per_page / kPageEntries;
  const int32_t modelled = scenario.model().csa_tokens_per_entry();
  if (traced == modelled) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      demand.trace_name, ": an entry of the attention trace is ", traced, " tokens, one of model ",
      scenario.model().name(), " ", modelled, "; give a trace of this model"));
}

absl::Status CheckPrefixStore(const MemoryPlan& plan, const RequestTrace& requests) {
  if (requests.block_ids.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        requests.source_name, ": a trace of format ", requests.format,
        " without block ids shares no prefixes; give one with prefix ids, such as Mooncake or "
        "WEKA, or set engine.prefix_store.host_bytes=0"));
  }
  if (plan.groups > 1 && plan.groups * requests.block_count > kStoredBlocksMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("engine.replicas and engine.dp_attention make ", plan.groups,
                     " prefix stores, each over the ", requests.block_count, " blocks of ",
                     requests.source_name, "; at most ", kStoredBlocksMax,
                     " can be tracked in all: lower them, or use a shorter trace"));
  }
  if (PrefixBlocks(plan.prefix_bytes_node, plan, requests) > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "engine.prefix_store.host_bytes ", plan.prefix_bytes_node, " holds no block: one of ",
      requests.block_tokens, " tokens is ", PrefixBlockBytesNode(plan, requests), " bytes over ",
      plan.ranks, " ranks; raise it"));
}

absl::Status CheckLowerTiers(const PrefixTiers& tiers, const MemoryPlan& plan,
                             const RequestTrace& requests) {
  const std::pair<const char*, int64_t> lower[] = {{"nvme_bytes", tiers.nvme_bytes()},
                                                   {"remote_bytes", tiers.remote_bytes()}};
  for (const auto& [field, bytes] : lower) {
    if (bytes == 0 || LowerTierBlocks(bytes, plan, requests) > 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("engine.prefix_store.", field, " ", bytes, " holds no block: one of ",
                     requests.block_tokens, " tokens is ", plan.FullKvBytes(requests.block_tokens),
                     " bytes; raise it or give 0"));
  }
  return absl::OkStatus();
}

// Invariants that hold in every run (conservation.h); a violation is our bug and the result shows
// it.
void FillViolations(const ReplicaOutcome& outcome, RunResult* result) {
  for (const InvariantViolation& found : outcome.violations) {
    Violation* violation = result->add_violations();
    violation->set_what(found.what);
    violation->set_count(found.count);
  }
}

// Digest of a resolved scenario of which only some parts are set.
std::string PartDigest(const Scenario& part) {
  Digest digest;
  digest.Add(ScenarioText(part));
  return digest.hex();
}

// What is modelled, under digests of its own: a comparison can say which of the two differs.
void FillModelled(const Scenario& scenario, RunResult* result) {
  Scenario model, device;
  *model.mutable_model() = scenario.model();
  *device.mutable_hardware() = scenario.hardware();
  *device.mutable_node() = scenario.node();
  Input* input = result->add_inputs();
  input->set_role("model");
  input->set_name(scenario.model().name());
  input->set_digest(PartDigest(model));
  input->set_provenance("of the scenario");
  input = result->add_inputs();
  input->set_role("device");
  input->set_name(scenario.hardware().gpu());
  input->set_digest(PartDigest(device));
  input->set_provenance("modelled: hardware and node of the scenario");
}

void FillInputs(const Scenario& scenario, const SimulationInputs& inputs, RunResult* result) {
  if (inputs.demand != nullptr) {
    Input* input = result->add_inputs();
    input->set_role("attention trace");
    input->set_name(inputs.demand->trace_name);
    input->set_digest(inputs.demand->trace_digest);
    input->set_provenance(inputs.demand->provenance);
  }
  if (inputs.requests != nullptr) {
    Input* input = result->add_inputs();
    input->set_role("request trace");
    input->set_name(inputs.requests->source_name);
    input->set_digest(inputs.requests->digest);
    input->set_provenance(inputs.requests->format);
  }
  FillModelled(scenario, result);
}

void FillProfiles(const WindowDemand& demand, const ReplicaOutcome& outcome, RunResult* result) {
  for (size_t i = 0; i < demand.profiles.size(); ++i) {
    Profile* profile = result->add_profiles();
    profile->set_index(static_cast<int32_t>(i));
    profile->set_prompt_tokens(demand.profiles[i].prompt_tokens);
    profile->set_requests(outcome.profile_use[i].requests);
    profile->set_wraps(outcome.profile_use[i].wraps);
  }
}

}  // namespace

DemandSpec DemandSpecOf(const Scenario& scenario) {
  const Policy& policy = scenario.policy();
  DemandSpec spec;
  spec.policy = WantPolicyOf(policy.kind());
  if (NeedsLayers(spec.policy)) {  // of the rest nothing
    spec.hot_buffer_entries = policy.hot_buffer_entries();
    spec.pool_parts = std::llround(policy.pool_ratio() * static_cast<double>(kPoolParts));
    spec.pool_warmup_steps = policy.pool_warmup_steps();
    return spec;
  }
  // A window in steps of the trace, which is a token a step: with mtp as many as it can come to.
  const Mtp& mtp = scenario.engine().mtp();
  const int64_t tokens =
      TokenClock::Of(mtp.draft_tokens(), mtp.acceptance()).At(policy.tau_steps());
  spec.tau_steps = policy.tau_steps() * static_cast<int32_t>(CeilDiv(tokens, policy.tau_steps()));
  spec.threshold_code = ThresholdCode(policy.threshold());
  spec.page_kmax = policy.page_kmax();
  spec.recency_entries = policy.recency_entries();
  spec.sink_entries = policy.sink_entries();
  spec.seed = scenario.seed();
  return spec;
}

absl::Status CheckMemory(const Scenario& scenario) {
  TIERSCOPE_ASSIGN_OR_RETURN(const MemoryPlan plan, MakeMemoryPlan(scenario));
  return CheckRequestFits(scenario, plan);
}

absl::StatusOr<Simulation> Simulate(const Scenario& scenario, const SimulationInputs& inputs) {
  TIERSCOPE_ASSIGN_OR_RETURN(const MemoryPlan plan, MakeMemoryPlan(scenario));
  TIERSCOPE_RETURN_IF_ERROR(CheckRequestFits(scenario, plan));
  if (inputs.demand != nullptr) {
    TIERSCOPE_RETURN_IF_ERROR(CheckTraceFitsModel(scenario, *inputs.demand));
  }
  if (NeedsBlockIds(scenario)) {
    TIERSCOPE_RETURN_IF_ERROR(CheckPrefixStore(plan, *inputs.requests));
    TIERSCOPE_RETURN_IF_ERROR(
        CheckLowerTiers(scenario.engine().prefix_store(), plan, *inputs.requests));
  }
  Fleet fleet(scenario, plan, inputs.demand, inputs.requests, inputs.observer, inputs.options);
  ReplicaOutcome outcome = fleet.Run();
  if (!outcome.stuck.empty()) return absl::AbortedError(outcome.stuck);

  Simulation simulation;
  simulation.events = outcome.events;
  simulation.steps_leapt = outcome.steps_leapt;
  RunResult* result = &simulation.result;
  result->set_schema_version(kResultSchemaVersion);
  result->set_kind("simulated");
  result->set_scenario(scenario.name());
  result->set_scenario_digest(ScenarioDigest(scenario));
  result->set_seed(scenario.seed());
  result->set_event_digest(outcome.event_digest);
  FillInputs(scenario, inputs, result);
  FillMetrics(scenario, plan, inputs.demand, inputs.requests, inputs.indexer, outcome, result);
  if (inputs.demand != nullptr) FillProfiles(*inputs.demand, outcome, result);
  FillNotes(scenario, plan, inputs.demand, inputs.requests, outcome, result);
  FillViolations(outcome, result);
  return simulation;
}

}  // namespace tierscope

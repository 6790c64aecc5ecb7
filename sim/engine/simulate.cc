#include "sim/engine/simulate.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "reports/schema/metrics.h"
#include "scenarios/loader.h"
#include "scenarios/unused.h"
#include "sim/base/digest.h"
#include "sim/base/status_macros.h"
#include "sim/engine/memory_plan.h"
#include "sim/engine/replica.h"
#include "sim/engine/result_metrics.h"
#include "sim/model/recall_model.h"

namespace tierscope {

bool NeedsDemand(const Scenario& scenario) { return scenario.policy().kind() != Policy::FULL; }

bool NeedsBlockIds(const Scenario& scenario) {
  return scenario.engine().prefix_store().host_bytes() > 0;
}

namespace {

// What the second half of a run may differ by before it counts as not settled: requests that pile
// up as a part of those that arrive, and throughput.
constexpr double kBacklogMax = 0.02;
constexpr double kThroughputChangeMax = 0.05;

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
  const int64_t pages = plan.tiered ? plan.HostPages(context, output) : 0;
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
  if (context + output > plan.tokens_max) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a request of %d + %d tokens does not fit: beside weights and pools one "
                        "rank of %s has HBM for "
                        "%d tokens; lower workload.context_tokens, raise engine.tensor_parallel or "
                        "choose other hardware",
                        context, output, scenario.hardware().gpu(), plan.tokens_max));
  }
  if (plan.tiered && plan.HostPages(context, output) > plan.host_pages_max) {
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

void NotePolicy(const Scenario& scenario, const WindowDemand& demand, RunResult* result) {
  const double asked = scenario.policy().threshold();
  const double used = ThresholdCode(asked) / 256.0;
  if (used != asked) {
    result->add_notes(absl::StrCat("policy.threshold ", asked, " is rounded up to ", used, ", ",
                                   ThresholdCode(asked), "/256"));
  }
  const int32_t stride = demand.profiles.front().stride_steps;
  result->add_notes(absl::StrCat("coverage: the trace counts selections by page over ", stride,
                                 " steps, and they are taken as spread evenly over them; the "
                                 "active and the held set count step "
                                 "by step; a request's step 0 is not counted"));
}

void NoteFlashMemory(const Scenario& scenario, const ReplicaOutcome& outcome, RunResult* result) {
  if (scenario.policy().kind() != Policy::FLASHMEMORY) return;
  result->add_notes(
      "flashmemory: pages of equal score are taken in page order, which its torch.topk leaves "
      "open; "
      "a page that holds prompt and generated entries counts as the prompt's; the times of level 1 "
      "and of the staged recall are of its report, their split and the context are not stated");
  if (outcome.counters.entries_lost == 0) return;
  result->add_notes(absl::StrCat("flashmemory: ", outcome.counters.entries_lost,
                                 " generated entries found the decode region full and were lost"));
}

void NoteEviction(const Scenario& scenario, RunResult* result) {
  if (scenario.policy().eviction() != Policy::BELADY) return;
  result->add_notes(
      "eviction BELADY knows the want lists to come: a bound for unprotected policies and none to "
      "build; it spares recalls and not misses, and foresees neither jobs that are late for their "
      "tick nor requests that arrive");
}

void NoteProfiles(const ReplicaOutcome& outcome, RunResult* result) {
  int64_t requests = 0, wrapped = 0, off_by_half = 0;
  for (const ReplicaOutcome::ProfileUse& use : outcome.profile_use) {
    requests += use.requests;
    wrapped += use.wraps;
    off_by_half += use.context_off;
  }
  if (wrapped > 0) {
    result->add_notes(
        absl::StrCat("attention: requests ran past the end of their recorded profile and "
                     "went on at its start ",
                     wrapped, " times (", requests, " requests)"));
  }
  if (off_by_half > 0) {
    result->add_notes(
        absl::StrCat("attention: ", off_by_half, " of ", requests,
                     " requests have a context more than 1.5 times shorter or longer than "
                     "the nearest recorded profile, which was not rescaled (a shorter one has the "
                     "profile's newest pages)"));
  }
}

// What the kernels of a step are taken to be that no table says.
void NoteKernels(const Scenario& scenario, RunResult* result) {
  const StepModel& step = scenario.hardware().step_model();
  if (!step.has_kernels()) return;
  const KernelCalibration& kernels = step.kernels();
  std::string note = absl::StrCat(
      "step time: assumed are top-k kernel ", TopKKernel::Version_Name(step.topk_version()), " on ",
      TopKKernel::Scores_Name(step.topk_scores()),
      " scores (hardware.step_model.topk_version, topk_scores) and experts that are popular by "
      "expert_alpha ",
      step.expert_alpha());
  if (scenario.model().expert_weight_bits() > 0 && scenario.model().expert_weight_bits() < 8) {
    absl::StrAppend(&note, "; experts of ", scenario.model().expert_weight_bits(),
                    " bits compute in BF16 at the efficiency of 8-bit ones, in tiles of ",
                    kernels.moe().tile_rows_low_bit(),
                    " rows (kernels.moe.tile_rows_low_bit), of which there is no table");
  }
  result->add_notes(note);
  if (!kernels.carried().empty()) {
    result->add_notes(
        absl::StrCat("step time: kernels without a table of this card: ", kernels.carried()));
  }
}

// FlashMemory's engine leaves the graphs there and launches kernel by kernel.
void NoteGraphs(const Scenario& scenario, const ReplicaOutcome& outcome, RunResult* result) {
  const auto& graphs = scenario.engine().graph_batch_sizes();
  if (graphs.empty()) return;
  const int32_t largest = *std::max_element(graphs.begin(), graphs.end());
  if (outcome.peaks.requests_decoding <= largest) return;
  result->add_notes(absl::StrCat(
      "step time: up to ", outcome.peaks.requests_decoding,
      " requests decoded at once, more than the largest of engine.graph_batch_sizes, ", largest,
      "; such steps are not padded and cost no launches here, where an engine falls back to eager "
      "launches and is slower"));
}

// What caps a recall where that hides its path and layout.
void NoteRecall(const Scenario& scenario, RunResult* result) {
  const Node& node = scenario.node();
  const int64_t sharing =
      std::clamp<int64_t>(node.gpus_per_switch(), 1, scenario.engine().tensor_parallel());
  const int64_t share = node.switch_bytes_per_s() / sharing;
  const RecallWork work = RecallModel(scenario).Of(scenario.policy().page_kmax());
  if (sharing == 1 || work.link_bytes_per_s_max < share) return;
  result->add_notes(absl::StrFormat(
      "recall: a rank's share of its PCIe switch, %.1f GB/s of node.switch_bytes_per_s by "
      "gpus_per_switch %d (assumed), caps this recall; paths and layouts that could do more take "
      "the same time",
      static_cast<double>(share) * 1e-9, sharing));
}

// A fit holds for the model and the ranks it was made on; elsewhere its constants are carried.
void NoteStepModel(const Scenario& scenario, RunResult* result) {
  const StepModel& step = scenario.hardware().step_model();
  result->add_notes(absl::StrCat("step time: ", step.fitted_to(),
                                 step.evidence() == FITTED ? " (fitted)" : " (not fitted)"));
  NoteKernels(scenario, result);
  const bool same = scenario.model().name() == step.fitted_model() &&
                    scenario.engine().tensor_parallel() == step.fitted_tensor_parallel();
  if (same) return;
  result->add_notes(absl::StrCat("step time: the constants were fitted to ", step.fitted_model(),
                                 " at tensor parallelism ", step.fitted_tensor_parallel(),
                                 " and are carried unchanged to ", scenario.model().name(), " at ",
                                 scenario.engine().tensor_parallel(),
                                 ": not validated, and weights do not enter them"));
}

void NoteModels(const Scenario& scenario, RunResult* result) {
  NoteStepModel(scenario, result);
  if (NeedsDemand(scenario)) {
    const Engine& engine = scenario.engine();
    const Policy& policy = scenario.policy();
    const std::string level1 =
        policy.has_level1_fixed_ms()
            ? absl::StrCat("level1_fixed_ms ", policy.level1_fixed_ms())
            : absl::StrCat("level1_launch_ms ",
                           scenario.hardware().step_model().level1_launch_ms());
    const std::string gather =
        policy.recall_path() == Policy::GATHER_KERNEL
            ? absl::StrCat(", gather_interference ", engine.gather_interference())
            : "";
    result->add_notes(absl::StrCat("stall: level1_interference ", engine.level1_interference(),
                                   ", recall_interference ", engine.recall_interference(), gather,
                                   " and ", level1,
                                   " are assumptions, and stall follows them: sweep them"));
    if (engine.host_contention_ms_per_step() > 0) {
      result->add_notes(absl::StrCat(
          "stall: every step is ", engine.host_contention_ms_per_step(),
          " ms longer for contention on the host (host_contention_ms_per_step), an input"));
    }
    if (policy.recall_path() == Policy::STAGED) {
      result->add_notes(
          "recall: the rates of CPU gather and pageable copy split a published total evenly, an "
          "assumption");
    }
  }
  if (NeedsDemand(scenario)) NoteRecall(scenario, result);
  if (scenario.hardware().host_link().evidence() == EVIDENCE_UNKNOWN) {
    result->add_notes(
        "host link: the copy curve was measured on another card (H100) and is carried over");
  }
  const int32_t idle = scenario.node().gpus() - scenario.engine().tensor_parallel();
  if (idle > 0) {
    result->add_notes(absl::StrCat("node: one replica has the host to itself; ", idle, " of its ",
                                   scenario.node().gpus(), " GPUs are idle"));
  }
  if (!scenario.node().evidence().empty()) {
    result->add_notes(absl::StrCat("node: ", scenario.node().evidence()));
  }
}

void NoteUnused(const Scenario& scenario, RunResult* result) {
  for (const UnusedField& field : UnusedSettings(scenario)) {
    result->add_notes(absl::StrCat(field.path, " has no effect because ", field.because));
  }
}

void NoteAttention(const Scenario& scenario, const WindowDemand& demand, RunResult* result) {
  result->add_notes(absl::StrCat("attention: ", demand.provenance));
  const Model& model = scenario.model();
  if (demand.csa_layers == model.csa_layers() && demand.top_k == model.top_k()) return;
  result->add_notes(absl::StrCat("attention: the trace is of ", demand.csa_layers,
                                 " CSA layers with top-", demand.top_k, ", the model has ",
                                 model.csa_layers(), " with top-", model.top_k(),
                                 ": selections and coverage are the trace's"));
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

void NotePrefixStore(const Scenario& scenario, const MemoryPlan& plan, const RequestTrace& requests,
                     RunResult* result) {
  if (!NeedsBlockIds(scenario)) return;
  result->add_notes(absl::StrCat("prefix reuse: in whole pages of ", plan.page_tokens,
                                 " tokens covered by matching leading "
                                 "blocks of ",
                                 requests.block_tokens,
                                 ", never a prompt's last token; the store holds ",
                                 PrefixBlocks(plan.prefix_bytes_node, plan, requests),
                                 " of the trace's ", requests.block_count, " blocks"));
}

// A load that the run's second half shows not to have settled. Chance explains a backlog of up to
// twice the square root of those that arrived.
void NoteSteadiness(const Scenario& scenario, const ReplicaOutcome& outcome, RunResult* result) {
  const Counters& c = outcome.counters;
  const int64_t in_system = outcome.arrived - outcome.finished - outcome.rejected;
  if (c.completed == 0 && in_system > 0) {
    result->add_notes(
        "not steady: no request finished after the warm-up, so these figures are of its beginning; "
        "raise engine.simulated_s");
  }
  if (!outcome.half) return;
  const ReplicaOutcome::HalfTime& half = *outcome.half;
  const auto grown = static_cast<double>(in_system - half.in_system);
  const auto arrived = static_cast<double>(outcome.arrived - half.arrived);
  if (grown > kBacklogMax * arrived && grown > 2.0 * std::sqrt(arrived)) {
    result->add_notes(absl::StrFormat(
        "not steady: of %.0f requests that arrived in the second half %.0f piled up: the load is "
        "more than the replica carries, and queue times grow with engine.simulated_s",
        arrived, grown));
  }
  const SimDuration rest = c.decode - half.decode;
  if (scenario.workload().arrivals() != Workload::CLOSED_LOOP || half.decode.ns == 0 ||
      rest.ns == 0) {
    return;
  }
  const double before = static_cast<double>(half.decode_tokens) / ToSeconds(half.decode);
  const double after = static_cast<double>(c.decode_tokens - half.decode_tokens) / ToSeconds(rest);
  if (std::abs(after / before - 1.0) <= kThroughputChangeMax) return;
  result->add_notes(absl::StrFormat(
      "not steady: throughput of the second half is %+.0f %% against the first; raise "
      "engine.simulated_s or engine.warmup_windows",
      100.0 * (after / before - 1.0)));
}

void NoteRun(const Scenario& scenario, const ReplicaOutcome& outcome, RunResult* result) {
  NoteSteadiness(scenario, outcome, result);
  NoteGraphs(scenario, outcome, result);
  if (!outcome.warmup_end) {
    result->add_notes(
        absl::StrCat("the run ended within the warm-up of ",
                     scenario.engine().warmup_windows() * scenario.policy().tau_steps(),
                     " steps: nothing is left out of the metrics"));
  }
  if (outcome.rejected > 0) {
    result->add_notes(absl::StrCat(outcome.rejected,
                                   " requests were rejected: they would not fit an empty replica"));
  }
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
  spec.tau_steps = policy.tau_steps();
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
  Replica replica(scenario, plan, inputs.demand, inputs.requests, inputs.observer, inputs.options);
  ReplicaOutcome outcome = replica.Run();
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
  FillMetrics(scenario, plan, inputs.demand, inputs.requests, outcome, result);
  if (inputs.demand != nullptr) {
    NotePolicy(scenario, *inputs.demand, result);
    NoteAttention(scenario, *inputs.demand, result);
    NoteFlashMemory(scenario, outcome, result);
    NoteEviction(scenario, result);
    NoteProfiles(outcome, result);
    FillProfiles(*inputs.demand, outcome, result);
  }
  NoteModels(scenario, result);
  NoteUnused(scenario, result);
  if (inputs.requests != nullptr) NotePrefixStore(scenario, plan, *inputs.requests, result);
  NoteRun(scenario, outcome, result);
  FillViolations(outcome, result);
  return simulation;
}

}  // namespace tierscope

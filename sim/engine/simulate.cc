#include "sim/engine/simulate.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "reports/schema/metrics.h"
#include "scenarios/loader.h"
#include "sim/base/status_macros.h"
#include "sim/engine/memory_plan.h"
#include "sim/engine/replica.h"
#include "sim/engine/result_metrics.h"

namespace tierscope {

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
    case Policy::FULL:
    case Policy::LSA:
      return WantPolicy::kLsa;
  }
  return WantPolicy::kLsa;
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
  return absl::OkStatus();
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

// What the device was and whether the run stayed inside what was measured on it.
void NoteMeasuredOps(const Scenario& scenario, const Counters& counters, RunResult* result) {
  const MeasuredOps& ops = scenario.hardware().measured_ops();
  result->add_notes(absl::StrCat("step time: ops measured one by one on ", ops.device(), ", ",
                                 ops.taken(), ", profile ", ops.sha256()));
  if (counters.steps_extrapolated + counters.jobs_extrapolated == 0) return;
  result->add_notes(absl::StrCat("step time: extrapolated beyond the grid of the measured ops in ",
                                 counters.steps_extrapolated, " of ", counters.steps,
                                 " steps and in ", counters.jobs_extrapolated, " level-1 jobs"));
}

// A fit holds for the model and the ranks it was made on; elsewhere its constants are carried.
void NoteStepModel(const Scenario& scenario, const Counters& counters, RunResult* result) {
  if (scenario.engine().executed_ranks() == 1) {
    result->add_notes(
        "one rank alone: all-reduce, host bandwidth shared among ranks and expert imbalance are "
        "not in this run");
  }
  if (scenario.hardware().has_measured_ops()) return NoteMeasuredOps(scenario, counters, result);
  const StepModel& step = scenario.hardware().step_model();
  result->add_notes(absl::StrCat("step time: ", step.fitted_to(),
                                 step.evidence() == FITTED ? " (fitted)" : " (not fitted)"));
  const bool same = scenario.model().name() == step.fitted_model() &&
                    scenario.engine().tensor_parallel() == step.fitted_tensor_parallel();
  if (same) return;
  result->add_notes(absl::StrCat("step time: the constants were fitted to ", step.fitted_model(),
                                 " at tensor parallelism ", step.fitted_tensor_parallel(),
                                 " and are carried unchanged to ", scenario.model().name(), " at ",
                                 scenario.engine().tensor_parallel(),
                                 ": not validated, and weights do not enter them"));
}

void NoteModels(const Scenario& scenario, const Counters& counters, RunResult* result) {
  NoteStepModel(scenario, counters, result);
  if (NeedsDemand(scenario) && !scenario.hardware().has_measured_ops()) {
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

void NoteRun(const Scenario& scenario, const ReplicaOutcome& outcome, RunResult* result) {
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

void FillInputs(const SimulationInputs& inputs, RunResult* result) {
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
  FillInputs(inputs, result);
  FillMetrics(scenario, plan, inputs.demand, inputs.requests, outcome, result);
  if (inputs.demand != nullptr) {
    NotePolicy(scenario, *inputs.demand, result);
    NoteAttention(scenario, *inputs.demand, result);
    NoteFlashMemory(scenario, outcome, result);
    NoteEviction(scenario, result);
    NoteProfiles(outcome, result);
    FillProfiles(*inputs.demand, outcome, result);
  }
  NoteModels(scenario, outcome.counters, result);
  if (inputs.requests != nullptr) NotePrefixStore(scenario, plan, *inputs.requests, result);
  NoteRun(scenario, outcome, result);
  FillViolations(outcome, result);
  return simulation;
}

}  // namespace tierscope

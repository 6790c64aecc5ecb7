#include "sim/engine/notes.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "scenarios/memory.h"
#include "scenarios/policy_kind.h"
#include "scenarios/unused.h"
#include "sim/base/units.h"
#include "sim/engine/lockstep.h"
#include "sim/engine/rival_notes.h"
#include "sim/engine/simulate.h"
#include "sim/model/recall_model.h"

namespace tierscope {
namespace {

// What the second half of a run may differ by before it counts as not settled: requests that pile
// up as a part of those that arrive, and throughput.
constexpr double kBacklogMax = 0.02;
constexpr double kThroughputChangeMax = 0.05;

void NotePolicy(const Scenario& scenario, const WindowDemand& demand, RunResult* result) {
  if (demand.hot_buffers != nullptr) return;  // no threshold, no pages
  const double asked = scenario.policy().threshold();
  const int32_t code = DemandSpecOf(scenario).threshold_code;
  const double used = code / 256.0;
  if (used != asked) {
    result->add_notes(
        absl::StrCat("policy.threshold ", asked, " is rounded up to ", used, ", ", code, "/256"));
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
  const int64_t sharing = std::clamp<int64_t>(node.gpus_per_switch(), 1, RanksOfNode(scenario));
  const int64_t share = node.switch_bytes_per_s() / sharing;
  const RecallWork work = RecallModel(scenario).Of(scenario.policy().page_kmax());
  if (sharing == 1 || work.link_bytes_per_s_max < share) return;
  result->add_notes(absl::StrFormat(
      "recall: a rank's share of its PCIe switch, %.1f GB/s of node.switch_bytes_per_s by "
      "gpus_per_switch %d (assumed), caps this recall; paths and layouts that could do more take "
      "the same time",
      static_cast<double>(share) * 1e-9, sharing));
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

void NoteNode(const Scenario& scenario, RunResult* result) {
  const Engine& engine = scenario.engine();
  const int32_t replicas = ReplicasOfNode(scenario);
  const int32_t idle = scenario.node().gpus() - replicas * engine.tensor_parallel();
  if (engine.replicas() == 1 && idle > 0) {
    result->add_notes(absl::StrCat("node: one replica has the host to itself; ", idle, " of its ",
                                   scenario.node().gpus(), " GPUs are idle"));
  }
  if (engine.replicas() > 1) {
    result->add_notes(absl::StrCat(
        "replicas: ", engine.replicas(), " on ", CeilDiv(engine.replicas(), replicas), " nodes, ",
        replicas, " on a full one, each with an even share of its host DRAM, for good; ", idle,
        " of a full node's ", scenario.node().gpus(),
        " GPUs are idle; figures of one rank are means over replicas, its peaks the fullest "
        "rank's, "
        "those of a node a full node's; the timeline shows the first replica"));
  }
}

void NoteLayout(const Scenario& scenario, RunResult* result) {
  const Engine& engine = scenario.engine();
  if (engine.dp_attention() > 1) {
    result->add_notes(absl::StrCat(
        "dp_attention: ", engine.dp_attention(), " groups of ",
        engine.tensor_parallel() / engine.dp_attention(),
        " ranks; a step takes the slowest group's attention and one pass of experts over all; an "
        "all-gather and a reduce-scatter are timed as one all-reduce, a group's share of the host "
        "is "
        "fixed, and the step's constants, fitted without it, are carried"));
  }
  if (engine.expert_parallel() > 1) {
    result->add_notes(absl::StrCat(
        "expert_parallel: the group with the most popular experts decides, in expectation over "
        "tokens; ",
        engine.dp_attention() > 1
            ? "all-to-all at the all-reduce's ring rate, an assumption"
            : "every rank has all tokens, so nothing is sent between groups"));
  }
}

void NoteMtp(const Scenario& scenario, RunResult* result) {
  const Mtp& mtp = scenario.engine().mtp();
  if (mtp.draft_tokens() == 0) return;
  const TokenClock clock = TokenClock::Of(mtp.draft_tokens(), mtp.acceptance());
  result->add_notes(absl::StrCat(
      "mtp: every request gains ", 1.0 + static_cast<double>(clock.accepted) / 4294967296.0,
      " tokens a step, all alike: acceptance ", mtp.acceptance(),
      " is an input and its scatter over requests is not modelled; a tick reads the trace at the "
      "last recorded tick before its token; the draft layer's weights are in no footprint"));
}

void NoteModels(const Scenario& scenario, const Counters& counters, RunResult* result) {
  NoteLayout(scenario, result);
  NoteMtp(scenario, result);
  NoteStepModel(scenario, counters, result);
  const bool recalls = PlacementOf(scenario.policy().kind()) == KvPlacement::kTiered;
  if (recalls && !scenario.hardware().has_measured_ops()) {
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
  if (recalls) NoteRecall(scenario, result);
  if (scenario.hardware().host_link().evidence() == EVIDENCE_UNKNOWN) {
    result->add_notes(
        "host link: the copy curve was measured on another card (H100) and is carried over");
  }
  NoteNode(scenario, result);
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

void NoteBacklog(const Scenario& scenario, const ReplicaOutcome::Halves& halves,
                 RunResult* result) {
  const auto grown = static_cast<double>(halves.piled_up);
  const auto arrived = static_cast<double>(halves.arrived);
  if (grown <= kBacklogMax * arrived || grown <= 2.0 * std::sqrt(arrived)) return;
  result->add_notes(absl::StrFormat(
      "not steady: of %.0f requests that arrived in the second half %.0f piled up: the load is "
      "more than the %s, and queue times grow with engine.simulated_s",
      arrived, grown, scenario.engine().replicas() > 1 ? "replicas carry" : "replica carries"));
}

// A load that the run's second half shows not to have settled. Chance explains a backlog of up to
// twice the square root of those that arrived. Of several replicas the means are compared.
void NoteSteadiness(const Scenario& scenario, const ReplicaOutcome& outcome, RunResult* result) {
  const int64_t in_system = outcome.arrived - outcome.finished - outcome.rejected;
  if (outcome.counters.completed == 0 && in_system > 0) {
    result->add_notes(
        "not steady: no request finished after the warm-up, so these figures are of its beginning; "
        "raise engine.simulated_s");
  }
  if (!outcome.halves) return;
  NoteBacklog(scenario, *outcome.halves, result);
  const ReplicaOutcome::Halves::Decoded& first = outcome.halves->first;
  const ReplicaOutcome::Halves::Decoded& second = outcome.halves->second;
  if (scenario.workload().arrivals() != Workload::CLOSED_LOOP || first.decode.ns == 0 ||
      second.decode.ns == 0) {
    return;
  }
  const double before = static_cast<double>(first.tokens) / ToSeconds(first.decode);
  const double after = static_cast<double>(second.tokens) / ToSeconds(second.decode);
  if (std::abs(after / before - 1.0) <= kThroughputChangeMax) return;
  result->add_notes(absl::StrFormat(
      "not steady: throughput of the second half is %+.0f %% against the first; raise "
      "engine.simulated_s or engine.warmup_windows",
      100.0 * (after / before - 1.0)));
}

void NoteRun(const Scenario& scenario, const ReplicaOutcome& outcome, RunResult* result) {
  NoteSteadiness(scenario, outcome, result);
  NoteGraphs(scenario, outcome, result);
  const auto groups = static_cast<int64_t>(outcome.shares.size());
  if (groups > 1) {
    result->add_notes(
        absl::StrCat("timeline.json and series.json, and with them charts over time, "
                     "are of the first of ",
                     groups, " groups"));
  }
  if (outcome.groups_in_warmup > 0) {
    const std::string which =
        groups == 1 ? "" : absl::StrCat(outcome.groups_in_warmup, " of ", groups, " groups: ");
    result->add_notes(
        absl::StrCat(which, "the run ended within the warm-up of ",
                     scenario.engine().warmup_windows() * scenario.policy().tau_steps(),
                     " steps: nothing is left out of the metrics"));
  }
  if (outcome.rejected > 0) {
    result->add_notes(absl::StrCat(outcome.rejected,
                                   " requests were rejected: they would not fit an empty replica"));
  }
}

}  // namespace

void FillNotes(const Scenario& scenario, const MemoryPlan& plan, const WindowDemand* demand,
               const RequestTrace* requests, const ReplicaOutcome& outcome, RunResult* result) {
  if (demand != nullptr) {
    NotePolicy(scenario, *demand, result);
    NoteAttention(scenario, *demand, result);
    NoteFlashMemory(scenario, outcome, result);
    NoteRival(scenario, *demand, result);
    NoteEviction(scenario, result);
    NoteProfiles(outcome, result);
  }
  NoteModels(scenario, outcome.counters, result);
  NoteUnused(scenario, result);
  if (requests != nullptr) NotePrefixStore(scenario, plan, *requests, result);
  NoteRun(scenario, outcome, result);
}

}  // namespace tierscope

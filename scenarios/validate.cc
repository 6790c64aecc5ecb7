#include "scenarios/validate.h"

#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "scenarios/fields.h"
#include "scenarios/memory.h"
#include "scenarios/ranges.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

constexpr size_t kNameMax = 100;

std::string Gb(int64_t bytes) {
  return absl::StrFormat("%.1f GB", static_cast<double>(bytes) / 1e9);
}

std::string Element(absl::string_view list, int index, absl::string_view field) {
  return absl::StrCat(list, "[", index, "].", field);
}

// A name becomes part of file names.
absl::Status CheckName(const Scenario& scenario, const Origins& origins) {
  const std::string& name = scenario.name();
  bool plain = !name.empty() && name.size() <= kNameMax && name[0] != '.';
  for (const char c : name) {
    const bool word = absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
    plain = plain && (word || c == '-' || c == '.');
  }
  if (plain) return absl::OkStatus();
  return origins.Error("name", absl::StrCat("is not a plain name; give up to ", kNameMax,
                                            " letters, digits, _ - and ., no leading ."));
}

absl::Status CheckModel(const Model& model, const Origins& origins) {
  if (model.target_layers() <= model.csa_layers()) return absl::OkStatus();
  return origins.Error("model.target_layers",
                       absl::StrCat(model.target_layers(), " is more than model.csa_layers (",
                                    model.csa_layers(), "); give at most that"));
}

// The path of a number of `message` that is unset, sub-messages included.
void VisitUnsetNumbers(const google::protobuf::Message& message, const std::string& path,
                       std::string* missing) {
  const auto& reflection = *message.GetReflection();
  const auto& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count() && missing->empty(); ++i) {
    const auto* field = type.field(i);
    const std::string field_path = absl::StrCat(path, ".", field->name());
    if (field->is_repeated()) {
      for (int j = 0; j < reflection.FieldSize(message, field); ++j) {
        VisitUnsetNumbers(reflection.GetRepeatedMessage(message, field, j),
                          absl::StrCat(field_path, "[", j, "]"), missing);
      }
    } else if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
      VisitUnsetNumbers(reflection.GetMessage(message, field), field_path, missing);
    } else if (IsNumeric(*field) && !reflection.HasField(message, field)) {
      *missing = field_path;
    }
  }
}

// What the kernel model divides by or looks up is there.
absl::Status CheckKernels(const StepModel& step, const std::string& path, const Origins& origins) {
  const KernelCalibration& kernels = step.kernels();
  const std::pair<const char*, bool> families[] = {{"gemm_fp8", kernels.has_gemm_fp8()},
                                                   {"gemm_bf16", kernels.has_gemm_bf16()},
                                                   {"moe", kernels.has_moe()},
                                                   {"scoring", kernels.has_scoring()},
                                                   {"attention", kernels.has_attention()},
                                                   {"csa_layer", kernels.has_csa_layer()},
                                                   {"hca_layer", kernels.has_hca_layer()},
                                                   {"all_reduce", kernels.has_all_reduce()},
                                                   {"sm_count", kernels.has_sm_count()}};
  for (const auto& [name, given] : families) {
    if (!given) {
      return origins.Error(absl::StrCat(path, ".", name),
                           "is not given; give it or hardware.step_model.kernels.preset");
    }
  }
  std::string missing;
  VisitUnsetNumbers(kernels, path, &missing);
  if (!missing.empty()) {
    return origins.Error(missing, "is not given; a calibration names every number of a kernel");
  }
  for (const TopKKernel& top_k : kernels.top_k()) {
    const bool chosen =
        top_k.version() == step.topk_version() && top_k.scores() == step.topk_scores();
    if (chosen) return absl::OkStatus();
  }
  return origins.Error("hardware.step_model.topk_version",
                       absl::StrCat(TopKKernel::Version_Name(step.topk_version()), " on ",
                                    TopKKernel::Scores_Name(step.topk_scores()),
                                    " scores is not among hardware.step_model.kernels.top_k; "
                                    "choose one that is"));
}

// The shapes of a layer's products, without which kernels cannot be timed.
absl::Status CheckShapes(const Scenario& scenario, const Origins& origins) {
  const Model& model = scenario.model();
  const bool mla = model.kv_lora_rank() > 0;
  const std::pair<const char*, bool> shapes[] = {
      {"hidden_size", model.has_hidden_size()},
      {"q_lora_rank", model.has_q_lora_rank()},
      {"o_lora_rank", mla || model.o_lora_rank() > 0},
      {"o_groups", mla || model.has_o_groups()},
      {"qk_head_dim", !mla || model.has_qk_head_dim()},
      {"v_head_dim", !mla || model.has_v_head_dim()},
      {"experts", model.has_experts()},
      {"experts_per_token", model.has_experts_per_token()},
      {"shared_experts", model.has_shared_experts()},
      {"expert_intermediate", model.has_expert_intermediate()},
      {"expert_weight_bits", model.has_expert_weight_bits()},
      {"dense_intermediate", model.dense_layers() == 0 || model.dense_intermediate() > 0},
      {"vocab_size", model.has_vocab_size()}};
  for (const auto& [name, given] : shapes) {
    if (given) continue;
    return origins.Error(absl::StrCat("model.", name),
                         "is not given, and hardware.step_model.kernels times the products of a "
                         "layer; give it (scenarios/models/v4_flash.txtpb shows all shapes)");
  }
  const int32_t layers = model.csa_layers() + model.hca_layers() + model.swa_layers();
  if (model.dense_layers() > layers) {
    return origins.Error("model.dense_layers",
                         absl::StrCat(model.dense_layers(), " is more than the model's ", layers,
                                      " layers; give at most that"));
  }
  return absl::OkStatus();
}

// Measured ops, or the rooflines' efficiencies, or calibrated kernels and the model's shapes, which
// replace them.
absl::Status CheckStepModel(const Scenario& scenario, const Origins& origins) {
  if (scenario.hardware().has_measured_ops()) return CheckMeasuredOps(scenario, origins);
  const StepModel& step = scenario.hardware().step_model();
  const std::string path = "hardware.step_model";
  const std::pair<const char*, bool> efficiencies[] = {
      {".scoring_efficiency", step.has_scoring_efficiency()},
      {".attention_efficiency", step.has_attention_efficiency()}};
  for (const auto& [name, given] : efficiencies) {
    if (given != step.has_kernels()) continue;
    return origins.Error(absl::StrCat(path, name),
                         given
                             ? "has no effect beside hardware.step_model.kernels; give one of the "
                               "two"
                             : "is not given; give it or hardware.step_model.kernels.preset");
  }
  if (!step.has_kernels()) return absl::OkStatus();
  TIERSCOPE_RETURN_IF_ERROR(CheckKernels(step, path + ".kernels", origins));
  return CheckShapes(scenario, origins);
}

absl::Status CheckCopyCurve(const Link& link, const Origins& origins) {
  std::set<std::pair<int64_t, int64_t>> points;
  for (int i = 0; i < link.batched_copy_size(); ++i) {
    const CopyPoint& point = link.batched_copy(i);
    const std::string path = absl::StrCat("hardware.host_link.batched_copy[", i, "]");
    if (!point.has_piece_bytes() || !point.has_descriptors() || !point.has_bytes_per_s()) {
      return origins.Error(path, "is incomplete; give piece_bytes, descriptors and bytes_per_s");
    }
    if (point.bytes_per_s() > link.peak_bytes_per_s()) {
      return origins.Error(
          path, absl::StrCat(point.bytes_per_s(), " bytes/s is more than peak_bytes_per_s (",
                             link.peak_bytes_per_s(), "); lower it or raise the peak"));
    }
    if (!points.insert({point.descriptors(), point.piece_bytes()}).second) {
      return origins.Error(path,
                           "repeats a piece size and descriptor count; remove one of the two");
    }
  }
  return absl::OkStatus();
}

bool IsOpenLoop(const Workload& workload) {
  switch (workload.arrivals()) {
    case Workload::CLOSED_LOOP:
      return false;
    case Workload::POISSON:
    case Workload::GAMMA:
    case Workload::TRACE:
      return true;
  }
  return false;
}

absl::Status CheckArrivals(const Workload& workload, const Origins& origins) {
  const std::string& arrivals = Workload::Arrivals_Name(workload.arrivals());
  const bool timed_by_rate = IsOpenLoop(workload) && workload.arrivals() != Workload::TRACE;
  if (!IsOpenLoop(workload) && workload.concurrency() < 1) {
    return origins.Error("workload.concurrency",
                         "a closed loop needs a number of users; give 1 to 1000000");
  }
  if (timed_by_rate && !workload.has_requests_per_s()) {
    return origins.Error(
        "workload.requests_per_s",
        absl::StrCat("arrivals ", arrivals, " need a rate; give workload.requests_per_s"));
  }
  if (!timed_by_rate && workload.has_requests_per_s()) {
    return origins.Error("workload.requests_per_s",
                         absl::StrCat("has no effect with arrivals ", arrivals,
                                      "; remove it or choose POISSON or GAMMA"));
  }
  if (workload.think_s() > 0 && (IsOpenLoop(workload) || workload.has_trace())) {
    return origins.Error(
        "workload.think_s",
        "has no effect: it is the pause of a closed loop without a trace; remove it");
  }
  if (workload.arrival_cv() != 1.0 && workload.arrivals() != Workload::GAMMA) {
    return origins.Error(
        "workload.arrival_cv",
        absl::StrCat("has no effect with arrivals ", arrivals, "; remove it or choose GAMMA"));
  }
  if (workload.arrivals() == Workload::TRACE && !workload.has_trace()) {
    return origins.Error(
        "workload.trace",
        "is not given, and arrivals TRACE replay one; give --set workload.trace=FILE");
  }
  return absl::OkStatus();
}

// Waiting requests are kept in memory, so an open loop has an end.
absl::Status CheckArrivalCount(const Scenario& scenario, const Origins& origins) {
  const Workload& workload = scenario.workload();
  constexpr double kArrivalsMax = 2e7;
  const double arrivals = workload.requests_per_s() * scenario.engine().simulated_s();
  if (workload.request_limit() > 0 || arrivals <= kArrivalsMax) return absl::OkStatus();
  return origins.Error(
      "workload.requests_per_s",
      absl::StrFormat("%g a second for %g s are more than %g requests; lower it, "
                      "engine.simulated_s, or set workload.request_limit",
                      workload.requests_per_s(), scenario.engine().simulated_s(), kArrivalsMax));
}

absl::Status CheckClass(const Workload& workload, int index, const Origins& origins) {
  const RequestClass& request_class = workload.classes(index);
  if (!workload.has_context_tokens() && !request_class.has_context_tokens()) {
    return origins.Error(Element("workload.classes", index, "context_tokens"),
                         "is not given; give it, or workload.context_tokens for all classes");
  }
  if (!workload.has_output_tokens() && !request_class.has_output_tokens()) {
    return origins.Error(Element("workload.classes", index, "output_tokens"),
                         "is not given; give it, or workload.output_tokens for all classes");
  }
  return absl::OkStatus();
}

// Every request has a prompt and an output from somewhere.
absl::Status CheckLengths(const Workload& workload, const Origins& origins) {
  if (workload.has_trace() && workload.classes_size() > 0) {
    return origins.Error("workload.trace",
                         "a trace and workload.classes exclude each other; remove one of them");
  }
  for (int i = 0; i < workload.classes_size(); ++i) {
    TIERSCOPE_RETURN_IF_ERROR(CheckClass(workload, i, origins));
  }
  if (workload.has_trace() || workload.classes_size() > 0) return absl::OkStatus();
  constexpr absl::string_view kMissing =
      "is not given; give it, or workload.classes, or workload.trace";
  if (!workload.has_context_tokens()) return origins.Error("workload.context_tokens", kMissing);
  if (!workload.has_output_tokens()) return origins.Error("workload.output_tokens", kMissing);
  return absl::OkStatus();
}

absl::Status CheckAttention(const Scenario& scenario, const Origins& origins) {
  const Attention& attention = scenario.workload().attention();
  if (scenario.policy().kind() == Policy::FULL || attention.has_trace()) return absl::OkStatus();
  if (!attention.has_generator_preset()) {
    return origins.Error(
        "workload.attention.trace",
        absl::StrCat("is not given, and policy ", Policy::Kind_Name(scenario.policy().kind()),
                     " needs one; give it or workload.attention.generator_preset"));
  }
  const Workload& workload = scenario.workload();
  if (workload.has_trace() && !workload.has_context_tokens() &&
      attention.context_tokens_size() == 0) {
    return origins.Error("workload.attention.context_tokens",
                         "is empty, and a request trace has too many contexts for a profile each; "
                         "give a ladder such as [8192,65536,524288]");
  }
  return absl::OkStatus();
}

int64_t PagesForEntries(int64_t entries, const Model& model) {
  return CeilDiv(entries, model.page_entries());
}

// A want list larger than FlashMemory's pool evicts its own pages; a pool of none holds nothing.
absl::Status CheckFlashMemoryReserve(const Scenario& scenario, const Origins& origins) {
  const Model& model = scenario.model();
  const Policy& policy = scenario.policy();
  const bool protects = policy.eviction() == Policy::LRU_PROTECTED;
  const int64_t pages_min = protects ? policy.page_kmax() : 1;
  const int64_t recall_pages = FlashMemoryRecallPages(model, policy);
  if (recall_pages >= pages_min) return absl::OkStatus();
  const int64_t region_entries =
      kFlashMemorySlots * kFlashMemorySlotEntries + kFlashMemorySinkCells;
  return origins.Error(
      "policy.reserve_entries",
      absl::StrCat(policy.reserve_entries(), " entries, less FlashMemory's decode region of ",
                   region_entries, ", are ", recall_pages, " pages to recall into; give at least ",
                   region_entries + pages_min * model.page_entries()));
}

// One request's pages fit the reserve: those it takes, the forced ones and the one that is being
// filled.
absl::Status CheckReserve(const Scenario& scenario, const Origins& origins) {
  const Policy& policy = scenario.policy();
  if (policy.kind() == Policy::FULL) return absl::OkStatus();
  if (policy.kind() == Policy::FLASHMEMORY) return CheckFlashMemoryReserve(scenario, origins);
  const Model& model = scenario.model();
  const int64_t reserve_pages = ReservePages(model, policy);
  const int64_t request_pages = policy.page_kmax() + 1 +
                                PagesForEntries(policy.recency_entries(), model) +
                                PagesForEntries(policy.sink_entries(), model);
  if (request_pages <= reserve_pages) return absl::OkStatus();
  return origins.Error(
      "policy.reserve_entries",
      absl::StrCat(policy.reserve_entries(), " entries are ", reserve_pages,
                   " pages, and one request may hold ", request_pages,
                   " (page_kmax, recency, sink and one open); raise it to ",
                   request_pages * model.page_entries(), " or lower policy.page_kmax"));
}

// The rates that the recall path needs.
absl::Status CheckRecallPath(const Scenario& scenario, const Origins& origins) {
  if (scenario.policy().kind() == Policy::FULL) return absl::OkStatus();
  const Link& link = scenario.hardware().host_link();
  const auto missing = [&](absl::string_view path) {
    return origins.Error(std::string(path),
                         absl::StrCat("is not given, and policy.recall_path ",
                                      Policy::RecallPath_Name(scenario.policy().recall_path()),
                                      " needs it; give it or policy.recall_path=COPY_ENGINE"));
  };
  switch (scenario.policy().recall_path()) {
    case Policy::COPY_ENGINE:
      return absl::OkStatus();
    case Policy::STAGED:
      if (!scenario.node().has_host_gather_bytes_per_s()) {
        return missing("node.host_gather_bytes_per_s");
      }
      if (!link.has_pageable_bytes_per_s())
        return missing("hardware.host_link.pageable_bytes_per_s");
      if (!link.has_copy_submit_us()) return missing("hardware.host_link.copy_submit_us");
      return absl::OkStatus();
    case Policy::GATHER_KERNEL:
      if (!link.has_gather_bytes_per_s()) return missing("hardware.host_link.gather_bytes_per_s");
      if (!link.has_gather_unaligned_factor()) {
        return missing("hardware.host_link.gather_unaligned_factor");
      }
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status CheckRanks(const Scenario& scenario, const Origins& origins) {
  const int32_t ranks = scenario.engine().tensor_parallel();
  const int32_t gpus = scenario.node().gpus();
  if (gpus % ranks == 0) return absl::OkStatus();
  return origins.Error("engine.tensor_parallel", absl::StrCat(ranks, " does not divide node.gpus (",
                                                              gpus, "); give a divisor of it"));
}

absl::Status CheckWeights(const Scenario& scenario, const Origins& origins) {
  const Hardware& hardware = scenario.hardware();
  const Engine& engine = scenario.engine();
  const int64_t weight_bytes = WeightBytesPerRank(scenario.model(), engine.tensor_parallel());
  const int64_t usable_bytes = HbmUsableBytes(hardware, engine);
  if (weight_bytes <= usable_bytes) return absl::OkStatus();
  return origins.Error("engine.tensor_parallel",
                       absl::StrCat("model ", scenario.model().name(), " needs ", Gb(weight_bytes),
                                    " of weights per rank at tensor_parallel=",
                                    engine.tensor_parallel(), ", hardware ", hardware.gpu(),
                                    " offers ", Gb(usable_bytes), " (", Gb(hardware.hbm_bytes()),
                                    " x hbm_usable_fraction ", engine.hbm_usable_fraction(),
                                    "): raise engine.tensor_parallel or choose other hardware"));
}

// What a tiered policy holds besides the weights leaves room for requests.
absl::Status CheckPools(const Scenario& scenario, const Origins& origins) {
  if (scenario.policy().kind() == Policy::FULL) return absl::OkStatus();
  const Model& model = scenario.model();
  const int64_t weight_bytes = WeightBytesPerRank(model, scenario.engine().tensor_parallel());
  const int64_t reserve_bytes = ReserveBytes(model, scenario.policy());
  const int64_t pool_bytes = model.fixed_hbm_bytes() + IndexKeyPoolBytes(model, scenario.policy());
  const int64_t usable_bytes = HbmUsableBytes(scenario.hardware(), scenario.engine());
  if (weight_bytes + pool_bytes + reserve_bytes < usable_bytes) return absl::OkStatus();
  return origins.Error(
      "policy.reserve_entries",
      absl::StrCat(scenario.policy().reserve_entries(), " entries are ", Gb(reserve_bytes),
                   "; with ", Gb(weight_bytes), " of weights and ", Gb(pool_bytes),
                   " of fixed pools no request fits the ", Gb(usable_bytes),
                   " that the engine may use per rank: lower it, raise engine.tensor_parallel or "
                   "choose other hardware"));
}

// The fields that one kind of prefill needs, and those that only another one reads.
absl::Status CheckPrefill(const Scenario& scenario, const Origins& origins) {
  const Engine& engine = scenario.engine();
  const bool chunked = engine.prefill() == Engine::COLOCATED_CHUNKED;
  const int32_t chunk_default = Engine::default_instance().prefill_chunk_tokens();
  if (!chunked && engine.prefill_chunk_tokens() != chunk_default) {
    return origins.Error(
        "engine.prefill_chunk_tokens",
        absl::StrCat("has no effect with prefill ", Engine::Prefill_Name(engine.prefill()),
                     "; remove it or choose COLOCATED_CHUNKED"));
  }
  if (engine.prefill() == Engine::NONE) return absl::OkStatus();
  if (!engine.has_prefill_tokens_per_s()) {
    return origins.Error(
        "engine.prefill_tokens_per_s",
        absl::StrCat("is not given, and ",
                     chunked ? "chunked prefill needs the rate of the replica"
                             : "disaggregated prefill needs the rate of one instance",
                     "; give it or engine.prefill=NONE"));
  }
  if (chunked && engine.prefill_instances() != 1) {
    return origins.Error("engine.prefill_instances",
                         "has no effect with prefill COLOCATED_CHUNKED, where the replica itself "
                         "prefills; remove it or choose DISAGGREGATED");
  }
  if (!chunked && !scenario.node().has_network_bytes_per_s_per_gpu()) {
    return origins.Error("node.network_bytes_per_s_per_gpu",
                         "is not given, and disaggregated prefill sends KV over it; give it or "
                         "engine.prefill=NONE");
  }
  return absl::OkStatus();
}

absl::Status CheckPreemption(const Scenario& scenario, const Origins& origins) {
  const Engine& engine = scenario.engine();
  const bool optimistic = engine.admit() == Engine::OPTIMISTIC;
  if (optimistic && scenario.policy().kind() == Policy::FLASHMEMORY) {
    return origins.Error("engine.admit",
                         "OPTIMISTIC has no meaning under policy FLASHMEMORY, whose requests own "
                         "slots of the decode region; give engine.admit=FULL");
  }
  if (!optimistic && engine.preemption() != Engine::RECOMPUTE) {
    return origins.Error("engine.preemption",
                         "has no effect with admit FULL, which never preempts; remove it or choose "
                         "engine.admit=OPTIMISTIC");
  }
  if (optimistic && engine.preemption() == Engine::RECOMPUTE && engine.prefill() == Engine::NONE) {
    return origins.Error("engine.preemption",
                         "RECOMPUTE prefills again, and engine.prefill is NONE; give "
                         "engine.preemption=SWAP or another engine.prefill");
  }
  return absl::OkStatus();
}

absl::Status CheckGraphs(const Engine& engine, const Origins& origins) {
  for (int i = 1; i < engine.graph_batch_sizes_size(); ++i) {
    if (engine.graph_batch_sizes(i) > engine.graph_batch_sizes(i - 1)) continue;
    return origins.Error(absl::StrCat("engine.graph_batch_sizes[", i, "]"),
                         absl::StrCat(engine.graph_batch_sizes(i),
                                      " does not exceed the size before it; list sizes rising"));
  }
  return absl::OkStatus();
}

absl::Status CheckEnd(const Scenario& scenario, const Origins& origins) {
  const Workload& workload = scenario.workload();
  const bool ends =
      scenario.engine().simulated_s() > 0 || workload.has_trace() || workload.request_limit() > 0;
  if (ends) return absl::OkStatus();
  return origins.Error("engine.simulated_s",
                       "0 runs to the end of the workload, and this one has none; give "
                       "engine.simulated_s, workload.request_limit or workload.trace");
}

}  // namespace

absl::Status ValidateScenario(const Scenario& scenario, const Origins& origins) {
  TIERSCOPE_RETURN_IF_ERROR(CheckRanges(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckName(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckModel(scenario.model(), origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckStepModel(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckCopyCurve(scenario.hardware().host_link(), origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckArrivals(scenario.workload(), origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckArrivalCount(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckLengths(scenario.workload(), origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckAttention(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckReserve(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckRecallPath(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckRanks(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckWeights(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckPools(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckPrefill(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckPreemption(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckPrefixStore(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckGraphs(scenario.engine(), origins));
  return CheckEnd(scenario, origins);
}

}  // namespace tierscope

#include "scenarios/validate.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "scenarios/ranges.h"
#include "scenarios/validate_parts.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

constexpr size_t kNameMax = 100;

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
  TIERSCOPE_RETURN_IF_ERROR(CheckHardwareFields(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckWorkloadFields(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckPolicyFields(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckMemoryFields(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckPrefill(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckPreemption(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckPrefixStore(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckGraphs(scenario.engine(), origins));
  return CheckEnd(scenario, origins);
}

}  // namespace tierscope

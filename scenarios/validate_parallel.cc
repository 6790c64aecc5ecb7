// What replicas, layouts over ranks and multi-token prediction demand of the fields around them.
#include <tuple>

#include "absl/strings/str_cat.h"

#include "scenarios/validate_parts.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

// Of all replicas. Each has its tables of step times and its counters, some megabytes; an event can
// name 4,096.
constexpr int32_t kAttentionGroupsMax = 256;

// Tiers below the host are one node's and would have to be shared.
absl::Status CheckOneStore(const Scenario& scenario, const Origins& origins) {
  const Engine& engine = scenario.engine();
  if (engine.replicas() == 1 && engine.dp_attention() == 1) return absl::OkStatus();
  const auto refuse = [&](absl::string_view tier) {
    return origins.Error(absl::StrCat("engine.prefix_store.", tier),
                         "is modelled for one prefix store, and engine.replicas and "
                         "engine.dp_attention make several; remove it or give both as 1");
  };
  if (engine.prefix_store().nvme_bytes() > 0) return refuse("nvme_bytes");
  if (engine.prefix_store().remote_bytes() > 0) return refuse("remote_bytes");
  return absl::OkStatus();
}

absl::Status Divides(int32_t groups, const char* field, const Engine& engine,
                     const Origins& origins) {
  if (engine.tensor_parallel() % groups == 0) return absl::OkStatus();
  return origins.Error(absl::StrCat("engine.", field),
                       absl::StrCat(groups, " does not divide engine.tensor_parallel (",
                                    engine.tensor_parallel(), "); give a divisor of it"));
}

absl::Status CheckDpAttention(const Scenario& scenario, const Origins& origins) {
  const Engine& engine = scenario.engine();
  const Model& model = scenario.model();
  if (engine.dp_attention() == 1) return absl::OkStatus();
  if (!model.has_attention_weight_bytes_sharded()) {
    return origins.Error("model.attention_weight_bytes_sharded",
                         "is not given, and engine.dp_attention splits these weights over fewer "
                         "ranks than the others; give it or engine.dp_attention=1");
  }
  if (model.attention_weight_bytes_sharded() > model.weight_bytes_sharded()) {
    return origins.Error("model.attention_weight_bytes_sharded",
                         absl::StrCat(model.attention_weight_bytes_sharded(),
                                      " is more than model.weight_bytes_sharded (",
                                      model.weight_bytes_sharded(), "); give at most that"));
  }
  if (engine.prefill() == Engine::COLOCATED_CHUNKED) {
    return origins.Error("engine.dp_attention",
                         "is not modelled with prefill COLOCATED_CHUNKED, whose rate is of all "
                         "ranks together; give engine.dp_attention=1 or another engine.prefill");
  }
  return absl::OkStatus();
}

absl::Status CheckExpertParallel(const Scenario& scenario, const Origins& origins) {
  const int32_t groups = scenario.engine().expert_parallel();
  if (groups == 1) return absl::OkStatus();
  if (!scenario.hardware().step_model().has_kernels()) {
    return origins.Error("engine.expert_parallel",
                         "has no effect without hardware.step_model.kernels, which time experts; "
                         "give a calibrated card or engine.expert_parallel=1");
  }
  if (scenario.model().experts() % groups == 0) return absl::OkStatus();
  return origins.Error("engine.expert_parallel",
                       absl::StrCat(groups, " does not divide model.experts (",
                                    scenario.model().experts(), "); give a divisor of it"));
}

absl::Status CheckReplicas(const Scenario& scenario, const Origins& origins) {
  const Engine& engine = scenario.engine();
  if (int64_t{engine.replicas()} * engine.dp_attention() > kAttentionGroupsMax) {
    return origins.Error("engine.replicas",
                         absl::StrCat(engine.replicas(), " replicas with engine.dp_attention ",
                                      engine.dp_attention(), " are more than ", kAttentionGroupsMax,
                                      " attention groups; lower one of them"));
  }
  const bool several = engine.replicas() > 1 || engine.dp_attention() > 1;
  if (several && engine.routing() == Engine::PREFIX_AWARE &&
      engine.prefix_store().host_bytes() == 0) {
    return origins.Error("engine.routing",
                         "PREFIX_AWARE looks for prefixes and there is no prefix store; give "
                         "engine.prefix_store.host_bytes or another engine.routing");
  }
  return CheckOneStore(scenario, origins);
}

absl::Status CheckLayout(const Scenario& scenario, const Origins& origins) {
  const Engine& engine = scenario.engine();
  const std::pair<const char*, int32_t> layouts[] = {{"dp_attention", engine.dp_attention()},
                                                     {"expert_parallel", engine.expert_parallel()}};
  for (const auto& [field, groups] : layouts) {
    TIERSCOPE_RETURN_IF_ERROR(Divides(groups, field, engine, origins));
  }
  TIERSCOPE_RETURN_IF_ERROR(CheckDpAttention(scenario, origins));
  return CheckExpertParallel(scenario, origins);
}

absl::Status CheckMtp(const Scenario& scenario, const Origins& origins) {
  const Mtp& mtp = scenario.engine().mtp();
  const Policy& policy = scenario.policy();
  if (mtp.draft_tokens() == 0) return absl::OkStatus();
  if (!mtp.has_acceptance()) {
    return origins.Error("engine.mtp.acceptance",
                         "is not given, and engine.mtp.draft_tokens needs it; give it or "
                         "engine.mtp.draft_tokens=0");
  }
  const auto refuse = [&](absl::string_view why) {
    return origins.Error("engine.mtp.draft_tokens", why);
  };
  if (!scenario.hardware().step_model().has_kernels()) {
    return refuse(
        "needs hardware.step_model.kernels, which time drafts and verification; give a calibrated "
        "card or engine.mtp.draft_tokens=0");
  }
  if (scenario.engine().admit() != Engine::FULL) {
    return refuse(
        "is not modelled with admit OPTIMISTIC, whose promises grow by the token; give "
        "engine.admit=FULL or engine.mtp.draft_tokens=0");
  }
  if (policy.kind() == Policy::FLASHMEMORY || policy.kind() == Policy::ORACLE) {
    return refuse(
        absl::StrCat("is not modelled with policy ", Policy::Kind_Name(policy.kind()),
                     ", whose windows are steps of the trace; give another policy.kind or "
                     "engine.mtp.draft_tokens=0"));
  }
  if (policy.kind() == Policy::FULL || policy.eviction() != Policy::BELADY) return absl::OkStatus();
  return refuse(
      "is not modelled with eviction BELADY, whose uses to come are counted in steps; give another "
      "policy.eviction or engine.mtp.draft_tokens=0");
}

// One rank as the real mode executes it, and ops as they were measured on one, know nothing of
// others.
absl::Status CheckOneRank(const Scenario& scenario, const Origins& origins) {
  const Engine& engine = scenario.engine();
  const bool alone = engine.executed_ranks() == 1;
  if (!alone && !scenario.hardware().has_measured_ops()) return absl::OkStatus();
  const std::tuple<const char*, int32_t, int32_t> spread[] = {
      {"replicas", engine.replicas(), alone ? 1 : engine.replicas()},
      {"dp_attention", engine.dp_attention(), 1},
      {"expert_parallel", engine.expert_parallel(), 1},
      {"mtp.draft_tokens", engine.mtp().draft_tokens(), 0}};
  for (const auto& [field, given, modelled] : spread) {
    if (given == modelled) continue;
    return origins.Error(absl::StrCat("engine.", field),
                         absl::StrCat("is not modelled with ",
                                      alone ? "engine.executed_ranks=1" : "hardware.measured_ops",
                                      "; give ", modelled));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckParallel(const Scenario& scenario, const Origins& origins) {
  TIERSCOPE_RETURN_IF_ERROR(CheckOneRank(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckLayout(scenario, origins));
  TIERSCOPE_RETURN_IF_ERROR(CheckReplicas(scenario, origins));
  return CheckMtp(scenario, origins);
}

}  // namespace tierscope

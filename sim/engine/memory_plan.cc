#include "sim/engine/memory_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "scenarios/memory.h"
#include "sim/engine/lockstep.h"
#include "sim/model/footprint.h"
#include "sim/policy/page_selection.h"

namespace tierscope {
namespace {

// Blocks that one request can have pinned: the largest want list, and the pages that grow until the
// next tick is processed (one window, one more for a late job, and the open page).
int64_t LivePagesMax(const Scenario& scenario, int64_t page_tokens) {
  const Policy& policy = scenario.policy();
  const int64_t lists = policy.publish() == Policy::NEXT_TICK ? 2 : 1;
  if (policy.kind() == Policy::FLASHMEMORY) return lists * policy.page_kmax();
  const int64_t forced = CeilDiv(policy.recency_entries(), kPageEntries) + 1 +
                         CeilDiv(policy.sink_entries(), kPageEntries);
  const TokenClock clock =
      TokenClock::Of(scenario.engine().mtp().draft_tokens(), scenario.engine().mtp().acceptance());
  const int64_t grown = CeilDiv(clock.At(2 * int64_t{policy.tau_steps()} + 1) - 1, page_tokens) + 1;
  return lists * (policy.page_kmax() + forced) + grown;
}

void PlanPerToken(const Scenario& scenario, MemoryPlan& plan) {
  const Model& model = scenario.model();
  const Policy& policy = scenario.policy();
  const int64_t tokens = kScaleTokens;
  const int64_t all_keys = CsaEntries(model, tokens) * model.csa_layers() * model.index_key_bytes();
  plan.hca_bytes_per_scale = HcaBytes(model, tokens);
  plan.csa_bytes_per_scale = FullKvBytes(model, tokens) - plan.hca_bytes_per_scale - all_keys;
  plan.full_kv_bytes_per_scale = FullKvBytes(model, tokens);
  switch (plan.placement) {
    case KvPlacement::kAllInHbm:
      plan.index_bytes_per_scale = all_keys;
      plan.budget_bytes_per_scale = FullKvBudgetBytes(model, tokens);
      break;
    case KvPlacement::kTiered:
      plan.index_bytes_per_scale = IndexKeyBytes(model, policy, tokens);
      plan.budget_bytes_per_scale = ContextHbmBytes(model, policy, tokens);
      break;
    case KvPlacement::kDropped:
      plan.budget_bytes_per_scale = plan.hca_bytes_per_scale;
      break;
    case KvPlacement::kHotBuffer:
      plan.index_bytes_per_scale = all_keys;
      plan.budget_bytes_per_scale = plan.hca_bytes_per_scale + all_keys;
      break;
  }
  if (policy.kind() == Policy::QUEST) {
    // Per page and layer the least and the greatest key, each of a key's bytes.
    plan.bound_bytes_per_scale = 2 * all_keys / model.page_entries();
  }
  if (policy.kind() == Policy::ESS) {
    plan.buffer_bytes_per_scale = std::llround(
        std::ceil(policy.pool_ratio() * static_cast<double>(plan.csa_bytes_per_scale)));
  }
  plan.budget_bytes_per_scale += plan.bound_bytes_per_scale + plan.buffer_bytes_per_scale;
}

void PlanPages(const Scenario& scenario, MemoryPlan& plan) {
  const Model& model = scenario.model();
  const Policy& policy = scenario.policy();
  plan.page_tokens = PageTokens(model);
  plan.page_bytes = PageBytes(model);
  plan.protects_live = policy.eviction() == Policy::LRU_PROTECTED;
  plan.host_pages_max = std::numeric_limits<int32_t>::max();
  plan.host_bytes_node = scenario.node().host_bytes();
  if (plan.has_cold_pool) {
    plan.recall_page_bytes = PageMirrorBytes(model, policy);
    plan.host_page_bytes_node = plan.recall_page_bytes * plan.ranks;
    plan.host_pages_max = plan.host_usable_bytes_node / plan.host_page_bytes_node;
  }
  if (plan.placement == KvPlacement::kAllInHbm) return;
  plan.hbm_fixed_bytes = model.fixed_hbm_bytes();
  if (policy.kind() == Policy::TOPK_SWAP) {
    plan.hbm_request_bytes =
        int64_t{policy.hot_buffer_entries()} * model.csa_layers() * model.kv_entry_bytes();
  }
  if (!plan.has_reserve) return;
  if (plan.placement == KvPlacement::kDropped) {
    plan.page_index_bytes =
        int64_t{model.page_entries()} * model.csa_layers() * model.index_key_bytes();
  }
  plan.reserve_blocks = RecallPages(model, policy);
  plan.live_pages_max = LivePagesMax(scenario, plan.page_tokens);
  plan.hbm_reserve_bytes = ReserveBytes(model, policy);
  if (policy.kind() == Policy::FLASHMEMORY) {
    plan.decode_region_entries = kFlashMemorySlotEntries;
    plan.request_slots = kFlashMemorySlots;
    plan.hbm_decode_region_bytes = plan.hbm_reserve_bytes - plan.reserve_blocks * plan.page_bytes;
  }
  plan.hbm_index_fixed_bytes = IndexKeyPoolBytes(model, policy);
  plan.index_pool_entries = policy.index_key_offload() ? policy.index_key_pool_entries()
                                                       : plan.reserve_blocks * kPageEntries;
}

absl::Status CheckPlan(const MemoryPlan& plan) {
  if (plan.tokens_max < 1) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "weights (%.1f GB), fixed pools (%.1f GB) and reserve (%.1f GB) leave no HBM for context: "
        "%.1f GB are usable; lower policy.reserve_entries, raise engine.tensor_parallel or choose "
        "other hardware",
        static_cast<double>(plan.hbm_weight_bytes) / 1e9,
        static_cast<double>(plan.hbm_fixed_bytes + plan.hbm_index_fixed_bytes) / 1e9,
        static_cast<double>(plan.hbm_reserve_bytes) / 1e9,
        static_cast<double>(plan.hbm_usable_bytes) / 1e9));
  }
  if (plan.has_reserve && plan.index_pool_entries < plan.reserve_blocks * kPageEntries) {
    return absl::InvalidArgumentError(absl::StrCat(
        "policy.index_key_pool_entries ", plan.index_pool_entries,
        " holds the keys of fewer entries than "
        "the reserve (",
        plan.reserve_blocks * kPageEntries, "), which level 2 needs; raise it to at least that"));
  }
  // With a decode region nothing is pinned for good: an unprotected list may evict its own pages.
  const bool evicts_itself = plan.decode_region_entries > 0 && !plan.protects_live;
  if (plan.has_reserve && !evicts_itself && plan.reserve_blocks < plan.live_pages_max) {
    return absl::InvalidArgumentError(absl::StrCat(
        "policy.reserve_entries holds ", plan.reserve_blocks, " pages but one request can need ",
        plan.live_pages_max, "; raise policy.reserve_entries to at least ",
        plan.live_pages_max * kPageEntries, " or lower policy.page_kmax"));
  }
  return absl::OkStatus();
}

}  // namespace

int64_t GrownPagesMax(const WindowDemand* demand) {
  int64_t most = 0;
  if (demand == nullptr) return most;
  for (const ProfileDemand& profile : demand->profiles) {
    most = std::max<int64_t>(most, profile.page_count - profile.prompt_page_count);
  }
  return most;
}

absl::StatusOr<MemoryPlan> MakeMemoryPlan(const Scenario& scenario) {
  MemoryPlan plan;
  plan.placement = PlacementOf(scenario.policy().kind());
  plan.has_cold_pool = HasColdPool(scenario.policy().kind());
  plan.has_reserve = HasReserve(scenario.policy().kind());
  const Engine& engine = scenario.engine();
  plan.ranks = engine.tensor_parallel() / engine.dp_attention();
  plan.groups = int64_t{engine.replicas()} * engine.dp_attention();
  plan.groups_of_node = int64_t{ReplicasOfNode(scenario)} * engine.dp_attention();
  plan.draft_tokens = engine.mtp().draft_tokens();
  plan.prefix_bytes_node = engine.prefix_store().host_bytes() / plan.groups_of_node;
  plan.host_usable_bytes_node =
      HostUsableBytes(scenario.node()) / plan.groups_of_node - plan.prefix_bytes_node;
  plan.hbm_bytes = scenario.hardware().hbm_bytes();
  plan.hbm_usable_bytes = HbmUsableBytes(scenario.hardware(), scenario.engine());
  plan.hbm_weight_bytes = WeightBytesPerRank(scenario.model(), engine);
  PlanPerToken(scenario, plan);
  PlanPages(scenario, plan);
  plan.hbm_left_bytes = plan.hbm_usable_bytes - plan.hbm_weight_bytes - plan.hbm_fixed_bytes -
                        plan.hbm_index_fixed_bytes - plan.hbm_reserve_bytes;
  // A model without HCA layers of whose requests all but the reserve is dropped: nothing grows.
  const int64_t per_scale = std::max<int64_t>(1, plan.budget_bytes_per_scale);
  const int64_t left = plan.hbm_left_bytes - plan.hbm_request_bytes;
  plan.tokens_max =
      left <= 0 ? 0
                : static_cast<int64_t>(std::min<__int128>(
                      static_cast<__int128>(left) * kScaleTokens / per_scale, int64_t{1} << 60));
  if (absl::Status status = CheckPlan(plan); !status.ok()) return status;
  return plan;
}

}  // namespace tierscope

#include "sim/engine/memory_plan.h"

#include <algorithm>

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
  const int64_t tokens = kScaleTokens;
  plan.hca_bytes_per_scale = HcaBytes(model, tokens);
  plan.index_bytes_per_scale =
      plan.tiered ? IndexKeyBytes(model, scenario.policy(), tokens)
                  : CsaEntries(model, tokens) * model.csa_layers() * model.index_key_bytes();
  plan.csa_bytes_per_scale =
      FullKvBytes(model, tokens) - plan.hca_bytes_per_scale -
      CsaEntries(model, tokens) * model.csa_layers() * model.index_key_bytes();
  plan.full_kv_bytes_per_scale = FullKvBytes(model, tokens);
  plan.budget_bytes_per_scale = plan.tiered ? ContextHbmBytes(model, scenario.policy(), tokens)
                                            : FullKvBudgetBytes(model, tokens);
}

void PlanPages(const Scenario& scenario, MemoryPlan& plan) {
  const Model& model = scenario.model();
  const Policy& policy = scenario.policy();
  plan.page_tokens = PageTokens(model);
  plan.page_bytes = PageBytes(model);
  plan.recall_page_bytes = PageMirrorBytes(model, policy);
  if (!plan.tiered) return;
  plan.protects_live = policy.eviction() == Policy::LRU_PROTECTED;
  plan.reserve_blocks = RecallPages(model, policy);
  plan.live_pages_max = LivePagesMax(scenario, plan.page_tokens);
  plan.hbm_reserve_bytes = ReserveBytes(model, policy);
  if (policy.kind() == Policy::FLASHMEMORY) {
    plan.decode_region_entries = kFlashMemorySlotEntries;
    plan.request_slots = kFlashMemorySlots;
    plan.hbm_decode_region_bytes = plan.hbm_reserve_bytes - plan.reserve_blocks * plan.page_bytes;
  }
  plan.hbm_fixed_bytes = model.fixed_hbm_bytes();
  plan.hbm_index_fixed_bytes = IndexKeyPoolBytes(model, policy);
  plan.index_pool_entries = policy.index_key_offload() ? policy.index_key_pool_entries()
                                                       : plan.reserve_blocks * kPageEntries;
  plan.host_bytes_node = scenario.node().host_bytes();
  plan.host_page_bytes_node = plan.recall_page_bytes * plan.ranks;
  plan.host_pages_max = plan.host_usable_bytes_node / plan.host_page_bytes_node;
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
  if (plan.tiered && plan.index_pool_entries < plan.reserve_blocks * kPageEntries) {
    return absl::InvalidArgumentError(absl::StrCat(
        "policy.index_key_pool_entries ", plan.index_pool_entries,
        " holds the keys of fewer entries than "
        "the reserve (",
        plan.reserve_blocks * kPageEntries, "), which level 2 needs; raise it to at least that"));
  }
  // With a decode region nothing is pinned for good: an unprotected list may evict its own pages.
  const bool evicts_itself = plan.decode_region_entries > 0 && !plan.protects_live;
  if (plan.tiered && !evicts_itself && plan.reserve_blocks < plan.live_pages_max) {
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
  plan.tiered = scenario.policy().kind() != Policy::FULL;
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
  const int64_t left = plan.hbm_usable_bytes - plan.hbm_weight_bytes - plan.hbm_fixed_bytes -
                       plan.hbm_index_fixed_bytes - plan.hbm_reserve_bytes;
  plan.tokens_max = left <= 0 ? 0
                              : static_cast<int64_t>(static_cast<__int128>(left) * kScaleTokens /
                                                     plan.budget_bytes_per_scale);
  if (absl::Status status = CheckPlan(plan); !status.ok()) return status;
  return plan;
}

}  // namespace tierscope

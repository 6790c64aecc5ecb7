#include "sim/engine/memory_pools.h"

#include "sim/policy/page_selection.h"

namespace tierscope {
namespace {

void AddKvInHbm(const MemoryPlan& plan, const MemoryUse& use, std::vector<PoolUse>& pools) {
  const auto hbm = [&](const char* name, int64_t allocated, int64_t in_use) {
    pools.push_back({"hbm", name, allocated, in_use, plan.hbm_bytes});
  };
  const int64_t promised = use.tokens_reserved;
  hbm("CSA entries", plan.CsaBytes(promised), plan.CsaBytes(use.tokens_in_use));
  const int64_t bounds = plan.BoundBytes(promised);
  if (plan.bound_bytes_per_scale > 0) {
    hbm("page bounds", bounds, plan.BoundBytes(use.tokens_in_use));
  }
  const int64_t kv = plan.IndexBytes(promised) + plan.HcaBytes(promised) + plan.CsaBytes(promised);
  const int64_t states = plan.BudgetBytes(promised) - kv - bounds;
  hbm("SWA pool, compressor states", states, states);
}

// Pages, or buffers of entries, of a policy that keeps the rest elsewhere or drops it.
void AddKvOfParts(const MemoryPlan& plan, const MemoryUse& use, std::vector<PoolUse>& pools) {
  const auto hbm = [&](const char* name, int64_t allocated, int64_t in_use) {
    pools.push_back({"hbm", name, allocated, in_use, plan.hbm_bytes});
  };
  if (plan.has_reserve) {
    hbm("page reserve", plan.hbm_reserve_bytes - plan.hbm_decode_region_bytes,
        use.blocks_held * plan.page_bytes);
  } else {
    const int64_t buffers = plan.BufferBytes(use.requests_admitted, use.tokens_reserved);
    hbm("hot buffers", buffers, buffers);
  }
  if (plan.decode_region_entries > 0) {
    hbm("decode region", plan.hbm_decode_region_bytes,
        use.requests_admitted * plan.decode_region_entries / kPageEntries * plan.page_bytes);
  }
  hbm("SWA pool, compressor states", plan.hbm_fixed_bytes, plan.hbm_fixed_bytes);
  if (plan.hbm_index_fixed_bytes > 0) {
    const int64_t keys_in_use = plan.page_index_bytes > 0 ? use.blocks_held * plan.page_index_bytes
                                                          : plan.hbm_index_fixed_bytes;
    hbm("index-key pool", plan.hbm_index_fixed_bytes, keys_in_use);
  }
  if (!plan.has_cold_pool) return;
  pools.push_back({"host", "cold pool", use.host_pages_reserved * plan.host_page_bytes_node,
                   use.host_pages_in_use * plan.host_page_bytes_node, plan.host_bytes_node});
}

}  // namespace

std::vector<PoolUse> PoolsOf(const MemoryPlan& plan, const MemoryUse& use,
                             int64_t prefix_block_bytes_node) {
  std::vector<PoolUse> pools;
  pools.push_back({"hbm", "weights", plan.hbm_weight_bytes, plan.hbm_weight_bytes, plan.hbm_bytes});
  if (use.swap_bytes_reserved > 0) {
    pools.push_back({"host", "swap space", use.swap_bytes_reserved * plan.ranks,
                     use.swap_bytes_in_use * plan.ranks, plan.host_bytes_node});
  }
  if (plan.prefix_bytes_node > 0) {
    pools.push_back({"host", "prefix store", plan.prefix_bytes_node * plan.groups_of_node,
                     use.prefix_blocks * prefix_block_bytes_node, plan.host_bytes_node});
  }
  pools.push_back({"hbm", "index keys", plan.IndexBytes(use.tokens_reserved),
                   plan.IndexBytes(use.tokens_in_use), plan.hbm_bytes});
  pools.push_back({"hbm", "HCA entries", plan.HcaBytes(use.tokens_reserved),
                   plan.HcaBytes(use.tokens_in_use), plan.hbm_bytes});
  if (plan.placement == KvPlacement::kAllInHbm) {
    AddKvInHbm(plan, use, pools);
  } else {
    AddKvOfParts(plan, use, pools);
  }
  return pools;
}

}  // namespace tierscope

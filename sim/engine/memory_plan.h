// How a scenario divides HBM and host DRAM, and what admission may promise. Integer bytes of one
// rank unless a name says node: then of the node's share of one dp_attention group, all of it where
// a node has one. Groups have even shares for good, as processes that pin their own host memory do.
#ifndef TIERSCOPE_SIM_ENGINE_MEMORY_PLAN_H_
#define TIERSCOPE_SIM_ENGINE_MEMORY_PLAN_H_

#include <algorithm>
#include <cstdint>

#include "absl/status/statusor.h"

#include "scenarios/policy_kind.h"
#include "scenarios/scenario.pb.h"
#include "sim/base/units.h"
#include "sim/demand/demand.h"

namespace tierscope {

// A multiple of the tokens of every kind of entry.
inline constexpr int64_t kScaleTokens = 1024;

struct MemoryPlan {
  KvPlacement placement = KvPlacement::kAllInHbm;
  bool has_cold_pool = false;  // else host_page_bytes_node is 0 and host_pages_max no bound
  bool has_reserve = false;    // else there are no blocks and requests pin none
  bool protects_live = false;  // eviction LRU_PROTECTED: live pages of all requests must fit
  int64_t ranks = 1;           // that hold the same KV: of a dp_attention group
  int64_t groups = 1;          // of all replicas
  int64_t groups_of_node = 1;  // of a full node
  int64_t draft_tokens = 0;    // KV that a step writes and verification may drop
  int64_t page_tokens = 0;
  int64_t page_bytes = 0;         // payload of a page over all CSA layers
  int64_t recall_page_bytes = 0;  // what one page moves: payload, and offloaded index keys; 0
                                  // without a cold pool
  int64_t page_index_bytes = 0;   // index keys that come and go with a page of the reserve
  int64_t reserve_blocks = 0;
  // FlashMemory's decode region, part of the reserve: generated entries live there and take no
  // block, recall nothing and go nowhere. 0 = none: they take blocks and are written back.
  int64_t decode_region_entries = 0;  // of one request
  int64_t request_slots = 0;          // requests that it holds
  int64_t hbm_decode_region_bytes = 0;
  int64_t index_pool_entries = 0;  // entries whose index keys of all layers HBM can hold
  int64_t live_pages_max = 0;      // blocks one request can have pinned at once

  int64_t hbm_bytes = 0;  // of the card
  int64_t hbm_usable_bytes = 0;
  int64_t hbm_weight_bytes = 0;
  int64_t hbm_fixed_bytes =
      0;  // SWA pool and compressor states; under FULL in the per-token budget
  int64_t hbm_index_fixed_bytes = 0;  // index-key buffer of the non-target layers, when offloaded
  int64_t hbm_reserve_bytes = 0;      // decode region included
  int64_t hbm_request_bytes = 0;      // that a request takes whatever its length: hot buffers
  int64_t hbm_left_bytes = 0;         // for what grows with requests and tokens
  int64_t host_bytes_node = 0;        // of the whole node
  int64_t host_usable_bytes_node = 0;
  int64_t host_page_bytes_node = 0;  // one page of the cold pool over all ranks
  int64_t prefix_bytes_node = 0;     // of the prefix store; not in host_usable_bytes_node

  int64_t tokens_max = 0;      // prompt and output tokens that admission may promise in HBM
  int64_t host_pages_max = 0;  // pages that admission may promise in the cold pool

  // Bytes of kScaleTokens tokens, so that a token's share stays an exact fraction.
  int64_t hca_bytes_per_scale = 0;
  int64_t index_bytes_per_scale = 0;    // index keys that stay in HBM
  int64_t csa_bytes_per_scale = 0;      // CSA entries of the full history
  int64_t full_kv_bytes_per_scale = 0;  // all of a history: CSA, HCA and every index key
  int64_t buffer_bytes_per_scale = 0;   // hot buffers that grow with the context
  int64_t bound_bytes_per_scale = 0;    // of pages: keys that bound those of their entries
  int64_t budget_bytes_per_scale = 0;   // what admission charges for a promised token

  // The part of `bytes_per_scale` that `tokens` (>= 0) have. The product is of 128 bits.
  static int64_t OfTokens(int64_t tokens, int64_t bytes_per_scale) {
    const auto product =
        static_cast<unsigned __int128>(tokens) * static_cast<unsigned __int128>(bytes_per_scale);
    return static_cast<int64_t>(product / kScaleTokens);
  }
  // Pages of the cold pool that a request may come to hold: its prompt's, and its output's where
  // that is written back.
  int64_t HostPages(int64_t context_tokens, int64_t output_tokens) const {
    return CeilDiv(context_tokens + (decode_region_entries > 0 ? 0 : output_tokens), page_tokens);
  }
  // Blocks that a request of so many prompt tokens can have pinned at once: no more than it has
  // pages. `grown_pages_max`: GrownPagesMax of the demand.
  int64_t LivePages(int64_t context_tokens, int64_t grown_pages_max) const {
    const int64_t own_pages = CeilDiv(context_tokens, page_tokens) + grown_pages_max;
    return std::min(live_pages_max, std::max<int64_t>(1, own_pages));
  }
  // What only HBM holds of a request of so many tokens: all its KV under FULL; else index keys, HCA
  // entries and the page that is being filled, counted whole.
  int64_t SwapBytes(int64_t tokens) const {
    if (placement == KvPlacement::kAllInHbm) return FullKvBytes(tokens);
    return IndexBytes(tokens) + HcaBytes(tokens) + page_bytes;
  }
  // Tokens behind the prompt that a request of so many has room for.
  int64_t OutputTokens(int64_t output_tokens) const { return output_tokens + draft_tokens; }
  int64_t HcaBytes(int64_t tokens) const { return OfTokens(tokens, hca_bytes_per_scale); }
  int64_t IndexBytes(int64_t tokens) const { return OfTokens(tokens, index_bytes_per_scale); }
  // Hot buffers of so many requests with so many tokens together.
  int64_t BufferBytes(int64_t requests, int64_t tokens) const {
    return requests * hbm_request_bytes + OfTokens(tokens, buffer_bytes_per_scale);
  }
  int64_t BoundBytes(int64_t tokens) const { return OfTokens(tokens, bound_bytes_per_scale); }
  // What so many requests with so many tokens together take of hbm_left_bytes.
  int64_t PromisedBytes(int64_t requests, int64_t tokens) const {
    return requests * hbm_request_bytes + BudgetBytes(tokens);
  }
  int64_t CsaBytes(int64_t tokens) const { return OfTokens(tokens, csa_bytes_per_scale); }
  int64_t FullKvBytes(int64_t tokens) const { return OfTokens(tokens, full_kv_bytes_per_scale); }
  int64_t BudgetBytes(int64_t tokens) const { return OfTokens(tokens, budget_bytes_per_scale); }
};

// Most pages that a profile comes to have beside those of its prompt; 0 without demand.
int64_t GrownPagesMax(const WindowDemand* demand);

// Errors: fixed pools and reserve leave no HBM for a single token; a reserve smaller than one
// request's want list.
absl::StatusOr<MemoryPlan> MakeMemoryPlan(const Scenario& scenario);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_MEMORY_PLAN_H_

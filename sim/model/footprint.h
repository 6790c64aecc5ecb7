// Memory and work of a model under a policy, as arithmetic on a resolved scenario: no state, no
// time. Bytes are exact integers. Thread-safe; every function takes a few operations.
//
// Symbols in the equations: L_csa, L_hca, L_target = layers; c, h = tokens per CSA and HCA entry;
// e = kv_entry_bytes; k = index_key_bytes; P = page_entries; T = tokens of a context. An entry
// exists once all its tokens do, so a context has floor(T / c) CSA and floor(T / h) HCA entries.
// KV, index keys and mirror are replicated on every tensor-parallel rank: figures are of one rank
// unless they say node. Sources: V4 = DeepSeek-V4 config.json; FM = FlashMemory-DeepSeek-V4, arXiv
// 2606.09079, and its code.
#ifndef TIERSCOPE_SIM_MODEL_FOOTPRINT_H_
#define TIERSCOPE_SIM_MODEL_FOOTPRINT_H_

#include <cstdint>

#include "scenarios/memory.h"
#include "scenarios/scenario.pb.h"

namespace tierscope {

// floor(T / c); V4: c = 4.
int64_t CsaEntries(const Model& model, int64_t context_tokens);

// floor(T / h); V4: h = 128.
int64_t HcaEntries(const Model& model, int64_t context_tokens);

// P * c; V4: 256.
int64_t PageTokens(const Model& model);

// Pages that a context's CSA entries touch, the open one included: ceil(CsaEntries / P).
int64_t ContextPages(const Model& model, int64_t context_tokens);

// The complete history of one request: L_csa (e + k) floor(T / c) + L_hca e floor(T / h).
// Source: V4; 3,850.25 B a token on V4-Flash.
int64_t FullKvBytes(const Model& model, int64_t context_tokens);

// What the full-KV baseline sets aside for one request: full_kv_budget_bytes_per_token * T, KV, SWA
// pool and compressor states together. Source: fitted to FM's published concurrencies.
int64_t FullKvBudgetBytes(const Model& model, int64_t context_tokens);

// Requests of T tokens that the full-KV baseline admits:
// floor((hbm_usable_fraction * hbm - weights per rank) / FullKvBudgetBytes(T)), 0 at least.
// Source: the form was chosen because it gives 51 / 25 / 12 where FM publishes 47 / 25 / 11 (8 x
// H20, 256K / 512K / 1M); fitted.
int64_t FullKvAdmission(const Scenario& scenario, int64_t context_tokens);

// HCA entries of one request: L_hca e floor(T / h). Source: V4.
int64_t HcaBytes(const Model& model, int64_t context_tokens);

// Index keys of one request that stay in HBM under a tiered policy: L k floor(T / c), L = L_csa, or
// L_target with index_key_offload. Source: FM, section on index-key offload.
int64_t IndexKeyBytes(const Model& model, const Policy& policy, int64_t context_tokens);

// HBM that grows with a request's context under a tiered policy: HcaBytes + IndexKeyBytes.
// Source: V4-Flash 784.25 B a token, 190.25 with index_key_offload.
int64_t ContextHbmBytes(const Model& model, const Policy& policy, int64_t context_tokens);

// KV in HBM under a tiered policy: what the paper counts and what it leaves out.
struct ResidentKv {
  int64_t paper_bytes = 0;      // resident CSA pages and HCA: kv_paper_accounting
  int64_t index_key_bytes = 0;  // left out: keys that stay in HBM for these contexts
  int64_t fixed_bytes =
      0;  // left out, shared by all requests: key pool, SWA pool, compressor states
  int64_t total_bytes() const { return paper_bytes + index_key_bytes + fixed_bytes; }  // kv_total
};

// Of `requests` requests with T tokens and `resident_pages` pages each. Source: FM counts
// resident_pages * page bytes + HcaBytes as its resident KV; the rest is this file's functions.
ResidentKv ResidentKvBytes(const Model& model, const Policy& policy, int64_t context_tokens,
                           int64_t resident_pages, int64_t requests);

// Index keys of the non-target layers of one page: P k (L_csa - L_target). Source: FM; V4-Flash
// 152,064.
int64_t PageIndexKeyBytes(const Model& model);

// CSA layers that the memory indexer does not score, whose index keys can be offloaded.
int64_t NonTargetLayers(const Model& model);

// One page in the host mirror of one rank: its KV, and with index_key_offload PageIndexKeyBytes.
int64_t PageMirrorBytes(const Model& model, const Policy& policy);

// Host mirror of one request over the node: ranks * ContextPages(T) * PageMirrorBytes, as every
// rank has its own. Source: FM; 40 requests of 1.1 M tokens take 1.2 TiB on 8 ranks, 60 take 1.7.
int64_t HostMirrorBytes(const Model& model, const Policy& policy, int64_t context_tokens,
                        int32_t ranks);

// Logical work per token, in GFLOP, with the full history scored:
// constant + L_csa * index_heads * (2 index_head_dim + 2) * floor(T / c) / 1e9. Source: FM.
double GflopPerTokenFull(const Model& model, int64_t context_tokens);

// The same under LSA: scoring over min(page_kmax * P, floor(T / c)) entries, plus level 1,
// L_target * memory_index_heads * 2 memory_index_head_dim * floor(T / c) / tau_steps. Source: FM.
double GflopPerTokenLsa(const Model& model, const Policy& policy, int64_t context_tokens);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_MODEL_FOOTPRINT_H_

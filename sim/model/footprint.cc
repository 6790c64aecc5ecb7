#include "sim/model/footprint.h"

#include <algorithm>
#include <cmath>

#include "sim/base/check.h"
#include "sim/base/units.h"

namespace tierscope {
namespace {

// Work of the native indexer over `entries`, in flop.
double ScoringFlop(const Model& model, int64_t entries) {
  const double flop_per_entry = static_cast<double>(model.csa_layers()) * model.index_heads() *
                                (2.0 * model.index_head_dim() + 2.0);
  return flop_per_entry * static_cast<double>(entries);
}

// Work of one level-1 tick over `entries`, in flop.
double Level1Flop(const Model& model, int64_t entries) {
  const double flop_per_entry = static_cast<double>(model.target_layers()) *
                                model.memory_index_heads() * 2.0 * model.memory_index_head_dim();
  return flop_per_entry * static_cast<double>(entries);
}

}  // namespace

int64_t NonTargetLayers(const Model& model) { return model.csa_layers() - model.target_layers(); }

int64_t CsaEntries(const Model& model, int64_t context_tokens) {
  return context_tokens / model.csa_tokens_per_entry();
}

int64_t HcaEntries(const Model& model, int64_t context_tokens) {
  return context_tokens / model.hca_tokens_per_entry();
}

int64_t PageTokens(const Model& model) {
  return int64_t{model.page_entries()} * model.csa_tokens_per_entry();
}

int64_t ContextPages(const Model& model, int64_t context_tokens) {
  return CeilDiv(CsaEntries(model, context_tokens), model.page_entries());
}

int64_t FullKvBytes(const Model& model, int64_t context_tokens) {
  const int64_t entry_bytes = model.kv_entry_bytes() + model.index_key_bytes();
  return model.csa_layers() * entry_bytes * CsaEntries(model, context_tokens) +
         HcaBytes(model, context_tokens);
}

int64_t FullKvBudgetBytes(const Model& model, int64_t context_tokens) {
  return model.full_kv_budget_bytes_per_token() * context_tokens;
}

int64_t FullKvAdmission(const Scenario& scenario, int64_t context_tokens) {
  TIERSCOPE_CHECK(context_tokens > 0);
  const int64_t left = HbmUsableBytes(scenario.hardware(), scenario.engine()) -
                       WeightBytesPerRank(scenario.model(), scenario.engine());
  return std::max<int64_t>(left, 0) / FullKvBudgetBytes(scenario.model(), context_tokens);
}

int64_t HcaBytes(const Model& model, int64_t context_tokens) {
  return model.hca_layers() * model.kv_entry_bytes() * HcaEntries(model, context_tokens);
}

int64_t IndexKeyBytes(const Model& model, const Policy& policy, int64_t context_tokens) {
  const int64_t layers = policy.index_key_offload() ? model.target_layers() : model.csa_layers();
  return layers * model.index_key_bytes() * CsaEntries(model, context_tokens);
}

int64_t ContextHbmBytes(const Model& model, const Policy& policy, int64_t context_tokens) {
  return HcaBytes(model, context_tokens) + IndexKeyBytes(model, policy, context_tokens);
}

ResidentKv ResidentKvBytes(const Model& model, const Policy& policy, int64_t context_tokens,
                           int64_t resident_pages, int64_t requests) {
  ResidentKv kv;
  kv.paper_bytes = requests * (resident_pages * PageBytes(model) + HcaBytes(model, context_tokens));
  kv.index_key_bytes = requests * IndexKeyBytes(model, policy, context_tokens);
  kv.fixed_bytes = model.fixed_hbm_bytes() + IndexKeyPoolBytes(model, policy);
  return kv;
}

int64_t PageIndexKeyBytes(const Model& model) {
  return model.page_entries() * model.index_key_bytes() * NonTargetLayers(model);
}

int64_t PageMirrorBytes(const Model& model, const Policy& policy) {
  return PageBytes(model) + (policy.index_key_offload() ? PageIndexKeyBytes(model) : 0);
}

int64_t HostMirrorBytes(const Model& model, const Policy& policy, int64_t context_tokens,
                        int32_t ranks) {
  return ranks * ContextPages(model, context_tokens) * PageMirrorBytes(model, policy);
}

double GflopPerTokenFull(const Model& model, int64_t context_tokens) {
  return model.gflop_per_token_constant() +
         ScoringFlop(model, CsaEntries(model, context_tokens)) * 1e-9;
}

double GflopPerTokenLsa(const Model& model, const Policy& policy, int64_t context_tokens) {
  const int64_t entries = CsaEntries(model, context_tokens);
  const int64_t active_entries = int64_t{policy.page_kmax()} * model.page_entries();
  const double level1_flop = Level1Flop(model, entries) / policy.tau_steps();
  return model.gflop_per_token_constant() +
         (ScoringFlop(model, std::min(active_entries, entries)) + level1_flop) * 1e-9;
}

}  // namespace tierscope

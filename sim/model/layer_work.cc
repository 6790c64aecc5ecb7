#include "sim/model/layer_work.h"

#include <cmath>

namespace tierscope {
namespace {

constexpr double kBf16 = 2.0;
constexpr double kFp8 = 1.0;
constexpr double kBlockEntries = 64.0;

// V4: keys and values are one vector of head_dim; the way back goes over o_groups groups of heads.
void AddV4Projections(const Model& model, double ranks, double batch, double linear_bytes,
                      std::vector<GemmWork>* products) {
  const double hidden = model.hidden_size();
  const double query = model.query_heads() / ranks * model.head_dim();
  const double groups = model.o_groups() / ranks;
  const double group_dim =
      static_cast<double>(model.query_heads()) * model.head_dim() / model.o_groups();
  products->push_back({batch, static_cast<double>(model.q_lora_rank() + model.head_dim()), hidden,
                       1, linear_bytes});
  products->push_back({batch, query, static_cast<double>(model.q_lora_rank()), 1, linear_bytes});
  // An einsum over groups, which serving engines keep in BF16.
  products->push_back({batch, static_cast<double>(model.o_lora_rank()), group_dim, groups, kBf16});
  products->push_back({batch, hidden, groups * model.o_lora_rank(), 1, linear_bytes});
}

// MLA with the up-projections of keys and values absorbed into queries and output.
void AddMlaProjections(const Model& model, double ranks, double batch, double linear_bytes,
                       std::vector<GemmWork>* products) {
  const double hidden = model.hidden_size();
  const double heads = model.query_heads() / ranks;
  const double latent = model.kv_lora_rank();
  const double rope = static_cast<double>(model.head_dim()) - latent;
  products->push_back({batch, model.q_lora_rank() + latent + rope, hidden, 1, linear_bytes});
  products->push_back({batch, heads * model.qk_head_dim(), static_cast<double>(model.q_lora_rank()),
                       1, linear_bytes});
  products->push_back({batch, latent, model.qk_head_dim() - rope, heads, kBf16});
  products->push_back({batch, static_cast<double>(model.v_head_dim()), latent, heads, kBf16});
  products->push_back({batch, hidden, heads * model.v_head_dim(), 1, linear_bytes});
}

void AddIndexer(const Model& model, double batch, double linear_bytes,
                std::vector<GemmWork>* products) {
  const double hidden = model.hidden_size();
  products->push_back({batch, static_cast<double>(model.index_heads()) * model.index_head_dim(),
                       static_cast<double>(model.q_lora_rank()), 1, linear_bytes});
  products->push_back({batch, static_cast<double>(model.index_heads()), hidden, 1, kBf16});
}

// Values and gates of one compressor; overlapping windows (CSA) double them.
GemmWork Compressor(const Model& model, double batch, double dim, double overlap) {
  return {batch, 2.0 * overlap * dim, static_cast<double>(model.hidden_size()), 1, kBf16};
}

}  // namespace

std::vector<GemmWork> AttentionGemms(const Model& model, LayerKind kind, int32_t tensor_parallel,
                                     double batch, double linear_bytes) {
  std::vector<GemmWork> products;
  if (model.kv_lora_rank() > 0) {
    AddMlaProjections(model, tensor_parallel, batch, linear_bytes, &products);
  } else {
    AddV4Projections(model, tensor_parallel, batch, linear_bytes, &products);
  }
  switch (kind) {
    case LayerKind::kSwa:
      break;
    case LayerKind::kCsa:
      AddIndexer(model, batch, linear_bytes, &products);
      if (model.csa_tokens_per_entry() > 1) {
        products.push_back(Compressor(model, batch, model.head_dim(), 2.0));
        products.push_back(Compressor(model, batch, model.index_head_dim(), 2.0));
      }
      break;
    case LayerKind::kHca:
      products.push_back(Compressor(model, batch, model.head_dim(), 1.0));
      break;
  }
  return products;
}

std::vector<GemmWork> SharedExpertGemms(const Model& model, int32_t tensor_parallel, double batch) {
  const double hidden = model.hidden_size();
  const double inner =
      static_cast<double>(model.shared_experts()) * model.expert_intermediate() / tensor_parallel;
  std::vector<GemmWork> products = {
      {batch, static_cast<double>(model.experts()), hidden, 1, kBf16}};
  if (inner > 0.0) {
    products.push_back({batch, 2.0 * inner, hidden, 1, kFp8});
    products.push_back({batch, hidden, inner, 1, kFp8});
  }
  return products;
}

std::vector<GemmWork> DenseMlpGemms(const Model& model, int32_t tensor_parallel, double batch) {
  const double hidden = model.hidden_size();
  const double inner = static_cast<double>(model.dense_intermediate()) / tensor_parallel;
  return {{batch, 2.0 * inner, hidden, 1, kFp8}, {batch, hidden, inner, 1, kFp8}};
}

MoeWork RoutedExperts(const Model& model, int32_t tensor_parallel, double batch, double touched) {
  return {batch, batch * model.experts_per_token(), touched,
          3.0 * model.hidden_size() * model.expert_intermediate() / tensor_parallel,
          model.expert_weight_bits()};
}

GemmWork HeadGemm(const Model& model, int32_t tensor_parallel, double batch) {
  return {batch, static_cast<double>(model.vocab_size()) / tensor_parallel,
          static_cast<double>(model.hidden_size()), 1, kBf16};
}

double GemmsNs(const KernelCalibration& kernels, const std::vector<GemmWork>& products,
               const CardRates& rates) {
  double ns = 0.0;
  for (const GemmWork& product : products) {
    const GemmKernel& kernel =
        product.weight_bytes > 1.0 ? kernels.gemm_bf16() : kernels.gemm_fp8();
    ns += GemmNs(kernel, product, rates);
  }
  return ns;
}

double WindowBlocks(double window_tokens) { return std::ceil(window_tokens / kBlockEntries); }
double EntryBlocks(double entries) { return std::ceil(entries / kBlockEntries); }

}  // namespace tierscope

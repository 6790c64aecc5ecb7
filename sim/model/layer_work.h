// The products of a decoder layer, from the model's dimensions. Tensor parallelism shards heads,
// output groups, experts and the vocabulary; the down-projections of queries and keys, the indexer
// and the compressor run whole on every rank. Source: V4, DeepSeek-V4's model code as the layer
// tables of README.md confirm it (whole layers compose from these within 5 %); V3.2 and GLM-5 are
// MLA with absorbed up-projections. Stateless; thread-safe.
#ifndef TIERSCOPE_SIM_MODEL_LAYER_WORK_H_
#define TIERSCOPE_SIM_MODEL_LAYER_WORK_H_

#include <vector>

#include "scenarios/scenario.pb.h"
#include "sim/model/kernel_model.h"

namespace tierscope {

enum class LayerKind { kSwa, kCsa, kHca };

// Products of the attention part for `batch` tokens on one of `tensor_parallel` ranks, projections
// of the compressor and the indexer included. `linear_bytes`: of a weight of the projections that
// are quantised (1 = FP8); the others are BF16.
std::vector<GemmWork> AttentionGemms(const Model& model, LayerKind kind, int32_t tensor_parallel,
                                     double batch, double linear_bytes);

// Router and shared experts of a layer with experts.
std::vector<GemmWork> SharedExpertGemms(const Model& model, int32_t tensor_parallel, double batch);

// The dense MLP of a layer without.
std::vector<GemmWork> DenseMlpGemms(const Model& model, int32_t tensor_parallel, double batch);

// The routed experts of a layer, `touched` of them.
MoeWork RoutedExperts(const Model& model, int32_t tensor_parallel, double batch, double touched);

// The output head.
GemmWork HeadGemm(const Model& model, int32_t tensor_parallel, double batch);

// Sum over products, each by the kernel of its type.
double GemmsNs(const KernelCalibration& kernels, const std::vector<GemmWork>& products,
               const CardRates& rates);

// Blocks of 64 entries that attention reads beside the window's own.
double WindowBlocks(double window_tokens);
double EntryBlocks(double entries);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_MODEL_LAYER_WORK_H_

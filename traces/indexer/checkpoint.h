// Weights of a memory indexer as FlashMemory publishes them: a safetensors file with, for each
// target layer L (a CSA index),
//   retrievers.lL.wq_a.weight          [rank, hidden]
//   retrievers.lL.q_norm_weight        [rank]
//   retrievers.lL.wq_b.weight          [heads * head_dim, rank]
//   retrievers.lL.weights_proj.weight  [heads, hidden]
// in F32, BF16 or F16. Heads are the rows of weights_proj; head_dim follows and must be a power of
// two from 4 on. Other tensors are not looked at (freqs_cis is computed, tierscope's own training
// state is for --resume).
// Source: FlashMemory, retriever.py (_split_joint_state).
#ifndef TIERSCOPE_TRACES_INDEXER_CHECKPOINT_H_
#define TIERSCOPE_TRACES_INDEXER_CHECKPOINT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "traces/byte_source.h"
#include "traces/indexer/float_tensor.h"
#include "traces/indexer/indexer_forward.h"
#include "traces/safetensors.h"

namespace tierscope {

inline constexpr int kHiddenMax = 1 << 16;
inline constexpr int kRankMax = 1 << 16;
inline constexpr int kHeadsMax = 1024;
inline constexpr int kHeadDimMax = 1024;

// OK when every size is in range and head_dim is a power of two. Error: which, and what it may be.
absl::Status CheckShape(const IndexerShape& shape);

// The layers of a checkpoint, rising; those of `layers` where it is not empty. All have one shape.
// Errors: no such tensors (with what is there), a layer or tensor missing, shapes that do not go
// together, weights that are not finite. Memory: the weights in float.
absl::StatusOr<std::vector<LayerWeights>> ReadCheckpoint(const ByteSource& source,
                                                         const std::vector<int>& layers);

// Reads one layer's tensors behind `prefix`, which ends with ".".
absl::StatusOr<LayerWeights> ReadLayer(const ByteSource& source, const std::vector<Tensor>& tensors,
                                       const std::string& prefix, int csa_layer);

// Views of one layer's tensors, named with `prefix`. The weights must outlive them.
void AppendViews(const LayerWeights& weights, const std::string& prefix,
                 std::vector<TensorView>* views);

// "retrievers.lL."
std::string LayerPrefix(int csa_layer);

// Writes F32 weights, whole or not at all.
absl::Status WriteCheckpoint(const std::vector<LayerWeights>& layers, const std::string& path);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_INDEXER_CHECKPOINT_H_

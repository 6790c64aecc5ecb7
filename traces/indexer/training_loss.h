// Loss of one target layer on a batch of windows, and its gradient, by hand, in double.
//
// The key side is frozen: keys are the dump's, decoded. The query side is that of indexer_forward.h
// without its roundings to bf16 and e4m3, which have no gradient (nor has FlashMemory's training,
// training/train.py). Over all examples of the batch together, with z the logit and y the label:
//   BCE    mean of -ln p_y,                   p_1 = sigmoid(z), p_0 = 1 - p_1
//   focal  mean of (1 - p_y)^2 * -ln p_y      (gamma 2, as the source has it)
//
// The same bits whatever the threads: a layer is one thread's. Eigen's products depend on the sizes
// of caches unless FixProductBlocking was called.
#ifndef TIERSCOPE_TRACES_INDEXER_TRAINING_LOSS_H_
#define TIERSCOPE_TRACES_INDEXER_TRAINING_LOSS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "traces/indexer/indexer_forward.h"

namespace tierscope {

enum class TrainingLoss { kBce, kFocal };

// One window in one layer: its query's input, and keys with their labels.
struct TrainingWindow {
  int64_t position = 0;
  std::vector<float> hidden;    // [hidden]
  std::vector<uint8_t> keys;    // [labels][head_dim + 4], as in the dump
  std::vector<uint8_t> labels;  // 1 = golden
};

// Weights, or a gradient of each, in the order and shapes of LayerWeights.
struct LayerValues {
  std::vector<double> wq_a, q_norm, wq_b, weights_proj;
};

LayerValues ValuesOf(const LayerWeights& weights);

// Makes Eigen's products independent of the machine's caches. Once, before any thread starts.
void FixProductBlocking();

// Returns the loss; replaces `gradient`. Precondition: a window, and in each a label at least.
double LossAndGradient(const IndexerShape& shape, const LayerValues& weights,
                       std::span<const TrainingWindow> batch, TrainingLoss loss,
                       LayerValues* gradient);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_INDEXER_TRAINING_LOSS_H_

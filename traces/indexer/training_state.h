// What training needs to go on, and its file: a checkpoint (checkpoint.h) with the best weights,
// and behind them
//   training.now.lL.*, training.m.lL.*, training.v.lL.*   weights and Adam's moments, shaped as
//                                                         retrievers.lL.*
//   training.state  I64 [5]: epochs done, Adam steps done, the best epoch, the bits of its AUC, a
//                   digest of dumps and options
#ifndef TIERSCOPE_TRACES_INDEXER_TRAINING_STATE_H_
#define TIERSCOPE_TRACES_INDEXER_TRAINING_STATE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "traces/indexer/indexer_forward.h"
#include "traces/indexer/training_loss.h"

namespace tierscope {

struct TrainingState {
  int64_t epochs = 0;
  int64_t steps = 0;
  int64_t best_epoch = 0;
  double best_auc = -1.0;
  uint64_t digest = 0;
  // [layer]; moments are shaped as the weights.
  std::vector<LayerWeights> best, now, first_moment, second_moment;
};

// Weights drawn uniformly from +-1 / sqrt(columns), norms of 1, moments of 0.
TrainingState FreshState(const IndexerShape& shape, const std::vector<int>& layers, uint64_t seed);
// The same from weights.
TrainingState StateFrom(std::vector<LayerWeights> weights);

// One step of Adam (Kingma and Ba, 2015; beta 0.9 and 0.999, epsilon 1e-8) on layer `layer`, the
// gradient clipped to norm 1 over the layer. `steps` counts this one, from 1.
void AdamStep(LayerValues gradient, double learning_rate, int64_t steps, size_t layer,
              TrainingState* state);

absl::Status WriteState(const TrainingState& state, const std::string& path);
// Errors: no checkpoint, none that training left, another one (by digest).
absl::StatusOr<TrainingState> ReadState(const std::string& path, uint64_t digest);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_INDEXER_TRAINING_STATE_H_

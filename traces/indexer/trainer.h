// `tierscope indexer train`: trains the query side of a memory indexer on golden labels of dumps;
// the key side is theirs and stays. Every target layer learns alone, on the same windows and
// labels; only early stopping looks at them together, as `indexer score` would.
//
// Source: FlashMemory, training/train.py: binary cross-entropy or focal loss on golden entries and
// randomly drawn others, Adam, gradients clipped to norm 1, early stopping. Not taken over: weight
// decay, cosine schedule, label smoothing, pairwise losses, weights by votes, weights of the native
// indexer to start from (any checkpoint can be given with `init`).
//
// Held-out windows are scored whole, by the arithmetic of `indexer score`; the best epoch is that
// of the largest AUC (the source: of F1 at 0.5, or recall in the top 512, which both move with the
// length of the history).
//
// The result depends on dumps, options and seed alone: neither on threads nor on interruptions. The
// checkpoint is written whole after every epoch, with all that is needed to go on.
// Memory: 40 bytes a weight (2.6 GB for three layers of 128 heads and rank 1024), a batch, and what
// ScoreRows takes; dumps are streamed.
#ifndef TIERSCOPE_TRACES_INDEXER_TRAINER_H_
#define TIERSCOPE_TRACES_INDEXER_TRAINER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "traces/indexer/training_loss.h"
#include "traces/indexer/training_windows.h"

namespace tierscope {

struct EpochReport {
  int64_t epoch = 0;     // 0: before training
  double loss = -1.0;    // mean over batches and layers; -1 in epoch 0
  double auc = -1.0;     // of held-out windows, all target layers together
  double recall = -1.0;  // of their golden entries, at threshold 0.5
  double kept = -1.0;    // part of all entries, at threshold 0.5
  bool is_best = false;  // of all so far
};

struct TrainOptions {
  TrainingLoss loss = TrainingLoss::kFocal;
  std::vector<int> layers;  // empty: all that every dump has
  int32_t heads = 128;
  int32_t rank = 1024;
  int32_t negatives = 3;  // examples that are not golden, for each that is
  int32_t batch_windows = 16;
  int32_t epochs = 30;
  int32_t patience = 5;  // epochs without a better one before it stops
  double learning_rate = 1e-4;
  uint64_t seed = 1;
  int32_t tokens_per_entry = 4;
  WindowOptions windows;
  std::string init;     // a checkpoint to start from; its heads and rank count
  bool resume = false;  // go on from the checkpoint at the output
  std::function<void(const EpochReport&)> on_epoch;  // may be empty
};

struct TrainResult {
  std::vector<EpochReport> epochs;  // of this call
  EpochReport best;                 // of all; what the checkpoint scores
  int64_t training_windows = 0;
  int64_t held_out_windows = 0;
};

// Errors: those of the readers; dumps that do not go together; a checkpoint to resume that was
// trained with other dumps or options; weights that grew beyond what a float holds.
absl::StatusOr<TrainResult> TrainIndexer(const std::vector<std::string>& dumps,
                                         const TrainOptions& options, const std::string& path);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_INDEXER_TRAINER_H_

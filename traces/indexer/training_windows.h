// What an indexer is trained and judged on: windows of dumps with their golden entries, some kept
// out, and the examples drawn from one.
#ifndef TIERSCOPE_TRACES_INDEXER_TRAINING_WINDOWS_H_
#define TIERSCOPE_TRACES_INDEXER_TRAINING_WINDOWS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "sim/base/rng.h"
#include "traces/indexer/hidden_dump.h"
#include "traces/indexer/training_loss.h"

namespace tierscope {

struct GoldenWindow {
  size_t dump = 0;
  int64_t row = 0;
  std::vector<uint32_t> golden;  // with a key, rising; at least one
};

struct WindowSplit {
  std::vector<GoldenWindow> training;
  std::vector<GoldenWindow> held_out;
};

struct WindowOptions {
  int32_t stride_steps = 16;  // between windows; a multiple of the dumps' row stride
  int32_t window_steps = 64;
  int32_t csa_layers = 21;      // most votes a label may have
  double held_out_share = 0.2;  // of each dump's windows, its last ones
};

// Whole windows with golden entries. Of each dump the last share is held out; training windows
// whose labels reach into it are left out, so that no label is on both sides. Errors: a dump
// without labels, or nothing left on either side.
absl::StatusOr<WindowSplit> CollectWindows(const std::vector<std::unique_ptr<HiddenDump>>& dumps,
                                           const WindowOptions& options);

// Entries of one window to train on: the golden ones, at most kGoldenMax drawn at random, then
// `negatives` times as many others that exist at the window, drawn without repetition, uniformly.
struct Examples {
  static constexpr size_t kGoldenMax = 512;  // as FlashMemory's training/dataloader.py
  std::vector<uint32_t> entries;
  std::vector<uint8_t> labels;
};
Examples DrawExamples(const GoldenWindow& window, int64_t scorable, int negatives, Rng* rng);

// Reads the hidden state and the examples' keys of one layer.
absl::Status ReadTrainingWindow(const HiddenDump& dump, size_t layer, int64_t row,
                                const Examples& examples, TrainingWindow* window);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_INDEXER_TRAINING_WINDOWS_H_

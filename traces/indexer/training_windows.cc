#include "traces/indexer/training_windows.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

absl::Status CheckDump(const HiddenDump& dump, const WindowOptions& options) {
  if (!dump.has_labels()) {
    return BadInput(dump.name(), "it has no label_* tensors", "train on dumps with golden labels");
  }
  if (options.stride_steps % dump.stride_steps() == 0) return absl::OkStatus();
  return BadInput(dump.name(), absl::StrCat("its rows are ", dump.stride_steps(), " steps apart"),
                  absl::StrCat("give --stride as a multiple of that, not ", options.stride_steps));
}

absl::StatusOr<std::vector<GoldenWindow>> WindowsOf(const HiddenDump& dump, size_t index,
                                                    const WindowOptions& options) {
  std::vector<GoldenWindow> windows;
  std::vector<uint8_t> votes;
  const int64_t rows_apart = options.stride_steps / dump.stride_steps();
  for (int64_t row = 0; dump.WindowIsWhole(row, options.window_steps); row += rows_apart) {
    GoldenWindow window = {index, row, {}};
    TIERSCOPE_RETURN_IF_ERROR(
        dump.ReadWindow(row, options.window_steps, options.csa_layers, &window.golden, &votes));
    const auto with_key =
        std::lower_bound(window.golden.begin(), window.golden.end(), dump.scorable(row));
    window.golden.erase(with_key, window.golden.end());
    if (!window.golden.empty()) windows.push_back(std::move(window));
  }
  return windows;
}

// Moves `count` of `pool`, drawn without repetition, to its front.
void DrawToFront(size_t count, Rng* rng, std::vector<uint32_t>* pool) {
  for (size_t i = 0; i < count; ++i) {
    std::swap((*pool)[i], (*pool)[i + rng->NextBelow(pool->size() - i)]);
  }
}

}  // namespace

absl::StatusOr<WindowSplit> CollectWindows(const std::vector<std::unique_ptr<HiddenDump>>& dumps,
                                           const WindowOptions& options) {
  WindowSplit split;
  for (size_t i = 0; i < dumps.size(); ++i) {
    TIERSCOPE_RETURN_IF_ERROR(CheckDump(*dumps[i], options));
    TIERSCOPE_ASSIGN_OR_RETURN(std::vector<GoldenWindow> windows, WindowsOf(*dumps[i], i, options));
    const auto held_out = static_cast<size_t>(
        std::ceil(options.held_out_share * static_cast<double>(windows.size())));
    const size_t first = windows.size() - held_out;
    const int64_t label_rows = dumps[i]->window_rows(options.window_steps);
    for (size_t w = 0; w < windows.size(); ++w) {
      if (w >= first) {
        split.held_out.push_back(std::move(windows[w]));
      } else if (first == windows.size() || windows[w].row + label_rows <= windows[first].row) {
        split.training.push_back(std::move(windows[w]));
      }
    }
  }
  if (!split.training.empty() && !split.held_out.empty()) return split;
  return absl::InvalidArgumentError(
      absl::StrCat(dumps[0]->name(), dumps.size() > 1 ? " and the other dumps" : "", ": ",
                   split.training.size(), " windows to train on and ", split.held_out.size(),
                   " held out; give longer dumps, a smaller --stride, or another --held-out"));
}

Examples DrawExamples(const GoldenWindow& window, int64_t scorable, int negatives, Rng* rng) {
  Examples examples;
  examples.entries = window.golden;
  if (examples.entries.size() > Examples::kGoldenMax) {
    DrawToFront(Examples::kGoldenMax, rng, &examples.entries);
    examples.entries.resize(Examples::kGoldenMax);
  }
  examples.labels.assign(examples.entries.size(), 1);
  std::vector<uint32_t> others;
  auto golden = window.golden.begin();
  for (uint32_t entry = 0; entry < scorable; ++entry) {
    if (golden != window.golden.end() && *golden == entry) {
      ++golden;
    } else {
      others.push_back(entry);
    }
  }
  const size_t wanted = examples.entries.size() * static_cast<size_t>(negatives);
  const size_t drawn = std::min(wanted, others.size());
  DrawToFront(drawn, rng, &others);
  examples.entries.insert(examples.entries.end(), others.begin(),
                          others.begin() + static_cast<std::ptrdiff_t>(drawn));
  examples.labels.resize(examples.entries.size(), 0);
  return examples;
}

absl::Status ReadTrainingWindow(const HiddenDump& dump, size_t layer, int64_t row,
                                const Examples& examples, TrainingWindow* window) {
  const auto key_bytes = static_cast<size_t>(dump.key_bytes());
  window->position = dump.position(row);
  window->labels = examples.labels;
  window->hidden.resize(static_cast<size_t>(dump.hidden()));
  TIERSCOPE_RETURN_IF_ERROR(dump.ReadHidden(layer, row, window->hidden));
  window->keys.resize(examples.entries.size() * key_bytes);
  for (size_t i = 0; i < examples.entries.size(); ++i) {
    const std::span<uint8_t> key = std::span(window->keys).subspan(i * key_bytes, key_bytes);
    TIERSCOPE_RETURN_IF_ERROR(dump.ReadKeys(layer, examples.entries[i], 1, key));
    if (!IsWholeKey(key)) return dump.BadKey(layer, examples.entries[i]);
  }
  return absl::OkStatus();
}

}  // namespace tierscope

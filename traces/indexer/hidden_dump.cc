#include "traces/indexer/hidden_dump.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"
#include "traces/indexer/checkpoint.h"
#include "traces/indexer/float_tensor.h"
#include "traces/indexer/indexer_forward.h"
#include "traces/indexer/rope.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

constexpr absl::string_view kMend = "make or convert the dump again, or leave it out";

const Tensor* FindTensor(const std::vector<Tensor>& tensors, const std::string& name) {
  for (const Tensor& tensor : tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

// Layers with hidden states and keys.
std::set<int> WholeLayers(const std::vector<Tensor>& tensors) {
  std::set<int> layers;
  for (const Tensor& tensor : tensors) {
    absl::string_view name = tensor.name;
    int layer = 0;
    if (!absl::ConsumePrefix(&name, "hidden_layer_") || !absl::SimpleAtoi(name, &layer)) continue;
    if (layer < 0 || layer >= kLayerCountMax || name != absl::StrCat(layer)) continue;
    if (FindTensor(tensors, absl::StrCat("compk_layer_", layer)) != nullptr) layers.insert(layer);
  }
  return layers;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HiddenDump>> HiddenDump::Open(std::unique_ptr<ByteSource> source,
                                                             const std::vector<int>& layers,
                                                             int tokens_per_entry) {
  auto dump = std::unique_ptr<HiddenDump>(new HiddenDump(std::move(source), tokens_per_entry));
  const ByteSource& bytes = *dump->source_;
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<Tensor> tensors, ReadSafetensorsHeader(bytes));
  TIERSCOPE_RETURN_IF_ERROR(dump->FindTensors(tensors, layers));
  TIERSCOPE_ASSIGN_OR_RETURN(dump->positions_, ReadRowPositions(bytes, tensors, 1));
  TIERSCOPE_RETURN_IF_ERROR(dump->CheckSizes());
  if (HasLabels(tensors)) {
    TIERSCOPE_ASSIGN_OR_RETURN(LabelRows labels,
                               LabelRows::Read(bytes, tensors, dump->positions_.rows));
    dump->labels_.emplace(std::move(labels));
  }
  return dump;
}

absl::Status HiddenDump::FindTensors(const std::vector<Tensor>& tensors,
                                     const std::vector<int>& layers) {
  const std::set<int> found = WholeLayers(tensors);
  const std::set<int> wanted = layers.empty() ? found : std::set<int>(layers.begin(), layers.end());
  if (wanted.empty()) {
    return BadInput(name(), "no layer L has both tensors hidden_layer_L and compk_layer_L", kMend);
  }
  for (const int layer : wanted) {
    if (found.count(layer) == 0) {
      return BadInput(
          name(),
          absl::StrCat("layer ", layer, " has no hidden_layer_", layer, " with compk_layer_", layer,
                       "; layers that have: ", found.empty() ? "none" : absl::StrJoin(found, ", ")),
          "dump the target layers, or name other ones with --layers");
    }
    layers_.push_back(layer);
    hidden_tensors_.push_back(*FindTensor(tensors, absl::StrCat("hidden_layer_", layer)));
    key_tensors_.push_back(*FindTensor(tensors, absl::StrCat("compk_layer_", layer)));
    Tensor& keys = key_tensors_.back();
    if (keys.shape.size() == 3 && keys.shape[1] == 1) keys.shape.erase(keys.shape.begin() + 1);
    if (keys.dtype != "U8" || keys.shape.size() != 2 || keys.shape[0] < 1 ||
        keys.shape[1] < 4 + kKeyScaleBytes || keys.shape[1] > kHeadDimMax + kKeyScaleBytes) {
      return BadInput(name(),
                      absl::StrCat(keys.name, " has dtype ", keys.dtype, " and shape [",
                                   absl::StrJoin(keys.shape, ", "), "]"),
                      "expected U8 [entries, head_dim + 4]");
    }
  }
  const std::vector<int64_t>& shape = hidden_tensors_[0].shape;
  if (shape.size() != 2 || shape[1] < 1 || shape[1] > kHiddenMax) {
    return BadInput(
        name(),
        absl::StrCat(hidden_tensors_[0].name, " has shape [", absl::StrJoin(shape, ", "), "]"),
        absl::StrCat("expected [rows, 1 to ", kHiddenMax, "]"));
  }
  hidden_ = static_cast<int>(shape[1]);
  keys_ = key_tensors_[0].shape[0];
  head_dim_ = static_cast<int>(key_tensors_[0].shape[1]) - kKeyScaleBytes;
  return absl::OkStatus();
}

absl::Status HiddenDump::CheckSizes() const {
  const int64_t rows = positions_.rows;
  for (size_t i = 0; i < layers_.size(); ++i) {
    TIERSCOPE_RETURN_IF_ERROR(
        CheckFloatTensor(*source_, hidden_tensors_[i], std::vector<int64_t>{rows, hidden_}));
    if (key_tensors_[i].shape == key_tensors_[0].shape) continue;
    return BadInput(
        name(), absl::StrCat(key_tensors_[i].name, " differs in shape from ", key_tensors_[0].name),
        kMend);
  }
  if (history(rows - 1) >= 1 && history(rows - 1) <= kHistoryEntriesMax &&
      position(rows - 1) <= kPositionTokensMax) {
    return absl::OkStatus();
  }
  return BadInput(
      name(),
      absl::StrCat("its last row is at position ", position(rows - 1), " and has a history of ",
                   history(rows - 1), " entries, expected 1 to ", kHistoryEntriesMax,
                   " at a position up to ", kPositionTokensMax),
      "check positions_layer_L and --tokens-per-entry");
}

absl::Status HiddenDump::ReadHidden(size_t layer, int64_t row, std::span<float> out) const {
  return ReadFloats(*source_, hidden_tensors_[layer], row * hidden_, out);
}

absl::Status HiddenDump::ReadKeys(size_t layer, int64_t first, int64_t count,
                                  std::span<uint8_t> out) const {
  return source_->ReadAt(key_tensors_[layer].offset + first * key_bytes(),
                         reinterpret_cast<char*>(out.data()), count * key_bytes());
}

absl::Status HiddenDump::BadKey(size_t layer, int64_t key) const {
  const Tensor& tensor = key_tensors_[layer];
  return BadInput(
      PlaceOfOffset(name(), tensor.offset + key * key_bytes()),
      absl::StrCat(tensor.name, "[", key, "] holds a NaN, or its scale is negative or not finite"),
      "a key slot that was never written? dump again");
}

absl::Status HiddenDump::ReadWindow(int64_t row, int64_t window_steps, int32_t csa_layers,
                                    std::vector<uint32_t>* entries,
                                    std::vector<uint8_t>* votes) const {
  std::vector<uint32_t> row_entries;
  std::vector<uint8_t> row_votes;
  std::vector<std::pair<uint32_t, uint8_t>> all;
  for (int64_t r = row; r < row + window_rows(window_steps); ++r) {
    TIERSCOPE_RETURN_IF_ERROR(
        labels_->ReadRow(r, history(r), csa_layers, &row_entries, &row_votes));
    for (size_t i = 0; i < row_entries.size(); ++i) {
      if (row_entries[i] < history(row)) all.push_back({row_entries[i], row_votes[i]});
    }
  }
  std::sort(all.begin(), all.end());
  entries->clear();
  votes->clear();
  for (const auto& [entry, vote] : all) {
    if (!entries->empty() && entries->back() == entry) {
      votes->back() = vote;  // sorted: the most votes come last
      continue;
    }
    entries->push_back(entry);
    votes->push_back(vote);
  }
  return absl::OkStatus();
}

}  // namespace tierscope

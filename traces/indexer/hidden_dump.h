// A dump that an indexer can be run or trained on: FlashMemory's doc_*.pkl as safetensors.
//   hidden_layer_L     [T, hidden] BF16, F16 or F32: what layer L's indexer saw at row t
//   compk_layer_L      [N, head_dim + 4] or [N, 1, head_dim + 4] U8: e4m3 values and a float scale
//                      of each entry's compressed key, its rotation and transform applied
//   positions_layer_L  [T] and label_*: traces/label_rows.h; labels may be missing
// L is a CSA index. Row 0 runs in step 0; rows are `stride_steps` steps apart, 1 in FlashMemory's.
// N may be less than the last history: entries without a key are never scored.
//
// Nothing but positions is held: hidden states, keys and labels are read where they are asked for.
// Thread-safe once made.
#ifndef TIERSCOPE_TRACES_INDEXER_HIDDEN_DUMP_H_
#define TIERSCOPE_TRACES_INDEXER_HIDDEN_DUMP_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "traces/byte_source.h"
#include "traces/label_rows.h"
#include "traces/safetensors.h"

namespace tierscope {

class HiddenDump {
 public:
  // Of the layers given, or of all that have hidden states and keys. Errors: a tensor missing, of
  // another type or shape; layers that differ in size; histories above kHistoryEntriesMax.
  static absl::StatusOr<std::unique_ptr<HiddenDump>> Open(std::unique_ptr<ByteSource> source,
                                                          const std::vector<int>& layers,
                                                          int tokens_per_entry);

  const std::string& name() const { return source_->name(); }
  const std::vector<int>& layers() const { return layers_; }  // rising
  int64_t rows() const { return positions_.rows; }
  int64_t stride_steps() const { return positions_.stride; }
  int hidden() const { return hidden_; }
  int head_dim() const { return head_dim_; }
  int64_t keys() const { return keys_; }  // entries that have one
  int64_t key_bytes() const { return head_dim_ + 4; }
  bool has_labels() const { return labels_.has_value(); }
  int64_t source_bytes() const { return source_->size_bytes(); }
  int tokens_per_entry() const { return tokens_per_entry_; }

  int64_t position(int64_t row) const {
    return positions_.first_position + row * positions_.stride;
  }
  // Entries that exist once the row's step has run, and those of them with a key.
  int64_t history(int64_t row) const { return (position(row) + 1) / tokens_per_entry_; }
  int64_t scorable(int64_t row) const { return std::min(history(row), keys_); }

  // `layer` is an index into layers(). Errors: the disk, values that are not finite.
  absl::Status ReadHidden(size_t layer, int64_t row, std::span<float> out) const;
  absl::Status ReadKeys(size_t layer, int64_t first, int64_t count, std::span<uint8_t> out) const;
  // An error that names a key with NaN or a bad scale.
  absl::Status BadKey(size_t layer, int64_t key) const;

  // Golden entries of the window behind a row: the union of the rows of steps [step of row, +
  // window steps), entries that exist at the row, rising; the most votes of each. Labels of a row
  // are those of its own token, or, where rows are a window apart, of the window. Precondition:
  // has_labels() and WindowIsWhole(row, window_steps).
  absl::Status ReadWindow(int64_t row, int64_t window_steps, int32_t csa_layers,
                          std::vector<uint32_t>* entries, std::vector<uint8_t>* votes) const;
  int64_t window_rows(int64_t window_steps) const {
    return (window_steps + positions_.stride - 1) / positions_.stride;
  }
  bool WindowIsWhole(int64_t row, int64_t window_steps) const {
    return row + window_rows(window_steps) <= rows();
  }

 private:
  HiddenDump(std::unique_ptr<ByteSource> source, int tokens_per_entry)
      : source_(std::move(source)), tokens_per_entry_(tokens_per_entry) {}
  absl::Status FindTensors(const std::vector<Tensor>& tensors, const std::vector<int>& layers);
  absl::Status CheckSizes() const;

  std::unique_ptr<ByteSource> source_;
  int tokens_per_entry_;
  std::vector<int> layers_;
  std::vector<Tensor> hidden_tensors_, key_tensors_;  // [layer]
  RowPositions positions_;
  std::optional<LabelRows> labels_;
  int hidden_ = 0;
  int head_dim_ = 0;
  int64_t keys_ = 0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_INDEXER_HIDDEN_DUMP_H_

// Golden entries in a dump of FlashMemory's: per row which entries are golden and how many layers
// voted for each.
//   positions_layer_L [T] integers: which tokens the rows are; all layers alike
//   label_pointers [T + 1], label_indices and label_scores [label_pointers[T]]: row t holds the
//   entries and votes at label_pointers[t] .. label_pointers[t + 1] - 1
// Memory: 8 bytes a row and tensor; labels are read a row at a time. Thread-safe once made.
#ifndef TIERSCOPE_TRACES_LABEL_ROWS_H_
#define TIERSCOPE_TRACES_LABEL_ROWS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "traces/byte_source.h"
#include "traces/safetensors.h"

namespace tierscope {

// The tokens of a dump's rows: first_position + row * stride.
struct RowPositions {
  int64_t rows = 0;
  int64_t first_position = 0;
  int64_t stride = 1;
};

// Errors: no tensor positions_layer_L, none or too many rows, layers that differ, positions that do
// not rise evenly. `stride` is that of a dump with a single row.
absl::StatusOr<RowPositions> ReadRowPositions(const ByteSource& source,
                                              const std::vector<Tensor>& tensors, int64_t stride);

// Whether the file has labels at all.
bool HasLabels(const std::vector<Tensor>& tensors);

class LabelRows {
 public:
  // Errors: a tensor missing, of another type or shape, pointers that fall or are not of `rows`
  // rows.
  static absl::StatusOr<LabelRows> Read(const ByteSource& source,
                                        const std::vector<Tensor>& tensors, int64_t rows);

  // Golden entries of a row, rising, and their votes. Errors: entries outside 0 .. history - 1 or
  // twice, votes outside 1 .. layers.
  absl::Status ReadRow(int64_t row, int64_t history, int32_t layers, std::vector<uint32_t>* entries,
                       std::vector<uint8_t>* votes) const;

 private:
  LabelRows(const ByteSource& source, Tensor indices, Tensor scores, std::vector<int64_t> pointers)
      : source_(&source),
        indices_(std::move(indices)),
        scores_(std::move(scores)),
        pointers_(std::move(pointers)) {}

  const ByteSource* source_;
  Tensor indices_, scores_;
  std::vector<int64_t> pointers_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_LABEL_ROWS_H_

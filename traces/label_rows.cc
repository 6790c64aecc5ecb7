#include "traces/label_rows.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

constexpr int64_t kRowsMax = int64_t{1} << 26;
constexpr int64_t kPositionMax = int64_t{1} << 40;  // tokens; far above any context

template <typename... Parts>
absl::Status Bad(const ByteSource& source, const Parts&... what) {
  return BadInput(source.name(), absl::StrCat(what...),
                  "make or convert the dump again, or leave it out");
}

bool HoldsNumbers(const Tensor& tensor) {
  const std::string& t = tensor.dtype;
  return t == "I64" || t == "I32" || t == "I16" || t == "U8" || t == "I8" || t == "F32";
}

template <typename T>
T Load(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

bool ToWholeNumber(const std::string& dtype, const char* bytes, int64_t* value) {
  if (dtype == "F32") {
    const auto number = Load<float>(bytes);
    if (!(number > -1e9f && number < 1e9f)) return false;
    *value = static_cast<int64_t>(number);
    return static_cast<float>(*value) == number;
  }
  *value = dtype == "I64"   ? Load<int64_t>(bytes)
           : dtype == "I32" ? Load<int32_t>(bytes)
           : dtype == "I16" ? Load<int16_t>(bytes)
           : dtype == "U8"  ? Load<uint8_t>(bytes)
                            : Load<int8_t>(bytes);
  return true;
}

// Values [begin, end) of a tensor that HoldsNumbers. Error: one that is no whole number.
absl::Status ReadNumbers(const ByteSource& source, const Tensor& tensor, int64_t begin, int64_t end,
                         std::vector<int64_t>* values) {
  values->resize(static_cast<size_t>(end - begin));
  if (begin == end) return absl::OkStatus();
  const int64_t element_bytes = tensor.bytes / tensor.elements();
  std::string bytes(static_cast<size_t>((end - begin) * element_bytes), '\0');
  TIERSCOPE_RETURN_IF_ERROR(source.ReadAt(tensor.offset + begin * element_bytes, bytes.data(),
                                          static_cast<int64_t>(bytes.size())));
  for (size_t i = 0; i < values->size(); ++i) {
    if (!ToWholeNumber(tensor.dtype, bytes.data() + i * static_cast<size_t>(element_bytes),
                       &(*values)[i])) {
      const int64_t at = begin + static_cast<int64_t>(i);
      return BadInput(PlaceOfOffset(source.name(), tensor.offset + at * element_bytes),
                      absl::StrCat(tensor.name, "[", at, "] is no whole number"),
                      "NaN or a fraction in a dump of counts: make the dump again");
    }
  }
  return absl::OkStatus();
}

// A tensor of whole numbers with one dimension.
absl::StatusOr<const Tensor*> Find(const ByteSource& source, const std::vector<Tensor>& tensors,
                                   absl::string_view name) {
  for (const Tensor& tensor : tensors) {
    if (tensor.name != name) continue;
    if (tensor.shape.size() != 1 || !HoldsNumbers(tensor)) {
      return Bad(source, name, " has dtype ", tensor.dtype, " and ", tensor.shape.size(),
                 " dimensions, expected integers in one");
    }
    return &tensor;
  }
  return Bad(source, "tensor ", name, " is missing");
}

absl::Status CheckEven(const ByteSource& source, const std::string& name,
                       const std::vector<int64_t>& positions, int64_t stride) {
  for (const int64_t position : positions) {
    if (position < 0 || position > kPositionMax) {
      return Bad(source, name, " holds the position ", position, ", expected 0 to ", kPositionMax);
    }
  }
  if (stride < 1 || stride > kStepCountMax) {
    return Bad(source, name, " does not rise evenly: ", stride,
               " from row 0 to row 1, expected 1 to ", kStepCountMax);
  }
  for (size_t row = 0; row < positions.size(); ++row) {
    const int64_t expected = positions[0] + static_cast<int64_t>(row) * stride;
    if (positions[row] == expected) continue;
    return Bad(source, name, " does not rise evenly: ", positions[row], " at row ", row,
               ", expected ", expected);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RowPositions> ReadRowPositions(const ByteSource& source,
                                              const std::vector<Tensor>& tensors, int64_t stride) {
  std::vector<int64_t> positions, other;
  std::string first_name;
  for (const Tensor& tensor : tensors) {
    if (!absl::StartsWith(tensor.name, "positions_layer_")) continue;
    TIERSCOPE_ASSIGN_OR_RETURN(const Tensor* found, Find(source, tensors, tensor.name));
    const int64_t rows = found->elements();
    if (rows < 1 || rows > kRowsMax)
      return Bad(source, tensor.name, " has ", rows, " values, expected 1 to ", kRowsMax);
    std::vector<int64_t>* into = first_name.empty() ? &positions : &other;
    TIERSCOPE_RETURN_IF_ERROR(ReadNumbers(source, *found, 0, rows, into));
    if (first_name.empty()) {
      first_name = tensor.name;
    } else if (other != positions) {
      return Bad(source, tensor.name, " differs from ", first_name);
    }
  }
  if (first_name.empty())
    return Bad(source, "no tensor positions_layer_L says which tokens the rows are");
  if (positions.size() > 1 && __builtin_sub_overflow(positions[1], positions[0], &stride))
    stride = 0;
  TIERSCOPE_RETURN_IF_ERROR(CheckEven(source, first_name, positions, stride));
  return RowPositions{static_cast<int64_t>(positions.size()), positions[0], stride};
}

bool HasLabels(const std::vector<Tensor>& tensors) {
  return std::any_of(tensors.begin(), tensors.end(),
                     [](const Tensor& tensor) { return absl::StartsWith(tensor.name, "label_"); });
}

absl::StatusOr<LabelRows> LabelRows::Read(const ByteSource& source,
                                          const std::vector<Tensor>& tensors, int64_t rows) {
  TIERSCOPE_ASSIGN_OR_RETURN(const Tensor* found, Find(source, tensors, "label_pointers"));
  if (found->elements() != rows + 1) {
    return Bad(source, "label_pointers has ", found->elements(), " values, expected ", rows + 1,
               " for ", rows, " rows");
  }
  std::vector<int64_t> pointers;
  TIERSCOPE_RETURN_IF_ERROR(ReadNumbers(source, *found, 0, rows + 1, &pointers));
  for (size_t i = 1; i < pointers.size(); ++i) {
    if (pointers[i] < pointers[i - 1]) {
      return Bad(source, "label_pointers falls from ", pointers[i - 1], " to ", pointers[i], " at ",
                 i);
    }
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const Tensor* indices, Find(source, tensors, "label_indices"));
  TIERSCOPE_ASSIGN_OR_RETURN(const Tensor* scores, Find(source, tensors, "label_scores"));
  if (pointers[0] != 0 || pointers.back() != indices->elements() ||
      pointers.back() != scores->elements()) {
    return Bad(source, "label_pointers runs from ", pointers[0], " to ", pointers.back(),
               ", label_indices has ", indices->elements(), " and label_scores ",
               scores->elements(), " values");
  }
  return LabelRows(source, *indices, *scores, std::move(pointers));
}

absl::Status LabelRows::ReadRow(int64_t row, int64_t history, int32_t layers,
                                std::vector<uint32_t>* entries, std::vector<uint8_t>* votes) const {
  const int64_t begin = pointers_[static_cast<size_t>(row)];
  const int64_t end = pointers_[static_cast<size_t>(row) + 1];
  if (end - begin > kHistoryEntriesMax)
    return Bad(*source_, "row ", row, " has ", end - begin, " labels");
  std::vector<int64_t> read_entries, read_votes;
  TIERSCOPE_RETURN_IF_ERROR(ReadNumbers(*source_, indices_, begin, end, &read_entries));
  TIERSCOPE_RETURN_IF_ERROR(ReadNumbers(*source_, scores_, begin, end, &read_votes));
  std::vector<std::pair<uint32_t, uint8_t>> labels;
  for (size_t i = 0; i < read_entries.size(); ++i) {
    if (read_entries[i] < 0 || read_entries[i] >= history) {
      return Bad(*source_, "row ", row, ": golden entry ", read_entries[i],
                 " lies outside the history of ", history, " entries");
    }
    if (read_votes[i] < 1 || read_votes[i] > layers) {
      return Bad(*source_, "row ", row, ": ", read_votes[i], " votes for entry ", read_entries[i],
                 ", expected 1 to ", layers, " layers");
    }
    labels.push_back({static_cast<uint32_t>(read_entries[i]), static_cast<uint8_t>(read_votes[i])});
  }
  std::sort(labels.begin(), labels.end());
  entries->clear();
  votes->clear();
  for (const auto& [entry, vote] : labels) {
    if (!entries->empty() && entries->back() == entry) {
      return Bad(*source_, "row ", row, ": golden entry ", entry, " stands twice");
    }
    entries->push_back(entry);
    votes->push_back(vote);
  }
  return absl::OkStatus();
}

}  // namespace tierscope

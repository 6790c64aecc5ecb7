#include "traces/label_import.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"
#include "traces/byte_source.h"
#include "traces/safetensors.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

constexpr int64_t kRowsMax = int64_t{1} << 26;
constexpr int64_t kPositionMax = int64_t{1} << 40;  // tokens; far above any context
constexpr int32_t kFlashLayers = 21, kFlashTopK = 512, kFlashTokensPerEntry = 4;

// Whole numbers of a tensor, whatever numeric type holds them.
class NumberTensor {
 public:
  NumberTensor(const ByteSource& source, const Tensor& tensor) : source_(source), tensor_(tensor) {
    const std::string& t = tensor_.dtype;
    element_bytes_ = tensor.elements() == 0 ? 1 : tensor.bytes / tensor.elements();
    is_supported_ = t == "I64" || t == "I32" || t == "I16" || t == "U8" || t == "I8" || t == "F32";
  }
  bool is_supported() const { return is_supported_; }

  // Values [begin, end). Error: one that is no whole number.
  absl::Status Read(int64_t begin, int64_t end, std::vector<int64_t>* values) {
    bytes_.resize(static_cast<size_t>((end - begin) * element_bytes_));
    TIERSCOPE_RETURN_IF_ERROR(source_.ReadAt(tensor_.offset + begin * element_bytes_, bytes_.data(),
                                             (end - begin) * element_bytes_));
    values->resize(static_cast<size_t>(end - begin));
    for (size_t i = 0; i < values->size(); ++i) {
      if (!Convert(bytes_.data() + i * static_cast<size_t>(element_bytes_), &(*values)[i])) {
        const int64_t at = begin + static_cast<int64_t>(i);
        return BadInput(PlaceOfOffset(source_.name(), tensor_.offset + at * element_bytes_),
                        absl::StrCat(tensor_.name, "[", at, "] is no whole number"),
                        "NaN or a fraction in a dump of counts: make the dump again");
      }
    }
    return absl::OkStatus();
  }

 private:
  template <typename T>
  static T Load(const char* bytes) {
    T value;
    std::memcpy(&value, bytes, sizeof(T));
    return value;
  }
  bool Convert(const char* bytes, int64_t* value) const {
    const std::string& t = tensor_.dtype;
    if (t == "F32") {
      const auto number = Load<float>(bytes);
      if (!(number > -1e9f && number < 1e9f)) return false;
      *value = static_cast<int64_t>(number);
      return static_cast<float>(*value) == number;
    }
    *value = t == "I64"   ? Load<int64_t>(bytes)
             : t == "I32" ? Load<int32_t>(bytes)
             : t == "I16" ? Load<int16_t>(bytes)
             : t == "U8"  ? Load<uint8_t>(bytes)
                          : Load<int8_t>(bytes);
    return true;
  }

  const ByteSource& source_;
  const Tensor tensor_;
  int64_t element_bytes_;
  bool is_supported_;
  std::string bytes_;
};

class LabelImporter {
 public:
  LabelImporter(const ByteSource& source, const ImportOptions& options, ContainerWriter* writer,
                ImportResult* result)
      : source_(source), options_(options), writer_(writer), result_(result) {}

  absl::Status Run(ImportProgress* progress) {
    TIERSCOPE_ASSIGN_OR_RETURN(tensors_, ReadSafetensorsHeader(source_));
    TIERSCOPE_RETURN_IF_ERROR(ReadPointers());
    TIERSCOPE_RETURN_IF_ERROR(ReadPositions());
    TIERSCOPE_RETURN_IF_ERROR(WriteHeader());
    TIERSCOPE_RETURN_IF_ERROR(WriteRows());
    progress->Advance(source_.size_bytes());
    ++result_->profiles;
    return absl::OkStatus();
  }

 private:
  template <typename... Parts>
  absl::Status Bad(const Parts&... what) const {
    return BadInput(source_.name(), absl::StrCat(what...),
                    "make or convert the dump again, or leave it out");
  }

  // A tensor of whole numbers with one dimension.
  absl::StatusOr<const Tensor*> Find(absl::string_view name) const {
    for (const Tensor& tensor : tensors_) {
      if (tensor.name != name) continue;
      if (tensor.shape.size() != 1 || !NumberTensor(source_, tensor).is_supported()) {
        return Bad(name, " has dtype ", tensor.dtype, " and ", tensor.shape.size(),
                   " dimensions, expected integers in one");
      }
      return &tensor;
    }
    return Bad("tensor ", name, " is missing");
  }

  absl::Status ReadPointers() {
    TIERSCOPE_ASSIGN_OR_RETURN(const Tensor* pointers, Find("label_pointers"));
    rows_ = pointers->elements() - 1;
    if (rows_ < 1 || rows_ > kRowsMax) {
      return Bad("label_pointers has ", rows_ + 1, " values, expected 2 to ", kRowsMax + 1);
    }
    TIERSCOPE_RETURN_IF_ERROR(NumberTensor(source_, *pointers).Read(0, rows_ + 1, &pointers_));
    for (size_t i = 1; i < pointers_.size(); ++i) {
      if (pointers_[i] < pointers_[i - 1]) {
        return Bad("label_pointers falls from ", pointers_[i - 1], " to ", pointers_[i], " at ", i);
      }
    }
    TIERSCOPE_ASSIGN_OR_RETURN(indices_, Find("label_indices"));
    TIERSCOPE_ASSIGN_OR_RETURN(scores_, Find("label_scores"));
    if (pointers_[0] != 0 || pointers_.back() != indices_->elements() ||
        pointers_.back() != scores_->elements()) {
      return Bad("label_pointers runs from ", pointers_[0], " to ", pointers_.back(),
                 ", label_indices has ", indices_->elements(), " and label_scores ",
                 scores_->elements(), " values");
    }
    return absl::OkStatus();
  }

  absl::Status ReadPositions() {
    std::vector<int64_t> other;
    std::string first_name;
    for (const Tensor& tensor : tensors_) {
      if (!absl::StartsWith(tensor.name, "positions_layer_")) continue;
      TIERSCOPE_ASSIGN_OR_RETURN(const Tensor* positions, Find(tensor.name));
      if (positions->elements() != rows_) {
        return Bad(tensor.name, " has ", positions->elements(), " values for ", rows_, " rows");
      }
      std::vector<int64_t>* into = first_name.empty() ? &positions_ : &other;
      TIERSCOPE_RETURN_IF_ERROR(NumberTensor(source_, *positions).Read(0, rows_, into));
      if (!first_name.empty() && other != positions_) {
        return Bad(tensor.name, " differs from ", first_name);
      }
      if (first_name.empty()) first_name = tensor.name;
    }
    if (first_name.empty())
      return Bad("no tensor positions_layer_L says which tokens the rows are");
    for (const int64_t position : positions_) {
      if (position < 0 || position > kPositionMax) {
        return Bad(first_name, " holds the position ", position, ", expected 0 to ", kPositionMax);
      }
    }
    stride_ = rows_ > 1 ? positions_[1] - positions_[0] : options_.tick_stride_steps;
    for (int64_t row = 0; row < rows_; ++row) {
      if (stride_ < 1 || stride_ > kStepCountMax ||
          positions_[static_cast<size_t>(row)] != positions_[0] + row * stride_) {
        return Bad(first_name, " does not rise evenly: ", positions_[static_cast<size_t>(row)],
                   " at row ", row, ", expected ", positions_[0] + row * stride_);
      }
    }
    return absl::OkStatus();
  }

  absl::Status WriteHeader() {
    if (rows_ * stride_ > kStepCountMax) {
      return Bad(rows_, " rows every ", stride_, " tokens are more than ", kStepCountMax, " steps");
    }
    header_.set_model(options_.model);
    header_.set_prompt_tokens(positions_[0]);  // the token of row 0 runs in step 0
    header_.set_step_count(static_cast<int32_t>(rows_ * stride_));
    header_.set_tick_stride_steps(static_cast<int32_t>(stride_));
    header_.set_tokens_per_entry(options_.tokens_per_entry > 0 ? options_.tokens_per_entry
                                                               : kFlashTokensPerEntry);
    header_.set_csa_layer_count(options_.layers > 0 ? options_.layers : kFlashLayers);
    header_.set_top_k(options_.topk > 0 ? options_.topk : kFlashTopK);
    header_.set_selections(SELECTIONS_NONE);
    header_.set_no_scores(true);
    header_.mutable_provenance()->set_recorded_with(
        absl::StrCat("FlashMemory's label dump, ", BaseName(source_.name())));
    if (absl::Status status = ValidateProfileHeader(header_); !status.ok()) {
      return At(source_.name(), status);
    }
    TraceRecord record;
    *record.mutable_profile() = header_;
    return writer_->Append(record);
  }

  absl::Status WriteRows() {
    NumberTensor indices(source_, *indices_), scores(source_, *scores_);
    std::vector<int64_t> entries, votes;
    std::vector<std::pair<uint32_t, uint8_t>> row_labels;
    std::vector<uint32_t> row_entries;
    std::vector<uint8_t> row_votes;
    TraceRecord record;
    for (int64_t row = 0; row < rows_; ++row) {
      const int64_t begin = pointers_[static_cast<size_t>(row)];
      const int64_t end = pointers_[static_cast<size_t>(row) + 1];
      if (end - begin > kHistoryEntriesMax)
        return Bad("row ", row, " has ", end - begin, " labels");
      TIERSCOPE_RETURN_IF_ERROR(indices.Read(begin, end, &entries));
      TIERSCOPE_RETURN_IF_ERROR(scores.Read(begin, end, &votes));
      const auto step = static_cast<int32_t>(row * stride_);
      const int64_t history = HistoryEntries(header_, step);
      row_labels.clear();
      for (size_t i = 0; i < entries.size(); ++i) {
        if (entries[i] < 0 || entries[i] >= history) {
          return Bad("row ", row, ": golden entry ", entries[i], " lies outside the history of ",
                     history, " entries at position ", positions_[static_cast<size_t>(row)]);
        }
        if (votes[i] < 1 || votes[i] > header_.csa_layer_count()) {
          return Bad("row ", row, ": ", votes[i], " votes for entry ", entries[i],
                     ", expected 1 to ", header_.csa_layer_count(), " layers");
        }
        row_labels.push_back({static_cast<uint32_t>(entries[i]), static_cast<uint8_t>(votes[i])});
      }
      std::sort(row_labels.begin(), row_labels.end());
      row_entries.clear();
      row_votes.clear();
      for (const auto& [entry, vote] : row_labels) {
        if (!row_entries.empty() && row_entries.back() == entry) {
          return Bad("row ", row, ": golden entry ", entry, " stands twice");
        }
        row_entries.push_back(entry);
        row_votes.push_back(vote);
      }
      FillGolden(step, row_entries, row_votes, &record);
      TIERSCOPE_RETURN_IF_ERROR(writer_->Append(record));
    }
    return absl::OkStatus();
  }

  const ByteSource& source_;
  const ImportOptions& options_;
  ContainerWriter* writer_;
  ImportResult* result_;
  std::vector<Tensor> tensors_;
  const Tensor* indices_ = nullptr;
  const Tensor* scores_ = nullptr;
  int64_t rows_ = 0;
  int64_t stride_ = 0;
  std::vector<int64_t> pointers_, positions_;
  ProfileHeader header_;
};

}  // namespace

absl::Status ImportLabelDumps(const std::vector<std::string>& files, const ImportOptions& options,
                              ContainerWriter* writer, ImportResult* result) {
  std::vector<std::unique_ptr<ByteSource>> sources;
  int64_t all_bytes = 0;
  for (const std::string& file : files) {
    TIERSCOPE_ASSIGN_OR_RETURN(sources.emplace_back(), OpenFileSource(file));
    all_bytes += sources.back()->size_bytes();
  }
  ImportProgress progress(options, all_bytes);
  for (const auto& source : sources) {
    TIERSCOPE_RETURN_IF_ERROR(LabelImporter(*source, options, writer, result).Run(&progress));
  }
  progress.Finish();
  return absl::OkStatus();
}

}  // namespace tierscope

#include "traces/label_import.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"
#include "traces/byte_source.h"
#include "traces/label_rows.h"
#include "traces/safetensors.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

constexpr int32_t kFlashLayers = 21, kFlashTopK = 512, kFlashTokensPerEntry = 4;

absl::StatusOr<ProfileHeader> HeaderOf(const ByteSource& source, const RowPositions& positions,
                                       const ImportOptions& options) {
  if (positions.rows * positions.stride > kStepCountMax) {
    return BadInput(source.name(),
                    absl::StrCat(positions.rows, " rows every ", positions.stride,
                                 " tokens are more than ", kStepCountMax, " steps"),
                    "make or convert the dump again, or leave it out");
  }
  ProfileHeader header;
  header.set_model(options.model);
  header.set_prompt_tokens(positions.first_position);  // the token of row 0 runs in step 0
  header.set_step_count(static_cast<int32_t>(positions.rows * positions.stride));
  header.set_tick_stride_steps(static_cast<int32_t>(positions.stride));
  header.set_tokens_per_entry(options.tokens_per_entry > 0 ? options.tokens_per_entry
                                                           : kFlashTokensPerEntry);
  header.set_csa_layer_count(options.layers > 0 ? options.layers : kFlashLayers);
  header.set_top_k(options.topk > 0 ? options.topk : kFlashTopK);
  header.set_selections(SELECTIONS_NONE);
  header.set_no_scores(true);
  header.mutable_provenance()->set_recorded_with(
      absl::StrCat("FlashMemory's label dump, ", BaseName(source.name())));
  if (absl::Status status = ValidateProfileHeader(header); !status.ok()) {
    return At(source.name(), status);
  }
  return header;
}

absl::Status ImportLabelDump(const ByteSource& source, const ImportOptions& options,
                             ContainerWriter* writer) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<Tensor> tensors, ReadSafetensorsHeader(source));
  TIERSCOPE_ASSIGN_OR_RETURN(const RowPositions positions,
                             ReadRowPositions(source, tensors, options.tick_stride_steps));
  TIERSCOPE_ASSIGN_OR_RETURN(const LabelRows labels,
                             LabelRows::Read(source, tensors, positions.rows));
  TIERSCOPE_ASSIGN_OR_RETURN(const ProfileHeader header, HeaderOf(source, positions, options));
  TraceRecord record;
  *record.mutable_profile() = header;
  TIERSCOPE_RETURN_IF_ERROR(writer->Append(record));
  std::vector<uint32_t> entries;
  std::vector<uint8_t> votes;
  for (int64_t row = 0; row < positions.rows; ++row) {
    const auto step = static_cast<int32_t>(row * positions.stride);
    TIERSCOPE_RETURN_IF_ERROR(labels.ReadRow(row, HistoryEntries(header, step),
                                             header.csa_layer_count(), &entries, &votes));
    FillGolden(step, entries, votes, &record);
    TIERSCOPE_RETURN_IF_ERROR(writer->Append(record));
  }
  return absl::OkStatus();
}

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
    TIERSCOPE_RETURN_IF_ERROR(ImportLabelDump(*source, options, writer));
    progress.Advance(source->size_bytes());
    ++result->profiles;
  }
  progress.Finish();
  return absl::OkStatus();
}

}  // namespace tierscope

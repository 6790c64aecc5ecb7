#include "traces/capture_import.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"
#include "traces/capture_row.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

constexpr int64_t kBlockBytes = int64_t{4} << 20;

template <typename... Parts>
absl::Status Bad(const ByteSource& source, int64_t offset, absl::string_view mend,
                 const Parts&... what) {
  return BadInput(PlaceOfOffset(source.name(), offset), absl::StrCat(what...), mend);
}

constexpr absl::string_view kRowMend =
    "capture positions within the request (not cache slots), pad at the end of a row, and check "
    "--prompt-tokens, --prompt-start and --tokens-per-entry";

}  // namespace

absl::Status CheckTokensPerEntry(const ImportOptions& options) {
  if (options.tokens_per_entry > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "--tokens-per-entry is needed: 4 for DeepSeek-V4, 1 for V3.2 and other DSA models");
}

absl::StatusOr<ProfileHeader> CaptureImporter::HeaderOf(const ByteSource& source,
                                                        const TopkArray& array,
                                                        const CaptureInfo& info) {
  const int64_t first_row = info.prompt_tokens - info.prompt_start_tokens;
  const int64_t stride = options_.tick_stride_steps;
  const int64_t steps = first_row < 0 ? -1 : array.tokens - first_row - 1;
  if (steps < stride) {
    return Bad(source, array.data_offset,
               "correct --prompt-tokens and --prompt-start, lower --tick-stride, or capture more",
               array.tokens, " rows from token ", info.prompt_start_tokens, " hold ",
               std::max<int64_t>(steps, 0), " decode steps behind a prompt of ", info.prompt_tokens,
               " tokens, fewer than a tick stride of ", stride);
  }
  ProfileHeader header;
  header.set_model(options_.model);
  header.set_prompt_tokens(info.prompt_tokens);
  header.set_step_count(static_cast<int32_t>(steps / stride * stride));
  header.set_tick_stride_steps(options_.tick_stride_steps);
  header.set_tokens_per_entry(options_.tokens_per_entry);
  header.set_csa_layer_count(array.layers);
  header.set_top_k(array.topk);
  header.set_selections(options_.selections);
  header.set_no_scores(true);
  header.mutable_provenance()->set_recorded_with(info.recorded_with);
  if (steps % stride != 0) {
    result_->notes.push_back(absl::StrCat(source.name(), ": the last ", steps % stride,
                                          " steps fill no tick stride of ", stride,
                                          " and are left out"));
  }
  if (absl::Status status = ValidateProfileHeader(header); !status.ok()) {
    return At(source.name(), status);
  }
  return header;
}

absl::Status CaptureImporter::SortRow(std::span<const int32_t> row, int64_t history_entries,
                                      std::string* what) {
  const int32_t used = UsedSlots(row, history_entries);
  if (used < 0) *what = RowProblem(row, history_entries);
  for (int32_t i = 0; i < used; ++i) {
    members_.Add(static_cast<uint32_t>(row[static_cast<size_t>(i)]));
  }
  entries_.resize(row.size());
  uint32_t* out = entries_.data();
  members_.Drain([&out](uint32_t entry) { *out++ = entry; });
  entries_.resize(static_cast<size_t>(out - entries_.data()));
  const auto distinct = static_cast<int64_t>(entries_.size());
  if (used > 0 && distinct < used)
    *what = absl::StrCat(used - distinct, " slots name an entry twice");
  const int64_t full = std::min<int64_t>(history_entries, static_cast<int64_t>(row.size()));
  if (what->empty() && options_.selections == SELECTIONS_FULL_HISTORY && used < full) {
    *what = absl::StrCat(used, " slots are used where an indexer that sees the full history fills ",
                         full, " (--selections=resident_only if it did not)");
  }
  return what->empty() ? absl::OkStatus() : absl::InvalidArgumentError(*what);
}

absl::Status CaptureImporter::ImportStep(const ByteSource& source, const TopkArray& array,
                                         int32_t step, int64_t row_offset, const int32_t* values) {
  const int64_t history = HistoryEntries(header_, step);
  const auto topk = static_cast<size_t>(array.topk);
  for (int32_t layer = 0; layer < array.layers; ++layer) {
    const size_t at = static_cast<size_t>(layer) * topk;
    std::string what;
    if (!SortRow({values + at, topk}, history, &what).ok()) {
      return Bad(source, row_offset + static_cast<int64_t>(at) * 4, kRowMend, "decode step ", step,
                 ", layer ", layer, ": ", what);
    }
    FillSelection(step, layer, entries_, {}, {}, &record_);
    TIERSCOPE_RETURN_IF_ERROR(writer_->Append(record_));
  }
  return absl::OkStatus();
}

absl::Status CaptureImporter::Import(const ByteSource& source, const TopkArray& array,
                                     const CaptureInfo& info, ImportProgress* progress) {
  TIERSCOPE_RETURN_IF_ERROR(CheckTokensPerEntry(options_));
  TIERSCOPE_ASSIGN_OR_RETURN(header_, HeaderOf(source, array, info));
  TraceRecord opening;
  *opening.mutable_profile() = header_;
  TIERSCOPE_RETURN_IF_ERROR(writer_->Append(opening));
  members_ = EntrySet(HistoryEntries(header_, header_.step_count()));
  const int64_t first_row = info.prompt_tokens - info.prompt_start_tokens;
  const int64_t block_rows = std::max<int64_t>(1, kBlockBytes / array.token_bytes());
  const int64_t rows = int64_t{header_.step_count()} + 1;
  block_.resize(static_cast<size_t>(block_rows * array.token_bytes() / 4));
  progress->Advance(first_row * array.token_bytes());
  for (int64_t row = 0; row < rows; row += block_rows) {
    const int64_t count = std::min(block_rows, rows - row);
    const int64_t offset = array.data_offset + (first_row + row) * array.token_bytes();
    TIERSCOPE_RETURN_IF_ERROR(
        source.ReadAt(offset, reinterpret_cast<char*>(block_.data()), count * array.token_bytes()));
    for (int64_t i = 0; i < count; ++i) {
      TIERSCOPE_RETURN_IF_ERROR(ImportStep(source, array, static_cast<int32_t>(row + i),
                                           offset + i * array.token_bytes(),
                                           block_.data() + i * array.layers * array.topk));
    }
    progress->Advance(count * array.token_bytes());
  }
  ++result_->profiles;
  return absl::OkStatus();
}

absl::Status ImportTopkCaptures(const std::vector<std::string>& files, const ImportOptions& options,
                                ContainerWriter* writer, ImportResult* result) {
  const size_t prompts = options.prompt_tokens.size();
  if (prompts != 1 && prompts != files.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--prompt-tokens names ", prompts, " prompts for ", files.size(),
        " captures; an .npy file does not say how long its prompt was: give one number "
        "a file, or one for all"));
  }
  std::vector<std::unique_ptr<ByteSource>> sources;
  int64_t all_bytes = 0;
  for (const std::string& file : files) {
    TIERSCOPE_ASSIGN_OR_RETURN(sources.emplace_back(), OpenFileSource(file));
    all_bytes += sources.back()->size_bytes();
  }
  CaptureImporter importer(options, writer, result);
  ImportProgress progress(options, all_bytes);
  for (size_t i = 0; i < sources.size(); ++i) {
    TIERSCOPE_ASSIGN_OR_RETURN(const TopkArray array, ReadNpyHeader(*sources[i]));
    const CaptureInfo info = {options.prompt_tokens[prompts == 1 ? 0 : i],
                              options.prompt_start_tokens,
                              absl::StrCat("an indexer top-k capture, ", BaseName(files[i]))};
    TIERSCOPE_RETURN_IF_ERROR(importer.Import(*sources[i], array, info, &progress));
  }
  progress.Finish();
  return absl::OkStatus();
}

}  // namespace tierscope

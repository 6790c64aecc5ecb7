#include "traces/import.h"

#include <algorithm>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/byte_source.h"
#include "traces/capture_import.h"
#include "traces/label_import.h"
#include "traces/npy_file.h"
#include "traces/recording_import.h"
#include "traces/resident_import.h"
#include "traces/response_import.h"
#include "traces/safetensors.h"
#include "traces/source_file.h"
#include "traces/step_import.h"

namespace tierscope {
namespace {

constexpr int64_t kHeadBytes = int64_t{1} << 20;  // enough to tell the formats apart

bool LooksLikePickle(absl::string_view head) {
  return absl::StartsWith(head, "PK\x03\x04") ||
         (head.size() > 1 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5);
}

absl::Status RefusePickle(const std::string& path) {
  return BadInput(PlaceOfOffset(path, 0), "a pickle, which can run code when it is loaded",
                  "make it safe first: python3 -m tierscope_traces.convert_labels FILE.pkl "
                  "OUT.safetensors");
}

absl::Status MixedFormats(const std::string& first, const std::string& other) {
  return absl::InvalidArgumentError(absl::StrCat(other, ": is of another format than ", first,
                                                 "; import files of one format at a time"));
}

const char* NameOf(ImportFormat format) {
  switch (format) {
    case ImportFormat::kRequestTrace:
      return "request trace";
    case ImportFormat::kTopkCapture:
      return "indexer top-k capture";
    case ImportFormat::kTopkResponses:
      return "responses with indexer top-k";
    case ImportFormat::kResidentDump:
      return "resident dump";
    case ImportFormat::kStepLog:
      return "step log";
    case ImportFormat::kLabelDump:
      return "label dump";
    case ImportFormat::kRecording:
      return "recording";
  }
  return "";
}

absl::Status ImportFormatted(ImportFormat format, const std::vector<std::string>& files,
                             const ImportOptions& options, ContainerWriter* writer,
                             ImportResult* result) {
  switch (format) {
    case ImportFormat::kTopkCapture:
      return ImportTopkCaptures(files, options, writer, result);
    case ImportFormat::kTopkResponses:
      return ImportTopkResponses(files, options, writer, result);
    case ImportFormat::kResidentDump:
      return ImportResidentDump(files, options, writer, result);
    case ImportFormat::kStepLog:
      return ImportStepLogs(files, options, writer, result);
    case ImportFormat::kLabelDump:
      return ImportLabelDumps(files, options, writer, result);
    case ImportFormat::kRecording:
      return ImportRecordings(files, options, writer, result);
    case ImportFormat::kRequestTrace:
      break;
  }
  return absl::InvalidArgumentError("a request trace is no attention trace");
}

}  // namespace

absl::StatusOr<ImportFormat> DetectImportFormat(const std::string& path) {
  TIERSCOPE_ASSIGN_OR_RETURN(const auto source, OpenFileSource(path));
  std::string head(static_cast<size_t>(std::min(kHeadBytes, source->size_bytes())), '\0');
  TIERSCOPE_RETURN_IF_ERROR(source->ReadAt(0, head.data(), static_cast<int64_t>(head.size())));
  if (absl::StartsWith(head, kNpyMagic)) return ImportFormat::kTopkCapture;
  if (LooksLikePickle(head)) return RefusePickle(path);
  if (LooksLikeRecording(path)) return ImportFormat::kRecording;
  if (LooksLikeSafetensors(head)) return ImportFormat::kLabelDump;
  const auto has = [&head](absl::string_view key) { return absl::StrContains(head, key); };
  if (has("\"resident_ids\"")) return ImportFormat::kResidentDump;
  if (has("\"selected_token_pos\"")) return ImportFormat::kStepLog;
  if (has("\"indexer_topk\"") || has("\"meta_info\"") || has("\"choices\"")) {
    return ImportFormat::kTopkResponses;
  }
  return ImportFormat::kRequestTrace;
}

absl::StatusOr<ImportResult> ImportAttentionTrace(const std::vector<std::string>& files,
                                                  const ImportOptions& options,
                                                  const std::string& path) {
  ImportFormat format = ImportFormat::kRequestTrace;
  for (size_t i = 0; i < files.size(); ++i) {
    TIERSCOPE_ASSIGN_OR_RETURN(const ImportFormat other, DetectImportFormat(files[i]));
    if (i == 0) format = other;
    if (other != format) return MixedFormats(files[0], files[i]);
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const auto writer, ContainerWriter::Open(path));
  ImportResult result;
  result.format = NameOf(format);
  TIERSCOPE_RETURN_IF_ERROR(ImportFormatted(format, files, options, writer.get(), &result));
  TIERSCOPE_RETURN_IF_ERROR(writer->Finish());
  return result;
}

}  // namespace tierscope

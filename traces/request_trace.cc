#include "traces/request_trace.h"

#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/match.h"

#include "sim/base/status_macros.h"
#include "traces/azure_reader.h"
#include "traces/bailian_reader.h"
#include "traces/burstgpt_reader.h"
#include "traces/container.h"
#include "traces/mooncake_reader.h"
#include "traces/request_container.h"
#include "traces/source_file.h"
#include "traces/weka_reader.h"

namespace tierscope {
namespace {

enum class SourceFormat { kMooncake, kWeka, kAzure2023, kBailian, kBurstGpt, kContainer, kUnknown };

constexpr size_t kHeadBytes = 64 * 1024;  // enough to tell the formats apart

// The file's first bytes; empty when it cannot be opened, which the reader reports.
std::string ReadHead(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string head(kHeadBytes, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(in.gcount()));
  return head;
}

SourceFormat FormatOfExtension(absl::string_view path) {
  if (absl::EndsWith(path, ".jsonl")) return SourceFormat::kMooncake;
  if (absl::EndsWith(path, ".json")) return SourceFormat::kWeka;
  if (absl::EndsWith(path, ".csv")) return SourceFormat::kAzure2023;
  return SourceFormat::kUnknown;
}

SourceFormat FormatOfSource(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return SourceFormat::kWeka;
  if (!std::filesystem::is_regular_file(path, error)) return SourceFormat::kUnknown;
  if (LooksLikeContainer(path)) return SourceFormat::kContainer;
  const std::string head = ReadHead(path);
  if (absl::StrContains(head.substr(0, 16), "TIMESTAMP,")) return SourceFormat::kAzure2023;
  const std::string first_line = head.substr(0, head.find('\n'));
  if (absl::StrContains(first_line, "Timestamp") &&
      absl::StrContains(first_line, "Response tokens")) {
    return SourceFormat::kBurstGpt;
  }
  if (absl::StrContains(first_line, "\"chat_id\"")) return SourceFormat::kBailian;
  if (absl::StrContains(head, "\"requests\"")) return SourceFormat::kWeka;
  if (absl::StrContains(head, "\"timestamp\"")) return SourceFormat::kMooncake;
  return FormatOfExtension(path);
}

// Why a file of no known format cannot be read: often it is missing or empty.
absl::Status UnknownFormat(const std::string& path) {
  SourceFile file;
  TIERSCOPE_RETURN_IF_ERROR(file.Read(path));
  return BadInput(PlaceOfOffset(path, 0), "this is no request trace of a known format",
                  "give Mooncake or Bailian JSONL, WEKA JSON (file or directory), Azure 2023 or "
                  "BurstGPT CSV, or an "
                  "import");
}

}  // namespace

absl::StatusOr<RequestTrace> LoadRequestTrace(const std::string& path,
                                              const RequestTraceOptions& options) {
  switch (FormatOfSource(path)) {
    case SourceFormat::kMooncake:
      return ReadMooncakeTrace(path, options);
    case SourceFormat::kWeka:
      return ReadWekaTrace(path, options);
    case SourceFormat::kAzure2023:
      return ReadAzureTrace(path, options);
    case SourceFormat::kBailian:
      return ReadBailianTrace(path, options);
    case SourceFormat::kBurstGpt:
      return ReadBurstGptTrace(path, options);
    case SourceFormat::kContainer:
      return ReadRequestContainer(path, options);
    case SourceFormat::kUnknown:
      return UnknownFormat(path);
  }
  return UnknownFormat(path);
}

}  // namespace tierscope

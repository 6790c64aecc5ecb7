#include "traces/oracle_general_reader.h"

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

uint64_t LittleEndian(const char* bytes, int byte_count) {
  uint64_t value = 0;
  for (int i = byte_count - 1; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

}  // namespace

bool IsOracleGeneralPath(absl::string_view path) {
  return absl::StrContains(BaseName(path), "oracleGeneral");
}

absl::StatusOr<ObjectTrace> ReadOracleGeneral(const std::string& path) {
  SourceFile file;
  TIERSCOPE_RETURN_IF_ERROR(file.Read(path));
  // What SourceFile takes for a byte order mark is part of the first record's time.
  const int64_t skipped_bytes = file.OffsetOf(file.text().data());
  const char* begin = file.text().data() - skipped_bytes;
  const int64_t file_bytes = static_cast<int64_t>(file.text().size()) + skipped_bytes;
  if (absl::StartsWith(file.text(), "\x28\xb5\x2f\xfd")) {
    return BadInput(path, "compressed with zstd", "decompress it first: zstd -d");
  }
  const int64_t rest_bytes = file_bytes % kOracleGeneralRecordBytes;
  if (rest_bytes != 0) {
    return BadInput(PlaceOfOffset(path, file_bytes - rest_bytes),
                    absl::StrCat("the last record has ", rest_bytes, " of ",
                                 kOracleGeneralRecordBytes, " bytes"),
                    "the file is cut off or not oracleGeneral; fetch it again");
  }
  ObjectTrace trace;
  const int64_t access_count = file_bytes / kOracleGeneralRecordBytes;
  trace.object_ids.reserve(static_cast<size_t>(access_count));
  trace.object_bytes.reserve(static_cast<size_t>(access_count));
  absl::flat_hash_map<uint64_t, uint32_t> id_of;
  for (int64_t i = 0; i < access_count; ++i) {
    const char* record = begin + i * kOracleGeneralRecordBytes;
    const auto next_id = static_cast<uint32_t>(id_of.size());
    trace.object_ids.push_back(
        id_of.try_emplace(LittleEndian(record + 4, 8), next_id).first->second);
    trace.object_bytes.push_back(static_cast<uint32_t>(LittleEndian(record + 12, 4)));
    trace.accessed_bytes += trace.object_bytes.back();
  }
  trace.object_count = static_cast<int64_t>(id_of.size());
  return trace;
}

}  // namespace tierscope

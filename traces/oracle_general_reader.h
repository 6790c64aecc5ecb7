// oracleGeneral files, the binary object traces of libCacheSim: records of 24 bytes without a
// header, little-endian: u32 time in seconds, u64 object, u32 object size in bytes, i64 position of
// the object's next access. Time and next access are not read: what is ahead follows from the file.
// Compressed files (.zst) are not read either. Pure.
#ifndef TIERSCOPE_TRACES_ORACLE_GENERAL_READER_H_
#define TIERSCOPE_TRACES_ORACLE_GENERAL_READER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tierscope {

inline constexpr int64_t kOracleGeneralRecordBytes = 24;

struct ObjectTrace {
  std::vector<uint32_t> object_ids;    // [access], numbered from 0 in order of appearance
  std::vector<uint32_t> object_bytes;  // [access], as this record states it
  int64_t object_count = 0;            // distinct objects; ids are [0, object_count)
  int64_t accessed_bytes = 0;
};

// The format has no mark of its own, so the name tells: "oracleGeneral" in the last component.
bool IsOracleGeneralPath(absl::string_view path);

// Errors: unreadable, empty, compressed, above kRequestFileBytesMax, not whole records. Memory: the
// file, and 8 bytes an access.
absl::StatusOr<ObjectTrace> ReadOracleGeneral(const std::string& path);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_ORACLE_GENERAL_READER_H_

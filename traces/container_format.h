// The bytes of a trace container, shared by its writer, reader and verifier.
//
//   head    zstd skippable frame 0x184D2A53 of 16 bytes: "tierscope trace" and the format version
//   frames  zstd frames with content size and checksum; each holds whole records, a varint length
//           before each
//   index   zstd skippable frame 0x184D2A5E: 64-bit little-endian words
//             frame count, record count, content digest,
//             per frame: offset, compressed bytes, raw bytes, records, digest of its compressed
//             bytes digest of the index from its first byte to here, bytes of the index, end mark
//
// Every byte is covered: the head is constant, a frame by its digest in the index, the index by its
// own digest and by values that follow from the frame count. `zstd -dc` skips head and index.
#ifndef TIERSCOPE_TRACES_CONTAINER_FORMAT_H_
#define TIERSCOPE_TRACES_CONTAINER_FORMAT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct ZSTD_DCtx_s;

namespace tierscope::container {

inline constexpr char kFormatVersion = 1;
inline constexpr int64_t kHeadBytes = 24;
inline constexpr uint32_t kIndexFrameMagic = 0x184D2A5E;
inline constexpr uint32_t kZstdFrameMagic = 0xFD2FB528;

// Limits on what a file may ask for.
inline constexpr int64_t kRecordBytesMax = int64_t{64} << 20;
inline constexpr int64_t kFrameRawBytesTarget = int64_t{1} << 20;  // a frame ends at or above this
inline constexpr int64_t kFrameRawBytesMax = kFrameRawBytesTarget + kRecordBytesMax + 10;
inline constexpr int64_t kFrameCountMax = int64_t{1}
                                          << 26;  // so the index's size fits its 32-bit field

struct FrameInfo {
  int64_t offset = 0;  // in the file
  int64_t compressed_bytes = 0;
  int64_t raw_bytes = 0;
  int64_t records = 0;
  uint64_t digest = 0;  // of the compressed bytes
};

struct Index {
  int64_t record_count = 0;
  uint64_t content_digest = 0;
  std::vector<FrameInfo> frames;
};

// The 24 bytes that open a container.
absl::string_view Head();

uint32_t ReadWord32(const char* bytes);
uint64_t ReadWord64(const char* bytes);
uint64_t DigestOf(absl::string_view bytes);

// The index frame, its skippable-frame head included.
std::string EncodeIndex(const Index& index);

// Bytes at the end of a file that tell how long the index is.
inline constexpr int64_t kTrailerBytes = 24;
// Bytes of an index without frames.
inline constexpr int64_t kIndexBytesMin = 8 + 3 * 8 + kTrailerBytes;

// Length of the index frame, from the last kTrailerBytes of a file. Error: what is wrong, no place.
absl::StatusOr<int64_t> IndexBytesFromTrailer(absl::string_view trailer, int64_t file_bytes);

// Checks and decodes the index frame that begins at `index_offset` of the file. Error: as above.
absl::StatusOr<Index> ParseIndex(absl::string_view bytes, int64_t index_offset);

// The content of one frame of records into `raw`. Error: what is wrong, no place.
absl::Status DecompressFrame(absl::string_view frame, ZSTD_DCtx_s* decompressor,
                             std::vector<char>* raw);

// Walks the length-delimited records of a raw frame. Plain cursor over borrowed bytes.
class RecordCursor {
 public:
  RecordCursor() = default;
  explicit RecordCursor(absl::string_view raw) : next_(raw.data()), end_(raw.data() + raw.size()) {}
  bool done() const { return next_ == end_; }
  // False when the next length is no varint, above kRecordBytesMax or past the end.
  bool Next(absl::string_view* record);

 private:
  const char* next_ = nullptr;
  const char* end_ = nullptr;
};

}  // namespace tierscope::container

#endif  // TIERSCOPE_TRACES_CONTAINER_FORMAT_H_

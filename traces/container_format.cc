#include "traces/container_format.h"

#include <zstd.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

#include "sim/base/digest.h"
#include "sim/base/status_macros.h"

namespace tierscope::container {
namespace {

constexpr uint64_t kEndMark = 0x444e454543415254ULL;  // "TRACEEND"
constexpr int64_t kFrameWords = 5;
// A zstd block takes 4 bytes at least and gives 128 KiB at most (RFC 8878, section 3.1.1.2).
constexpr int64_t kRawBytesPerByteMax = (int64_t{128} << 10) / 4;

// What a frame may claim to hold, so that a small file cannot ask for much memory.
int64_t RawBytesMax(int64_t compressed_bytes) {
  return std::min(kFrameRawBytesMax, compressed_bytes * kRawBytesPerByteMax);
}

// Bit 2 of the frame header's descriptor: the content's checksum follows the frame.
bool HasChecksum(absl::string_view frame) {
  return frame.size() > 5 && ReadWord32(frame.data()) == kZstdFrameMagic && (frame[4] & 4) != 0;
}

int64_t IndexBytes(int64_t frame_count) { return kIndexBytesMin + frame_count * kFrameWords * 8; }

template <typename Word>
void AppendWord(std::string* out, Word word) {
  for (size_t i = 0; i < sizeof(Word); ++i) out->push_back(static_cast<char>(word >> (8 * i)));
}

void AppendInt64(std::string* out, int64_t value) { AppendWord(out, static_cast<uint64_t>(value)); }

FrameInfo ReadFrameInfo(const char* bytes) {
  const auto word = [bytes](int i) { return ReadWord64(bytes + 8 * i); };
  return {static_cast<int64_t>(word(0)), static_cast<int64_t>(word(1)),
          static_cast<int64_t>(word(2)), static_cast<int64_t>(word(3)), word(4)};
}

bool FrameIsSane(const FrameInfo& frame) {
  return frame.compressed_bytes > 0 && frame.raw_bytes > 0 &&
         frame.compressed_bytes <= 2 * kFrameRawBytesMax &&
         frame.raw_bytes <= RawBytesMax(frame.compressed_bytes) && frame.records > 0 &&
         frame.records <= frame.raw_bytes;
}

// The frames must fill the file from head to index and add up to the record count.
absl::Status CheckFrames(const Index& index, int64_t index_offset) {
  int64_t offset = kHeadBytes;
  int64_t records = 0;
  for (const FrameInfo& frame : index.frames) {
    if (!FrameIsSane(frame)) return absl::DataLossError("the index lists an impossible frame");
    if (frame.offset != offset) return absl::DataLossError("the index lists frames with gaps");
    offset += frame.compressed_bytes;
    records += frame.records;
  }
  if (offset != index_offset) {
    return absl::DataLossError(absl::StrCat("the frames should end at byte ", offset));
  }
  if (records != index.record_count) return absl::DataLossError("the record counts disagree");
  return absl::OkStatus();
}

}  // namespace

absl::string_view Head() {
  static constexpr char kHead[] = "\x53\x2a\x4d\x18\x10\0\0\0tierscope trace\x01";
  static_assert(sizeof(kHead) == kHeadBytes + 1 && kFormatVersion == 1);
  return absl::string_view(kHead, kHeadBytes);
}

uint32_t ReadWord32(const char* bytes) {
  uint32_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

uint64_t ReadWord64(const char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

uint64_t DigestOf(absl::string_view bytes) {
  Digest digest;
  digest.Add(bytes);
  return digest.value();
}

std::string EncodeIndex(const Index& index) {
  const auto frame_count = static_cast<int64_t>(index.frames.size());
  const int64_t index_bytes = IndexBytes(frame_count);
  std::string out;
  out.reserve(static_cast<size_t>(index_bytes));
  AppendWord(&out, kIndexFrameMagic);
  AppendWord(&out, static_cast<uint32_t>(index_bytes - 8));
  AppendInt64(&out, frame_count);
  AppendInt64(&out, index.record_count);
  AppendWord(&out, index.content_digest);
  for (const FrameInfo& frame : index.frames) {
    AppendInt64(&out, frame.offset);
    AppendInt64(&out, frame.compressed_bytes);
    AppendInt64(&out, frame.raw_bytes);
    AppendInt64(&out, frame.records);
    AppendWord(&out, frame.digest);
  }
  AppendWord(&out, DigestOf(out));
  AppendInt64(&out, index_bytes);
  AppendWord(&out, kEndMark);
  return out;
}

absl::StatusOr<int64_t> IndexBytesFromTrailer(absl::string_view trailer, int64_t file_bytes) {
  if (ReadWord64(trailer.data() + 16) != kEndMark) {
    return absl::DataLossError("the end mark is missing, the file is cut or damaged there");
  }
  const auto index_bytes = static_cast<int64_t>(ReadWord64(trailer.data() + 8));
  const bool whole_frames = (index_bytes - kIndexBytesMin) % (kFrameWords * 8) == 0;
  if (index_bytes < kIndexBytesMin || index_bytes > file_bytes - kHeadBytes || !whole_frames ||
      index_bytes > IndexBytes(kFrameCountMax)) {
    return absl::DataLossError("the length of the index is impossible");
  }
  return index_bytes;
}

absl::StatusOr<Index> ParseIndex(absl::string_view bytes, int64_t index_offset) {
  const auto index_bytes = static_cast<int64_t>(bytes.size());
  const char* trailer = bytes.data() + index_bytes - kTrailerBytes;
  const absl::string_view covered(bytes.data(), bytes.size() - kTrailerBytes);
  if (DigestOf(covered) != ReadWord64(trailer)) {
    return absl::DataLossError("the index does not match its checksum");
  }
  const auto frame_count = static_cast<int64_t>(ReadWord64(bytes.data() + 8));
  const bool head_is_right = ReadWord32(bytes.data()) == kIndexFrameMagic &&
                             ReadWord32(bytes.data() + 4) == index_bytes - 8;
  if (!head_is_right || frame_count != (index_bytes - kIndexBytesMin) / (kFrameWords * 8)) {
    return absl::DataLossError("the index contradicts its length");
  }
  Index index;
  index.record_count = static_cast<int64_t>(ReadWord64(bytes.data() + 16));
  index.content_digest = ReadWord64(bytes.data() + 24);
  index.frames.reserve(static_cast<size_t>(frame_count));
  for (int64_t i = 0; i < frame_count; ++i) {
    index.frames.push_back(ReadFrameInfo(bytes.data() + 32 + i * kFrameWords * 8));
  }
  TIERSCOPE_RETURN_IF_ERROR(CheckFrames(index, index_offset));
  return index;
}

absl::Status DecompressFrame(absl::string_view frame, ZSTD_DCtx* decompressor,
                             std::vector<char>* raw) {
  if (!HasChecksum(frame)) return absl::DataLossError("no zstd frame with a checksum");
  const unsigned long long raw_bytes = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (raw_bytes > static_cast<uint64_t>(RawBytesMax(static_cast<int64_t>(frame.size())))) {
    return absl::DataLossError("the frame does not say its size, or an impossible one");
  }
  raw->resize(raw_bytes);
  const size_t got =
      ZSTD_decompressDCtx(decompressor, raw->data(), raw->size(), frame.data(), frame.size());
  if (ZSTD_isError(got) != 0) return absl::DataLossError(ZSTD_getErrorName(got));
  if (got != raw->size()) return absl::DataLossError("the frame's size is not what it says");
  return absl::OkStatus();
}

bool RecordCursor::Next(absl::string_view* record) {
  uint64_t length = 0;
  for (int shift = 0;; shift += 7) {
    if (next_ == end_ || shift > 28) return false;
    const auto byte = static_cast<uint8_t>(*next_++);
    length |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  if (length > static_cast<uint64_t>(kRecordBytesMax) ||
      length > static_cast<uint64_t>(end_ - next_)) {
    return false;
  }
  *record = absl::string_view(next_, static_cast<size_t>(length));
  next_ += length;
  return true;
}

}  // namespace tierscope::container

#include <fcntl.h>
#include <sys/stat.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/container.h"

namespace tierscope {
namespace {

using container::FrameInfo;
using container::kHeadBytes;

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

// The file and its size; refuses what is not a regular file with content.
absl::StatusOr<File> OpenRegularFile(const std::string& path, int64_t* file_bytes) {
  // Without waiting, as the open of a pipe that nobody writes to would.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  File file(descriptor < 0 ? nullptr : ::fdopen(descriptor, "rb"));
  struct stat info;
  if (file == nullptr || ::fstat(::fileno(file.get()), &info) != 0) {
    return absl::NotFoundError(
        absl::StrCat(path, ": cannot open the trace: ", std::strerror(errno), "; check the path"));
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": not a regular file; name a trace file"));
  }
  *file_bytes = info.st_size;
  if (info.st_size == 0) {
    return absl::DataLossError(absl::StrCat(path, ": the file is empty; write the trace again"));
  }
  return file;
}

absl::Status ReadAt(std::FILE* file, int64_t offset, char* bytes, int64_t count) {
  const auto wanted = static_cast<size_t>(count);
  if (::fseeko(file, offset, SEEK_SET) != 0 || std::fread(bytes, 1, wanted, file) != wanted) {
    return absl::DataLossError("the file cannot be read there");
  }
  return absl::OkStatus();
}

int64_t EqualBytes(absl::string_view a, absl::string_view b) {
  int64_t equal = 0;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) equal += a[i] == b[i] ? 1 : 0;
  return equal;
}

absl::Status HeadError(const std::string& path, absl::string_view head) {
  constexpr absl::string_view kRecover = "; see what `tierscope trace verify` says about it";
  const absl::string_view right = container::Head();
  if (absl::StartsWith(right, head)) {
    return absl::DataLossError(absl::StrCat(path, ": cut at byte ", head.size(),
                                            ", inside the head of the trace; get the whole file"));
  }
  if (head.size() == right.size() && absl::StartsWith(head, right.substr(0, right.size() - 1))) {
    return absl::DataLossError(
        absl::StrCat(path, ": byte 23: format version ", static_cast<int>(head.back()),
                     ", this is ", static_cast<int>(container::kFormatVersion),
                     ": a newer tierscope wrote it, or it is damaged", kRecover));
  }
  if (EqualBytes(head, right) > kHeadBytes / 2) {
    size_t at = 0;
    while (head[at] == right[at]) ++at;
    return absl::DataLossError(
        absl::StrCat(path, ": byte ", at, ": the head of the trace is damaged", kRecover));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      path,
      ": not a tierscope trace (byte 0 begins no container); make one with `tierscope trace "
      "generate` or `tierscope trace import`"));
}

absl::Status CheckHead(const std::string& path, std::FILE* file, int64_t file_bytes) {
  std::string head(static_cast<size_t>(std::min(kHeadBytes, file_bytes)), '\0');
  TIERSCOPE_RETURN_IF_ERROR(ReadAt(file, 0, head.data(), static_cast<int64_t>(head.size())));
  return head == container::Head() ? absl::OkStatus() : HeadError(path, head);
}

constexpr absl::string_view kRecoverAdvice =
    "; get the file again, or keep what is undamaged with `tierscope trace verify FILE --recover "
    "OUT`";

absl::StatusOr<container::Index> ReadIndex(const std::string& path, std::FILE* file,
                                           int64_t file_bytes) {
  const auto damaged = [&](int64_t offset, const absl::Status& what) {
    return absl::DataLossError(absl::StrCat(path, ": bytes ", offset, " to ", file_bytes, ": ",
                                            absl::string_view(what.message()), kRecoverAdvice));
  };
  if (file_bytes < kHeadBytes + container::kIndexBytesMin) {
    return damaged(kHeadBytes, absl::DataLossError("too short for an index, the file is cut"));
  }
  char trailer[container::kTrailerBytes];
  const int64_t trailer_offset = file_bytes - container::kTrailerBytes;
  TIERSCOPE_RETURN_IF_ERROR(ReadAt(file, trailer_offset, trailer, container::kTrailerBytes));
  auto index_bytes = container::IndexBytesFromTrailer({trailer, sizeof(trailer)}, file_bytes);
  if (!index_bytes.ok()) return damaged(trailer_offset, index_bytes.status());
  std::string bytes(static_cast<size_t>(*index_bytes), '\0');
  const int64_t index_offset = file_bytes - *index_bytes;
  TIERSCOPE_RETURN_IF_ERROR(ReadAt(file, index_offset, bytes.data(), *index_bytes));
  auto index = container::ParseIndex(bytes, index_offset);
  if (!index.ok()) return damaged(index_offset, index.status());
  return index;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ContainerReader>> ContainerReader::Open(const std::string& path) {
  int64_t file_bytes = 0;
  TIERSCOPE_ASSIGN_OR_RETURN(File file, OpenRegularFile(path, &file_bytes));
  TIERSCOPE_RETURN_IF_ERROR(CheckHead(path, file.get(), file_bytes));
  TIERSCOPE_ASSIGN_OR_RETURN(container::Index index, ReadIndex(path, file.get(), file_bytes));
  return std::unique_ptr<ContainerReader>(
      new ContainerReader(path, file.release(), std::move(index)));
}

ContainerReader::ContainerReader(std::string path, std::FILE* file, container::Index index)
    : path_(std::move(path)),
      file_(file),
      decompressor_(ZSTD_createDCtx()),
      index_(std::move(index)) {}

ContainerReader::~ContainerReader() {
  ZSTD_freeDCtx(decompressor_);
  std::fclose(file_);
}

absl::StatusOr<bool> ContainerReader::Next(TraceRecord* record) {
  absl::string_view bytes;
  TIERSCOPE_ASSIGN_OR_RETURN(const bool more, NextBytes(&bytes));
  if (!more) return false;
  if (record->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return true;
  --records_read_;
  first_error_ = NotARecord();
  return first_error_;
}

absl::StatusOr<bool> ContainerReader::NextBytes(absl::string_view* bytes) {
  TIERSCOPE_RETURN_IF_ERROR(first_error_);
  absl::StatusOr<bool> result = ReadRecord(bytes);
  first_error_ = result.status();
  return result;
}

absl::StatusOr<bool> ContainerReader::ReadRecord(absl::string_view* bytes) {
  if (frame_records_left_ == 0) {
    if (next_frame_ == index_.frames.size()) return false;
    TIERSCOPE_RETURN_IF_ERROR(ReadFrame(index_.frames[next_frame_]));
    frame_records_left_ = index_.frames[next_frame_].records;
    ++next_frame_;
  }
  if (!cursor_.Next(bytes)) return NotARecord();
  ++records_read_;
  if (--frame_records_left_ == 0 && !cursor_.done()) {
    return Damaged(index_.frames[next_frame_ - 1], "there are bytes behind the last record");
  }
  return true;
}

absl::Status ContainerReader::NotARecord() const {
  return Damaged(index_.frames[next_frame_ - 1],
                 absl::StrCat("record ", records_read_, " is not a trace record"));
}

absl::Status ContainerReader::CheckFrames() {
  for (const FrameInfo& frame : index_.frames) TIERSCOPE_RETURN_IF_ERROR(ReadCompressed(frame));
  return absl::OkStatus();
}

absl::Status ContainerReader::ReadCompressed(const FrameInfo& frame) {
  compressed_.resize(static_cast<size_t>(frame.compressed_bytes));
  const absl::Status read = ReadAt(file_, frame.offset, compressed_.data(), frame.compressed_bytes);
  if (!read.ok()) return Damaged(frame, absl::string_view(read.message()));
  if (container::DigestOf(compressed_) != frame.digest) {
    return Damaged(frame, "the frame does not match its checksum");
  }
  return absl::OkStatus();
}

absl::Status ContainerReader::ReadFrame(const FrameInfo& frame) {
  TIERSCOPE_RETURN_IF_ERROR(ReadCompressed(frame));
  const absl::Status status = container::DecompressFrame(compressed_, decompressor_, &raw_);
  if (!status.ok()) return Damaged(frame, absl::string_view(status.message()));
  if (static_cast<int64_t>(raw_.size()) != frame.raw_bytes) {
    return Damaged(frame, "the frame's size is not the index's");
  }
  cursor_ = container::RecordCursor({raw_.data(), raw_.size()});
  return absl::OkStatus();
}

absl::Status ContainerReader::Damaged(const FrameInfo& frame, absl::string_view what) const {
  return absl::DataLossError(absl::StrCat(path_, ": bytes ", frame.offset, " to ",
                                          frame.offset + frame.compressed_bytes, " (record ",
                                          records_read_, " on): ", what, kRecoverAdvice));
}

std::string ContainerReader::digest() const {
  return absl::StrCat(absl::Hex(index_.content_digest, absl::kZeroPad16));
}

bool LooksLikeContainer(const std::string& path) {
  int64_t file_bytes = 0;
  const absl::StatusOr<File> file = OpenRegularFile(path, &file_bytes);
  char head[kHeadBytes];
  return file.ok() && ReadAt(file->get(), 0, head, kHeadBytes).ok() &&
         EqualBytes({head, sizeof(head)}, container::Head()) > kHeadBytes / 2;
}

}  // namespace tierscope

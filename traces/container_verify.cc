#include "traces/container_verify.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/container_format.h"

namespace tierscope {
namespace {

using container::FrameInfo;
using container::kHeadBytes;

// A whole file, mapped read-only.
class MappedFile {
 public:
  static absl::StatusOr<std::unique_ptr<MappedFile>> Open(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat info {};
    const bool found = fd >= 0 && ::fstat(fd, &info) == 0;
    const int error = errno;
    void* bytes = MAP_FAILED;
    if (found && S_ISREG(info.st_mode) && info.st_size > 0) {
      bytes = ::mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
    }
    if (fd >= 0) ::close(fd);
    if (!found) {
      return absl::NotFoundError(absl::StrCat(
          path, ": cannot open the trace: ", std::strerror(error), "; check the path"));
    }
    if (bytes == MAP_FAILED) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": empty or not a regular file; name a trace file"));
    }
    return std::make_unique<MappedFile>(
        absl::string_view(static_cast<const char*>(bytes), static_cast<size_t>(info.st_size)));
  }
  explicit MappedFile(absl::string_view bytes) : bytes_(bytes) {}
  ~MappedFile() { ::munmap(const_cast<char*>(bytes_.data()), bytes_.size()); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  absl::string_view bytes() const { return bytes_; }

 private:
  absl::string_view bytes_;
};

// The index when it is whole; the reason when not.
absl::StatusOr<container::Index> FindIndex(absl::string_view file) {
  const auto file_bytes = static_cast<int64_t>(file.size());
  if (file_bytes < kHeadBytes + container::kIndexBytesMin) {
    return absl::DataLossError("too short for an index, the file is cut");
  }
  const absl::string_view trailer = file.substr(file.size() - container::kTrailerBytes);
  TIERSCOPE_ASSIGN_OR_RETURN(const int64_t index_bytes,
                             container::IndexBytesFromTrailer(trailer, file_bytes));
  const int64_t offset = file_bytes - index_bytes;
  return container::ParseIndex(file.substr(static_cast<size_t>(offset)), offset);
}

// Decodes single frames and hands their records on.
class FrameDecoder {
 public:
  explicit FrameDecoder(ContainerWriter* recover)
      : recover_(recover), decompressor_(ZSTD_createDCtx()) {}
  ~FrameDecoder() { ZSTD_freeDCtx(decompressor_); }
  FrameDecoder(const FrameDecoder&) = delete;
  FrameDecoder& operator=(const FrameDecoder&) = delete;

  // The records in the frame that is exactly `bytes`; -1 when it is damaged.
  int64_t Decode(absl::string_view bytes) {
    return container::DecompressFrame(bytes, decompressor_, &raw_).ok() ? CountRecords() : -1;
  }

  // Whether the index tells the truth about the frame that is exactly `bytes`.
  bool Matches(const FrameInfo& frame, absl::string_view bytes) {
    return container::DigestOf(bytes) == frame.digest && Decode(bytes) == frame.records &&
           static_cast<int64_t>(raw_.size()) == frame.raw_bytes;
  }

  // Appends the records of the frame decoded last.
  absl::Status Recover() {
    if (recover_ == nullptr) return absl::OkStatus();
    container::RecordCursor cursor(absl::string_view(raw_.data(), raw_.size()));
    for (absl::string_view bytes; cursor.Next(&bytes);) {
      record_.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
      TIERSCOPE_RETURN_IF_ERROR(recover_->Append(record_));
    }
    return absl::OkStatus();
  }

  absl::Status RecoverGap(int64_t damaged_bytes) {
    if (recover_ == nullptr) return absl::OkStatus();
    record_.Clear();
    record_.mutable_gap()->set_damaged_bytes(damaged_bytes);
    return recover_->Append(record_);
  }

 private:
  int64_t CountRecords() {
    int64_t records = 0;
    container::RecordCursor cursor(absl::string_view(raw_.data(), raw_.size()));
    for (absl::string_view bytes; !cursor.done(); ++records) {
      if (!cursor.Next(&bytes) ||
          !record_.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        return -1;
      }
    }
    return records;
  }

  ContainerWriter* recover_;
  ZSTD_DCtx* decompressor_;
  std::vector<char> raw_;
  TraceRecord record_;
};

class Verifier {
 public:
  Verifier(absl::string_view file, ContainerWriter* recover) : file_(file), decoder_(recover) {
    report_.file_bytes = static_cast<int64_t>(file.size());
  }

  absl::StatusOr<ContainerReport> Run() {
    const absl::string_view head = container::Head();
    const size_t head_bytes = std::min(head.size(), file_.size());
    if (file_.substr(0, head_bytes) != head) {
      report_.damaged.push_back({0, kHeadBytes, "the head is damaged"});
    }
    auto index = FindIndex(file_);
    report_.index_is_good = index.ok();
    if (index.ok()) {
      report_.records_expected = index->record_count;
      TIERSCOPE_RETURN_IF_ERROR(CheckListedFrames(*index));
    } else {
      TIERSCOPE_RETURN_IF_ERROR(ScanForFrames(std::string(index.status().message())));
    }
    return std::move(report_);
  }

 private:
  absl::string_view Slice(const FrameInfo& frame) const {
    return file_.substr(static_cast<size_t>(frame.offset),
                        static_cast<size_t>(frame.compressed_bytes));
  }

  absl::Status CheckListedFrames(const container::Index& index) {
    for (const FrameInfo& frame : index.frames) {
      if (decoder_.Matches(frame, Slice(frame))) {
        TIERSCOPE_RETURN_IF_ERROR(Keep(frame.records));
      } else {
        const int64_t end = frame.offset + frame.compressed_bytes;
        TIERSCOPE_RETURN_IF_ERROR(
            Lose(frame.offset, end, absl::StrCat("a frame of ", frame.records, " records")));
      }
    }
    return absl::OkStatus();
  }

  // Without an index: frame after frame, and from a damaged one on to the next that decodes. What
  // is left at the end was the index, or frames and index of a cut file.
  absl::Status ScanForFrames(const std::string& index_damage) {
    const auto size = static_cast<int64_t>(file_.size());
    int64_t at = std::min(kHeadBytes, size);
    int64_t damaged_from = -1;
    while (at < size) {
      const int64_t frame_bytes = GoodFrameBytes(at);
      if (frame_bytes == 0) {
        if (damaged_from < 0) damaged_from = at;
        at = NextMagic(at + 1);
        continue;
      }
      if (damaged_from >= 0) {
        TIERSCOPE_RETURN_IF_ERROR(Lose(damaged_from, at, "no frame can be read here"));
        GoodFrameBytes(at);  // decoded again: the gap's record comes first
        damaged_from = -1;
      }
      TIERSCOPE_RETURN_IF_ERROR(Keep(frame_records_));
      at += frame_bytes;
    }
    return Lose(damaged_from < 0 ? size : damaged_from, size, index_damage);
  }

  // Length of the good frame at `at`, whose records the decoder then holds; 0 when there is none.
  int64_t GoodFrameBytes(int64_t at) {
    const absl::string_view rest = file_.substr(static_cast<size_t>(at));
    const size_t frame_bytes = ZSTD_findFrameCompressedSize(rest.data(), rest.size());
    if (ZSTD_isError(frame_bytes) != 0) return 0;
    frame_records_ = decoder_.Decode(rest.substr(0, frame_bytes));
    return frame_records_ < 0 ? 0 : static_cast<int64_t>(frame_bytes);
  }

  int64_t NextMagic(int64_t from) const {
    const size_t at = file_.find("\x28\xB5\x2F\xFD", static_cast<size_t>(from));
    return static_cast<int64_t>(at == absl::string_view::npos ? file_.size() : at);
  }

  absl::Status Keep(int64_t records) {
    ++report_.frames_good;
    report_.records_good += records;
    return decoder_.Recover();
  }

  absl::Status Lose(int64_t begin, int64_t end, std::string what) {
    report_.damaged.push_back({begin, end, std::move(what)});
    return decoder_.RecoverGap(end - begin);
  }

  absl::string_view file_;
  FrameDecoder decoder_;
  ContainerReport report_;
  int64_t frame_records_ = 0;
};

}  // namespace

absl::StatusOr<ContainerReport> VerifyContainer(const std::string& path, ContainerWriter* recover) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::unique_ptr<MappedFile> file, MappedFile::Open(path));
  TIERSCOPE_ASSIGN_OR_RETURN(ContainerReport report, Verifier(file->bytes(), recover).Run());
  const bool head_is_damaged = !report.damaged.empty() && report.damaged[0].begin == 0;
  if (head_is_damaged && report.frames_good == 0 && !report.index_is_good) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": not a tierscope trace, or nothing of it is left; name a trace file"));
  }
  return report;
}

}  // namespace tierscope

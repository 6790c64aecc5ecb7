#include <unistd.h>
#include <zstd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

#include "sim/base/check.h"
#include "sim/base/file_lock.h"
#include "sim/base/status_macros.h"
#include "traces/container.h"

namespace tierscope {
namespace {

constexpr int kCompressionLevel = 3;
constexpr char kTemporaryInfix[] = ".partial-";

absl::Status DiskError(absl::string_view doing, const std::string& path) {
  return absl::UnavailableError(absl::StrCat("cannot ", doing, " ", path, ": ",
                                             std::strerror(errno),
                                             "; choose another place or make room"));
}

std::string TemporaryPath(const std::string& path) {
  static std::atomic<int> counter{0};
  return absl::StrCat(path, kTemporaryInfix, ::getpid(), "-", counter.fetch_add(1));
}

void AppendVarint(std::string* out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ContainerWriter>> ContainerWriter::Open(const std::string& path) {
  RemoveAbandoned(path, kTemporaryInfix, "");
  return OpenAt(path, TemporaryPath(path));
}

absl::StatusOr<std::unique_ptr<ContainerWriter>> ContainerWriter::OpenAt(
    const std::string& path, const std::string& temporary_path) {
  std::FILE* file = std::fopen(temporary_path.c_str(), "wbxe");
  if (file == nullptr) return DiskError("create", path);
  LockDescriptor(fileno(file));  // until it is closed: in use
  auto writer = std::unique_ptr<ContainerWriter>(new ContainerWriter(path, temporary_path, file));
  TIERSCOPE_RETURN_IF_ERROR(writer->Write(container::Head()));
  return writer;
}

ContainerWriter::ContainerWriter(std::string path, std::string temporary_path, std::FILE* file)
    : path_(std::move(path)),
      temporary_path_(std::move(temporary_path)),
      file_(file),
      compressor_(ZSTD_createCCtx()) {
  ZSTD_CCtx_setParameter(compressor_, ZSTD_c_compressionLevel, kCompressionLevel);
  ZSTD_CCtx_setParameter(compressor_, ZSTD_c_checksumFlag, 1);
}

ContainerWriter::~ContainerWriter() {
  ZSTD_freeCCtx(compressor_);
  if (file_ == nullptr) return;
  std::fclose(file_);
  std::remove(temporary_path_.c_str());
}

absl::Status ContainerWriter::Append(const TraceRecord& record) {
  TIERSCOPE_CHECK(file_ != nullptr);
  TIERSCOPE_RETURN_IF_ERROR(first_error_);
  const size_t record_bytes = record.ByteSizeLong();
  TIERSCOPE_RETURN_IF_ERROR(CheckRecordBytes(record_bytes));
  AppendVarint(&raw_, record_bytes);
  const size_t begin = raw_.size();
  raw_.resize(begin + record_bytes);
  record.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(raw_.data() + begin));
  return EndRecord(begin);
}

absl::Status ContainerWriter::AppendBytes(absl::string_view record) {
  TIERSCOPE_CHECK(file_ != nullptr);
  TIERSCOPE_RETURN_IF_ERROR(first_error_);
  TIERSCOPE_RETURN_IF_ERROR(CheckRecordBytes(record.size()));
  AppendVarint(&raw_, record.size());
  const size_t begin = raw_.size();
  raw_.append(record.data(), record.size());
  return EndRecord(begin);
}

absl::Status ContainerWriter::CheckRecordBytes(size_t record_bytes) {
  if (record_bytes <= static_cast<size_t>(container::kRecordBytesMax)) return absl::OkStatus();
  return first_error_ = absl::InvalidArgumentError(
             absl::StrCat(path_, ": record ", index_.record_count, " has ", record_bytes,
                          " bytes, more than the 64 MiB a trace record may have; split it"));
}

absl::Status ContainerWriter::EndRecord(size_t record_begin) {
  content_digest_.Add(absl::string_view(raw_).substr(record_begin));
  ++raw_records_;
  ++index_.record_count;
  if (raw_.size() < static_cast<size_t>(container::kFrameRawBytesTarget)) return absl::OkStatus();
  return first_error_ = FlushFrame();
}

absl::Status ContainerWriter::Flush() {
  TIERSCOPE_CHECK(file_ != nullptr);
  TIERSCOPE_RETURN_IF_ERROR(first_error_);
  if (raw_records_ > 0) TIERSCOPE_RETURN_IF_ERROR(first_error_ = FlushFrame());
  if (std::fflush(file_) != 0) first_error_ = DiskError("write", temporary_path_);
  return first_error_;
}

absl::Status ContainerWriter::Finish() {
  TIERSCOPE_CHECK(file_ != nullptr);
  TIERSCOPE_RETURN_IF_ERROR(first_error_);
  if (raw_records_ > 0) TIERSCOPE_RETURN_IF_ERROR(first_error_ = FlushFrame());
  index_.content_digest = content_digest_.value();
  TIERSCOPE_RETURN_IF_ERROR(first_error_ = Write(container::EncodeIndex(index_)));
  const bool closed = std::fclose(std::exchange(file_, nullptr)) == 0;
  if (!closed || std::rename(temporary_path_.c_str(), path_.c_str()) != 0) {
    first_error_ = DiskError("write", path_);
    std::remove(temporary_path_.c_str());
  }
  return first_error_;
}

std::string ContainerWriter::digest() const { return content_digest_.hex(); }

absl::Status ContainerWriter::FlushFrame() {
  if (static_cast<int64_t>(index_.frames.size()) == container::kFrameCountMax) {
    return absl::ResourceExhaustedError(absl::StrCat(path_, ": too many frames; split the trace"));
  }
  compressed_.resize(ZSTD_compressBound(raw_.size()));
  const size_t compressed_bytes =
      ZSTD_compress2(compressor_, compressed_.data(), compressed_.size(), raw_.data(), raw_.size());
  TIERSCOPE_CHECK(ZSTD_isError(compressed_bytes) == 0);  // bounds are right, so only no memory
  const absl::string_view frame(compressed_.data(), compressed_bytes);
  index_.frames.push_back({file_bytes_, static_cast<int64_t>(compressed_bytes),
                           static_cast<int64_t>(raw_.size()), raw_records_,
                           container::DigestOf(frame)});
  raw_.clear();
  raw_records_ = 0;
  return Write(frame);
}

absl::Status ContainerWriter::Write(absl::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) {
    return DiskError("write", temporary_path_);
  }
  file_bytes_ += static_cast<int64_t>(bytes.size());
  return absl::OkStatus();
}

}  // namespace tierscope

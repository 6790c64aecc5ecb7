#include "sim/demand/blob_store.h"

#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

absl::Status SpillError(const std::string& folder, absl::string_view what) {
  return absl::FailedPreconditionError(
      absl::StrCat(folder, ": cannot ", what, " the spill file of demand (", std::strerror(errno),
                   "); give the cache folder space, or sweep fewer thresholds at once"));
}

}  // namespace

BlobStore::BlobStore(BlobStore&& other) noexcept
    : memory_bytes_max_(other.memory_bytes_max_),
      folder_(std::move(other.folder_)),
      blobs_(std::move(other.blobs_)),
      memory_bytes_(other.memory_bytes_),
      file_bytes_(other.file_bytes_),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

BlobStore::~BlobStore() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status BlobStore::OpenFile() {
  std::error_code ignored;  // where it cannot be made, mkstemp says why
  std::filesystem::create_directories(folder_, ignored);
  std::string name = absl::StrCat(folder_, "/demand.XXXXXX");
  descriptor_ = mkstemp(name.data());
  if (descriptor_ < 0) return SpillError(folder_, "make");
  unlink(name.c_str());
  return absl::OkStatus();
}

absl::StatusOr<size_t> BlobStore::PutBytes(const void* bytes, size_t size) {
  const char* from = static_cast<const char*>(bytes);
  Blob blob;
  if (memory_bytes_ + static_cast<int64_t>(size) <= memory_bytes_max_) {
    blob.memory.assign(from, from + size);
    memory_bytes_ += static_cast<int64_t>(size);
  } else {
    if (descriptor_ < 0) TIERSCOPE_RETURN_IF_ERROR(OpenFile());
    blob.file_offset = file_bytes_;
    blob.file_size = size;
    for (size_t done = 0; done < size;) {
      const ssize_t wrote = pwrite(descriptor_, from + done, size - done,
                                   static_cast<off_t>(file_bytes_) + static_cast<off_t>(done));
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) return SpillError(folder_, "write");
      done += static_cast<size_t>(wrote);
    }
    file_bytes_ += static_cast<int64_t>(size);
  }
  blobs_.push_back(std::move(blob));
  return blobs_.size() - 1;
}

absl::StatusOr<std::span<const char>> BlobStore::GetBytes(size_t number,
                                                          std::vector<char>& scratch) const {
  const Blob& blob = blobs_[number];
  if (blob.file_offset < 0) return std::span<const char>(blob.memory);
  scratch.resize(blob.file_size);
  for (size_t done = 0; done < blob.file_size;) {
    const ssize_t got = pread(descriptor_, scratch.data() + done, blob.file_size - done,
                              static_cast<off_t>(blob.file_offset) + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return SpillError(folder_, "read");
    done += static_cast<size_t>(got);
  }
  return std::span<const char>(scratch);
}

}  // namespace tierscope

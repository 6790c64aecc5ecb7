#include "reports/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>

#include "absl/strings/str_cat.h"

#include "sim/base/check.h"
#include "sim/base/file_lock.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

constexpr size_t kBufferBytes = 64 << 10;

}  // namespace

absl::Status FileError(int error, absl::string_view path, absl::string_view what) {
  return absl::ErrnoToStatus(error, absl::StrCat(path, ": cannot ", what));
}

absl::Status AtomicFile::Open(absl::string_view path) {
  TIERSCOPE_CHECK(!is_open());
  path_ = std::string(path);
  temporary_path_ = absl::StrCat(path, ".", getpid(), ".tmp");
  status_ = absl::OkStatus();
  buffer_.clear();
  RemoveAbandoned(path_, ".", ".tmp");
  // What is there under our own name nobody else writes; a link planted there is not followed.
  unlink(temporary_path_.c_str());
  descriptor_ = open(temporary_path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ < 0) return FileError(errno, path, "create");
  LockDescriptor(descriptor_);
  return absl::OkStatus();
}

void AtomicFile::Append(absl::string_view bytes) {
  TIERSCOPE_CHECK(is_open());
  if (!status_.ok()) return;
  buffer_.append(bytes.data(), bytes.size());
  if (buffer_.size() >= kBufferBytes) Flush();
}

void AtomicFile::Flush() {
  absl::string_view rest = buffer_;
  while (!rest.empty() && status_.ok()) {
    const ssize_t written = write(descriptor_, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<size_t>(written));
    } else if (errno != EINTR) {
      status_ = FileError(errno, path_, "write");
    }
  }
  buffer_.clear();
}

absl::Status AtomicFile::Commit() {
  TIERSCOPE_CHECK(is_open());
  Flush();
  // Some file systems report a full disk only now. EINVAL: a file that cannot be synced is still
  // whole.
  if (status_.ok() && fsync(descriptor_) != 0 && errno != EINVAL) {
    status_ = FileError(errno, path_, "write");
  }
  if (close(descriptor_) != 0 && status_.ok()) status_ = FileError(errno, path_, "write");
  descriptor_ = -1;
  if (status_.ok() && std::rename(temporary_path_.c_str(), path_.c_str()) != 0) {
    status_ = FileError(errno, path_, "replace");
  }
  if (!status_.ok()) unlink(temporary_path_.c_str());
  return status_;
}

void AtomicFile::Discard() {
  if (!is_open()) return;
  close(descriptor_);
  descriptor_ = -1;
  unlink(temporary_path_.c_str());
}

absl::Status WriteFileAtomically(absl::string_view path, absl::string_view contents) {
  AtomicFile file;
  TIERSCOPE_RETURN_IF_ERROR(file.Open(path));
  file.Append(contents);
  return file.Commit();
}

}  // namespace tierscope

#include "traces/source_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "sim/base/status_macros.h"
#include "traces/request_trace.h"

namespace tierscope {
namespace {

constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

absl::Status CannotRead(const std::string& path, int error) {
  const std::string what = absl::StrCat("cannot read: ", std::strerror(error));
  return BadInput(path, what, "check the path and its permissions");
}

// The size of an open source, or why it cannot be one.
absl::Status CheckedSize(const std::string& path, int fd, size_t* size) {
  struct stat info;
  if (fstat(fd, &info) != 0) return CannotRead(path, errno);
  if (!S_ISREG(info.st_mode)) {
    return BadInput(path, "is not a regular file", "give the path of a trace file");
  }
  if (info.st_size == 0) {
    return BadInput(PlaceOfOffset(path, 0), "the file is empty", "fetch or export the trace again");
  }
  if (info.st_size > kRequestFileBytesMax) {
    return BadInput(path, absl::StrCat("holds ", info.st_size, " bytes"),
                    absl::StrCat("split it into files of at most ", kRequestFileBytesMax));
  }
  *size = static_cast<size_t>(info.st_size);
  return absl::OkStatus();
}

absl::Status ReadFully(const std::string& path, int fd, char* out, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = read(fd, out + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return CannotRead(path, errno);
    if (n == 0) {
      return BadInput(PlaceOfOffset(path, static_cast<int64_t>(done)),
                      "the file became shorter while it was read", "wait until its writer is done");
    }
    done += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SourceFile::Read(const std::string& path) {
  // O_NONBLOCK: opening a pipe must not wait for its writer.
  const Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return CannotRead(path, errno);
  size_t size = 0;
  TIERSCOPE_RETURN_IF_ERROR(CheckedSize(path, fd.get(), &size));
  if (size + kSourcePaddingBytes > capacity_) {
    capacity_ = std::max(size + kSourcePaddingBytes, capacity_ + capacity_ / 2);
    buffer_.reset();
    buffer_.reset(new char[capacity_]);  // not make_unique: it would clear what read() fills
  }
  TIERSCOPE_RETURN_IF_ERROR(ReadFully(path, fd.get(), buffer_.get(), size));
  std::memset(buffer_.get() + size, 0, kSourcePaddingBytes);
  path_ = path;
  size_ = size;
  skipped_ = absl::StartsWith({buffer_.get(), size}, kByteOrderMark) ? kByteOrderMark.size() : 0;
  return absl::OkStatus();
}

std::string PlaceOfLine(absl::string_view path, int64_t line) {
  return absl::StrCat(path, ":", line);
}

std::string PlaceOfOffset(absl::string_view path, int64_t offset) {
  return absl::StrCat(path, ": offset ", offset);
}

absl::Status BadInput(absl::string_view place, absl::string_view what, absl::string_view mend) {
  return absl::InvalidArgumentError(absl::StrCat(place, ": ", what, "; ", mend));
}

absl::Status At(absl::string_view place, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(place, ": ", status.message()));
}

std::string BaseName(absl::string_view path) {
  while (path.size() > 1 && absl::ConsumeSuffix(&path, "/")) {
  }
  const size_t slash = path.rfind('/');
  return std::string(slash == absl::string_view::npos ? path : path.substr(slash + 1));
}

bool NextLine(absl::string_view* text, absl::string_view* line) {
  if (text->empty()) return false;
  const size_t end = text->find('\n');
  *line = text->substr(0, end);
  text->remove_prefix(end == absl::string_view::npos ? text->size() : end + 1);
  absl::ConsumeSuffix(line, "\r");
  return true;
}

}  // namespace tierscope

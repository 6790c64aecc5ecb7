#include "traces/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

#include "traces/source_file.h"

namespace tierscope {
namespace {

absl::Status CannotRead(const std::string& path, int error) {
  return BadInput(path, absl::StrCat("cannot read: ", std::strerror(error)),
                  "check the path and its permissions");
}

absl::Status EndsEarly(const std::string& name, int64_t size_bytes) {
  return BadInput(PlaceOfOffset(name, size_bytes), "the data ends here, more was expected",
                  "the file is cut; copy or export it again");
}

class FileSource : public ByteSource {
 public:
  FileSource(std::string path, int fd, int64_t size_bytes)
      : path_(std::move(path)), fd_(fd), size_bytes_(size_bytes) {}
  ~FileSource() override { close(fd_); }
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  absl::Status ReadAt(int64_t offset, char* out, int64_t bytes) const override {
    for (int64_t done = 0; done < bytes;) {
      const ssize_t n = pread(fd_, out + done, static_cast<size_t>(bytes - done), offset + done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return CannotRead(path_, errno);
      if (n == 0) return EndsEarly(path_, offset + done);
      done += n;
    }
    return absl::OkStatus();
  }
  int64_t size_bytes() const override { return size_bytes_; }
  const std::string& name() const override { return path_; }

 private:
  std::string path_;
  int fd_;
  int64_t size_bytes_;
};

class MemorySource : public ByteSource {
 public:
  MemorySource(std::string name, std::string bytes)
      : name_(std::move(name)), bytes_(std::move(bytes)) {}

  absl::Status ReadAt(int64_t offset, char* out, int64_t bytes) const override {
    if (offset < 0 || bytes > size_bytes() - offset) return EndsEarly(name_, size_bytes());
    std::memcpy(out, bytes_.data() + offset, static_cast<size_t>(bytes));
    return absl::OkStatus();
  }
  int64_t size_bytes() const override { return static_cast<int64_t>(bytes_.size()); }
  const std::string& name() const override { return name_; }

 private:
  std::string name_;
  std::string bytes_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ByteSource>> OpenFileSource(const std::string& path) {
  // O_NONBLOCK: opening a pipe must not wait for its writer.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return CannotRead(path, errno);
  struct stat info = {};
  const int failed = fstat(fd, &info) != 0 ? errno : 0;
  auto source = std::make_unique<FileSource>(path, fd, static_cast<int64_t>(info.st_size));
  if (failed != 0) return CannotRead(path, failed);
  if (!S_ISREG(info.st_mode)) {
    return BadInput(path, "is not a regular file", "give the path of a recorded file");
  }
  if (info.st_size == 0) {
    return BadInput(PlaceOfOffset(path, 0), "the file is empty", "record or export it again");
  }
  return source;
}

std::unique_ptr<ByteSource> MakeMemorySource(std::string name, std::string bytes) {
  return std::make_unique<MemorySource>(std::move(name), std::move(bytes));
}

}  // namespace tierscope

#include "sim/base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace tierscope {

FileLock::~FileLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

FileLock::Outcome FileLock::TakeFile(const std::string& path) {
  return Take(path, O_RDWR | O_CREAT);
}

FileLock::Outcome FileLock::TakeFolder(const std::string& path) {
  return Take(path, O_RDONLY | O_DIRECTORY);
}

FileLock::Outcome FileLock::Take(const std::string& path, int open_flags) {
  descriptor_ = open(path.c_str(), open_flags | O_CLOEXEC, 0666);
  if (descriptor_ < 0) return Outcome::kFailed;
  return LockDescriptor(descriptor_) ? Outcome::kTaken : Outcome::kHeldByAnother;
}

bool LockDescriptor(int descriptor) {
  // A file system that knows no locks protects nothing; that is no reason not to work on it.
  return flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

void RemoveAbandoned(const std::string& path, absl::string_view infix, absl::string_view suffix) {
  const std::filesystem::path target(path);
  const std::string prefix = absl::StrCat(target.filename().string(), infix);
  std::error_code error;
  const std::filesystem::path folder = target.parent_path();
  std::filesystem::directory_iterator files(folder.empty() ? "." : folder, error);
  for (; !error && files != std::filesystem::directory_iterator(); files.increment(error)) {
    const std::string name = files->path().filename().string();
    const bool ours = name.size() > prefix.size() + suffix.size() &&
                      absl::StartsWith(name, prefix) && absl::EndsWith(name, suffix);
    if (!ours) continue;
    const int descriptor =
        open(files->path().c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0) continue;
    // Where locks are not to be had nothing is known of it.
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) unlink(files->path().c_str());
    close(descriptor);
  }
}

}  // namespace tierscope

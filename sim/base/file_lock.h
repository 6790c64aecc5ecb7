// Locks (flock) that the system drops when the process ends, however it ends; so what a lock stands
// for is in use exactly as long as it is held. Advisory; between processes, and between two opens
// of one. An object is not thread-safe.
#ifndef TIERSCOPE_SIM_BASE_FILE_LOCK_H_
#define TIERSCOPE_SIM_BASE_FILE_LOCK_H_

#include <string>

#include "absl/strings/string_view.h"

namespace tierscope {

class FileLock {
 public:
  enum class Outcome { kTaken, kHeldByAnother, kFailed };  // kFailed: errno says why

  FileLock() = default;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();
  // Opens `path` (made where it is missing) or the folder `path` and locks it. Once an object.
  Outcome TakeFile(const std::string& path);
  Outcome TakeFolder(const std::string& path);

 private:
  Outcome Take(const std::string& path, int open_flags);
  int descriptor_ = -1;
};

// Locks what `descriptor` has open, until it is closed. False: somebody else holds it.
bool LockDescriptor(int descriptor);

// Removes the files beside `path` whose name begins with its name and `infix`, ends with `suffix`
// and that nobody holds locked: temporary files that a killed process left. Cost: one listing of
// the folder. What cannot be removed stays, without a word.
void RemoveAbandoned(const std::string& path, absl::string_view infix, absl::string_view suffix);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_BASE_FILE_LOCK_H_

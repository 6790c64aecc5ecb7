// The one place that writes result files: bytes go to a temporary name in the same folder, and the
// file takes its own name only when complete, so a reader sees the old file or the new one, never
// half of one. A killed process leaves the temporary file, which the next one to write `path`
// removes. One thread per object. Cost: one 64 KiB buffer, one fsync.
#ifndef TIERSCOPE_REPORTS_ATOMIC_FILE_H_
#define TIERSCOPE_REPORTS_ATOMIC_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tierscope {

class AtomicFile {
 public:
  AtomicFile() = default;
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() { Discard(); }

  // Creates the temporary file beside `path`. Precondition: not open.
  absl::Status Open(absl::string_view path);
  // Appends; after an error does nothing and keeps the first error for Commit.
  void Append(absl::string_view bytes);
  // Flushes and renames onto `path`. On error the temporary file is gone and `path` is as it was.
  absl::Status Commit();
  // Removes the temporary file; `path` is as it was. Nothing when not open.
  void Discard();

  bool is_open() const { return descriptor_ >= 0; }

 private:
  void Flush();

  std::string path_;
  std::string temporary_path_;
  int descriptor_ = -1;
  std::string buffer_;
  absl::Status status_;
};

// Open, Append, Commit.
absl::Status WriteFileAtomically(absl::string_view path, absl::string_view contents);

// A status for the errno `error`: "<path>: cannot <what>: <the system's words>".
absl::Status FileError(int error, absl::string_view path, absl::string_view what);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_ATOMIC_FILE_H_

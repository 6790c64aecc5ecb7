// What the targets share: bytes as a file, records as a container, and what is demanded of an
// error.
#ifndef TIERSCOPE_TESTS_FUZZ_INPUTS_H_
#define TIERSCOPE_TESTS_FUZZ_INPUTS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tierscope::testing {

// A regular file in memory (memfd) that readers open by its path; no disk, nothing left behind. One
// system call to fill, so a target runs thousands of times a second. One owner.
class MemoryFile {
 public:
  MemoryFile();
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  // Replaces the content; returns the path.
  const std::string& Fill(absl::string_view bytes);

 private:
  int descriptor_;
  std::string path_;
};

// Path in a folder of this process that goes when it ends, for writers, which rename. The same each
// time.
std::string ScratchPath();

// `status` is bad and says so in one printable line that names `path`.
void CheckError(const absl::Status& status, absl::string_view path);

// The same for what is not about a file, or about one with a long name.
inline constexpr size_t kMessageBytesMax = 1000;
void CheckMessage(const absl::Status& status, size_t bytes_max = kMessageBytesMax);

// Records as the record targets take them: a varint length before each, as in a frame. Any bytes
// are records: the last one ends with the input, whatever its length says.
std::vector<std::string> SplitRecords(absl::string_view input);
std::string JoinRecords(const std::vector<std::string>& records);

// A whole container, with right checksums and index, of frames of a few records each.
std::string ContainerOf(const std::vector<std::string>& records);

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_FUZZ_INPUTS_H_

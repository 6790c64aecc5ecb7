// What the readers of request traces share: whole files in memory and one form of error message.
#ifndef TIERSCOPE_TRACES_SOURCE_FILE_H_
#define TIERSCOPE_TRACES_SOURCE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tierscope {

// Bytes that may be read (not used) past the end of a SourceFile's text.
inline constexpr size_t kSourcePaddingBytes = 64;

// One regular file, read whole. Reading the next file reuses the buffer. One owner, one thread.
class SourceFile {
 public:
  // Replaces the text. Errors: missing, unreadable, no regular file, empty, above
  // kRequestFileBytesMax. A leading UTF-8 byte order mark is left out.
  absl::Status Read(const std::string& path);

  const std::string& path() const { return path_; }
  absl::string_view text() const { return {buffer_.get() + skipped_, size_ - skipped_}; }
  int64_t OffsetOf(const char* p) const { return p - buffer_.get(); }

 private:
  std::string path_;
  std::unique_ptr<char[]> buffer_;
  size_t capacity_ = 0;
  size_t size_ = 0;
  size_t skipped_ = 0;
};

// "path:line" and "path: offset n", the places of messages.
std::string PlaceOfLine(absl::string_view path, int64_t line);
std::string PlaceOfOffset(absl::string_view path, int64_t offset);

// "place: what; mend".
absl::Status BadInput(absl::string_view place, absl::string_view what, absl::string_view mend);

// The same status with "place: " before its message.
absl::Status At(absl::string_view place, const absl::Status& status);

// The last component of a path, without trailing slashes.
std::string BaseName(absl::string_view path);

// Cuts the next line off `text`, without its "\n" or "\r\n"; false at the end.
bool NextLine(absl::string_view* text, absl::string_view* line);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_SOURCE_FILE_H_

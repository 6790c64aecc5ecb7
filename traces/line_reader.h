// The lines of a source, in bounded memory: a block of about 1 MiB, or the longest line.
#ifndef TIERSCOPE_TRACES_LINE_READER_H_
#define TIERSCOPE_TRACES_LINE_READER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "traces/byte_source.h"

namespace tierscope {

inline constexpr int64_t kLineBytesMax = int64_t{1} << 30;

class LineReader {
 public:
  // `source` must outlive the reader.
  explicit LineReader(const ByteSource& source) : source_(source) {}

  // The next line that is not blank, without its end; false behind the last. It holds until the
  // next call, and simdjson's padding behind it may be read. Error: a line above kLineBytesMax, or
  // the disk.
  absl::StatusOr<bool> Next(absl::string_view* line);

  // Of the line read last.
  int64_t line_number() const { return line_number_; }
  int64_t line_offset() const { return line_offset_; }
  // Bytes that may be read from the line's first one on.
  size_t readable_bytes(absl::string_view line) const {
    return static_cast<size_t>(buffer_.data() + buffer_.size() - line.data());
  }
  int64_t bytes_read() const { return buffer_offset_ + static_cast<int64_t>(begin_); }

 private:
  absl::StatusOr<bool> Refill();
  absl::StatusOr<bool> NextOfAll(absl::string_view* line);

  const ByteSource& source_;
  std::vector<char> buffer_;   // with padding behind `end_`
  int64_t buffer_offset_ = 0;  // of buffer_[0] in the source
  size_t begin_ = 0;           // of what has not been returned
  size_t end_ = 0;
  int64_t line_number_ = 0;
  int64_t line_offset_ = 0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_LINE_READER_H_

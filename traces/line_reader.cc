#include "traces/line_reader.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "sim/base/status_macros.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

constexpr int64_t kBlockBytes = int64_t{1} << 20;

}  // namespace

// Moves what is left to the front and reads on behind it; false at the end of the source.
absl::StatusOr<bool> LineReader::Refill() {
  const int64_t left = static_cast<int64_t>(end_ - begin_);
  const int64_t from = buffer_offset_ + static_cast<int64_t>(end_);
  const int64_t more = std::min(std::max(kBlockBytes, left), source_.size_bytes() - from);
  if (more <= 0) return false;
  if (left + more > kLineBytesMax) {
    return BadInput(PlaceOfLine(source_.name(), line_number_ + 1),
                    absl::StrCat("a line of more than ", kLineBytesMax, " bytes"),
                    "split the record, or save the capture as .npy");
  }
  if (left > 0) std::memmove(buffer_.data(), buffer_.data() + begin_, static_cast<size_t>(left));
  buffer_.resize(std::max(buffer_.size(), static_cast<size_t>(left + more) + kSourcePaddingBytes));
  buffer_offset_ += static_cast<int64_t>(begin_);
  begin_ = 0;
  end_ = static_cast<size_t>(left + more);
  TIERSCOPE_RETURN_IF_ERROR(source_.ReadAt(from, buffer_.data() + left, more));
  return true;
}

absl::StatusOr<bool> LineReader::NextOfAll(absl::string_view* line) {
  size_t searched = begin_;
  for (;;) {
    const void* found =
        end_ > searched ? std::memchr(buffer_.data() + searched, '\n', end_ - searched) : nullptr;
    const bool is_whole = found != nullptr;
    const size_t line_end =
        is_whole ? static_cast<size_t>(static_cast<const char*>(found) - buffer_.data()) : end_;
    if (!is_whole) {
      const size_t unread = end_ - begin_;
      TIERSCOPE_ASSIGN_OR_RETURN(const bool more, Refill());
      if (more) {
        searched = begin_ + unread;
        continue;
      }
      if (unread == 0) return false;
    }
    *line = {buffer_.data() + begin_, line_end - begin_};
    line_offset_ = buffer_offset_ + static_cast<int64_t>(begin_);
    begin_ = line_end + (is_whole ? 1 : 0);
    ++line_number_;
    return true;
  }
}

absl::StatusOr<bool> LineReader::Next(absl::string_view* line) {
  for (;;) {
    TIERSCOPE_ASSIGN_OR_RETURN(const bool more, NextOfAll(line));
    if (!more) return false;
    absl::ConsumeSuffix(line, "\r");
    if (!absl::StripAsciiWhitespace(*line).empty()) return true;
  }
}

}  // namespace tierscope

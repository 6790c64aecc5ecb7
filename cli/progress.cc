#include "cli/progress.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_format.h"

namespace tierscope::cli {
namespace {

constexpr std::chrono::milliseconds kFirst{1000};
constexpr std::chrono::milliseconds kOnTerminal{200};
constexpr std::chrono::milliseconds kElsewhere{10'000};

}  // namespace

ByteProgress::ByteProgress(std::string what)
    : what_(std::move(what)),
      is_terminal_(isatty(STDERR_FILENO) != 0),
      begin_(Clock::now()),
      next_(begin_ + (is_terminal_ ? kFirst : kElsewhere)) {}

void ByteProgress::Show(int64_t done_bytes, int64_t all_bytes) {
  const Clock::time_point now = Clock::now();
  const bool is_last = done_bytes >= all_bytes;
  const bool was_shown = next_ > begin_ + (is_terminal_ ? kFirst : kElsewhere);
  if (is_last ? !(is_terminal_ && was_shown) : now < next_) return;
  next_ = now + (is_terminal_ ? kOnTerminal : kElsewhere);
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  const double rate = static_cast<double>(done_bytes) / seconds;
  const double left = static_cast<double>(all_bytes - done_bytes) / rate;
  absl::FPrintF(stderr, "%s%s: %.2f of %.2f GB, %.0f MB/s, %.0f s left%s", is_terminal_ ? "\r" : "",
                what_, static_cast<double>(done_bytes) * 1e-9,
                static_cast<double>(all_bytes) * 1e-9, rate * 1e-6, left,
                is_terminal_ && !is_last ? "   " : "\n");
}

}  // namespace tierscope::cli

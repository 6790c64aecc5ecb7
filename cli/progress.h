// How far a long command is, on stderr: rate and time left on a terminal, a line every 10 s
// otherwise. Reads the wall clock, so it belongs to cli/. One thread.
#ifndef TIERSCOPE_CLI_PROGRESS_H_
#define TIERSCOPE_CLI_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <string>

namespace tierscope::cli {

class ByteProgress {
 public:
  explicit ByteProgress(std::string what);
  // Shows nothing in the first second, so that short commands stay silent.
  void Show(int64_t done_bytes, int64_t all_bytes);

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  bool is_terminal_;
  Clock::time_point begin_;
  Clock::time_point next_;
};

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_PROGRESS_H_

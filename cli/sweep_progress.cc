#include "cli/sweep_progress.h"

#include <unistd.h>

#include <cstdio>

#include "reports/format.h"

namespace tierscope::cli {
namespace {

constexpr double kTerminalEveryS = 0.2;
constexpr double kLineEveryS = 10.0;

}  // namespace

SweepProgress::SweepProgress(int64_t points)
    : points_(points),
      terminal_(isatty(STDERR_FILENO) != 0),
      next_print_s_(terminal_ ? kTerminalEveryS : kLineEveryS) {}

void SweepProgress::Advance() {
  // The rate is that between points: generating and reading the first trace is not of it.
  if (done_++ == 0) begin_ = std::chrono::steady_clock::now();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  if (seconds < next_print_s_) return;
  next_print_s_ = seconds + (terminal_ ? kTerminalEveryS : kLineEveryS);
  Print(seconds);
}

void SweepProgress::Finish() {
  if (printed_ && terminal_) std::fprintf(stderr, "\n");
}

void SweepProgress::Print(double seconds) {
  const double rate = static_cast<double>(done_ - 1) / seconds;
  const double left = static_cast<double>(points_ - done_) / rate;
  std::fprintf(stderr, "%s  %s of %s points, %.1f points/s, %.0f s left%s", terminal_ ? "\r" : "",
               FormatCount(done_).c_str(), FormatCount(points_).c_str(), rate, left,
               terminal_ ? "   " : "\n");
  printed_ = true;
}

}  // namespace tierscope::cli

// How far a sweep is, on stderr: on a terminal a line that is redrawn, otherwise one every 10 s.
// Thread-safe where its caller holds a lock.
#ifndef TIERSCOPE_CLI_SWEEP_PROGRESS_H_
#define TIERSCOPE_CLI_SWEEP_PROGRESS_H_

#include <chrono>
#include <cstdint>

namespace tierscope::cli {

class SweepProgress {
 public:
  explicit SweepProgress(int64_t points);
  void Advance();  // one more point is done
  void Finish();   // ends the line

 private:
  void Print(double seconds);

  int64_t points_;
  int64_t done_ = 0;
  bool terminal_;
  bool printed_ = false;
  std::chrono::steady_clock::time_point begin_;  // of the first point's end
  double next_print_s_;
};

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_SWEEP_PROGRESS_H_

// What is timed: every op at the sizes that serving meets, with the fewest bytes it must move and
// the operations it must do.
#ifndef TIERSCOPE_KERNELS_BENCH_BENCH_CASES_H_
#define TIERSCOPE_KERNELS_BENCH_BENCH_CASES_H_

#include <functional>
#include <string>
#include <vector>

#include "kernels/bench/bench_timer.h"

namespace tierscope::bench {

struct BenchRow {
  std::string op;
  int64_t context = 0;  // tokens of a request; 0 where it does not matter
  int batch = 0;
  int kmax = 0;
  int blocks = 0;    // thread blocks of a gather
  double bytes = 0;  // device memory, or the host link for recall
  double flop = 0;
  bool over_link = false;
  Timing timing;
};

// Runs everything, a row at a time, and hands each on. `quick` leaves out batches of 8.
KernelStatus RunBench(bool quick, int sm_count, const std::function<void(const BenchRow&)>& take);

}  // namespace tierscope::bench

#endif  // TIERSCOPE_KERNELS_BENCH_BENCH_CASES_H_

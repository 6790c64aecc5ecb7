// Timing on a device, without CUDA's headers. Times are of events on one stream: what the device
// spent, the launch hidden behind work that keeps the stream busy.
#ifndef TIERSCOPE_KERNELS_BENCH_BENCH_TIMER_H_
#define TIERSCOPE_KERNELS_BENCH_BENCH_TIMER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "kernels/kernel_status.h"

namespace tierscope::bench {

using Work = std::function<KernelStatus(CUstream_st*)>;

struct Timing {
  double cold_us = 0;      // median; the L2 cache was overwritten before each run
  double warm_us = 0;      // median; run after run on the same data
  double warm_spread = 0;  // (90th percentile - 10th) / median of the warm runs
  double submit_us = 0;    // median, host: the call itself
};

// Warms up, then `repeats` cold and warm runs each.
KernelStatus TimeWork(const Work& work, int repeats, Timing* timing);

struct DeviceFacts {
  std::string name;
  int sm_count = 0;
  int l2_bytes = 0;
  int64_t memory_bytes = 0;
  int driver_version = 0;
  int runtime_version = 0;
};
KernelStatus DescribeDevice(DeviceFacts* facts);

// What this machine reaches in this run, to hold the kernels against. 0: not measured.
struct Ceilings {
  double copy_bytes_per_s = 0;    // device to device, read + written
  double recall_bytes_per_s = 0;  // pinned host to device, one large copy
  double bf16_flop_per_s = 0;     // 8192^3 through cuBLASLt, random data
};
KernelStatus MeasureCeilings(Ceilings* ceilings);

// Random bytes without the second highest bit: as bf16, fp32 or e4m3 they are numbers below 2, no
// NaN.
KernelStatus FillRandom(void* memory, size_t byte_count, uint64_t seed);

}  // namespace tierscope::bench

#endif  // TIERSCOPE_KERNELS_BENCH_BENCH_TIMER_H_

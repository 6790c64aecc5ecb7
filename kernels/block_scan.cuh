// Sums over the threads of a block, in thread order. For .cu sources.
#ifndef TIERSCOPE_KERNELS_BLOCK_SCAN_CUH_
#define TIERSCOPE_KERNELS_BLOCK_SCAN_CUH_

#include <cstdint>

#include "kernels/device.cuh"

namespace tierscope {

template <typename T>
struct ScanResult {
  T before;  // of the threads before this one
  T total;
};

// Every thread of the block calls it. `warp_sums` is shared memory of this call alone, unless a
// barrier lies between this call and the next use: one barrier inside.
template <int kThreads, typename T>
__device__ __forceinline__ ScanResult<T> BlockScan(T value, T (&warp_sums)[kThreads / 32]) {
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  T sum = value;
#pragma unroll
  for (int delta = 1; delta < 32; delta *= 2) {
    const T below = __shfl_up_sync(kWholeWarp, sum, delta);
    if (lane >= delta) sum += below;
  }
  if (lane == 31) warp_sums[warp] = sum;
  __syncthreads();
  ScanResult<T> result{sum - value, 0};
#pragma unroll
  for (int w = 0; w < kThreads / 32; ++w) {
    const T of_warp = warp_sums[w];
    if (w < warp) result.before += of_warp;
    result.total += of_warp;
  }
  return result;
}

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_BLOCK_SCAN_CUH_

// Top-k by radix selection, one block a request. A digit of 11 bits at a time: count the candidates
// by digit, find the digit at which k are reached, take what lies above, keep what lies at it.
// After the first digit the candidates fit in shared memory, unless very many logits are nearly
// equal; then every further digit reads global memory again. What is taken is a bit in a bitmap
// over positions, so the result comes out in rising order and does not depend on the order in which
// threads ran.
#include "kernels/block_scan.cuh"
#include "kernels/device.cuh"
#include "kernels/radix_select.h"
#include "kernels/top_entries.h"

namespace tierscope {
namespace {

constexpr int kThreads = 1024;
constexpr int kBinsOfThread = kRadixBins / kThreads;
constexpr int32_t kCandidatesMax = 4096;

struct TopShared {
  uint64_t candidates[kCandidatesMax];
  int32_t bins[kRadixBins];
  int32_t bin_sums[kThreads / 32];
  int32_t place_sums[kThreads / 32];
  int32_t candidate_count;
  int32_t digit;        // at which the wanted number is reached
  int32_t digit_left;   // how many of that digit's are still to be taken
  int32_t digit_count;  // how many there are
};

// Behind TopShared: one bit a position of the request.
__device__ __forceinline__ uint32_t* BitmapOf(TopShared& shared) {
  return reinterpret_cast<uint32_t*>(&shared + 1);
}
__device__ __forceinline__ void Take(uint32_t* bitmap, uint64_t key) {
  const uint32_t position = 0xFFFFFFFFu - static_cast<uint32_t>(key);
  atomicOr(&bitmap[position / 32], 1u << position % 32);
}

// Calls f(key) for the keys that agree with `prefix` above bit `shift`: all of global memory, or
// those kept.
template <typename F>
__device__ __forceinline__ void ForEachKey(const TopShared& shared, const float* logits,
                                           int32_t count, bool kept, uint64_t prefix, int shift,
                                           F f) {
  if (kept) {
    for (int32_t i = threadIdx.x; i < shared.candidate_count; i += kThreads) {
      const uint64_t key = shared.candidates[i];
      if (SamePrefix(key, prefix, shift)) f(key);
    }
    return;
  }
  const auto visit = [&](float score, int32_t position) {
    const uint64_t key = SelectionKey(score, static_cast<uint32_t>(position));
    if (SamePrefix(key, prefix, shift)) f(key);
  };
  const int32_t whole = count & ~3;
  for (int32_t base = threadIdx.x * 4; base < whole; base += kThreads * 4) {
    const float4 four = *reinterpret_cast<const float4*>(logits + base);
    visit(four.x, base);
    visit(four.y, base + 1);
    visit(four.z, base + 2);
    visit(four.w, base + 3);
  }
  if (whole + static_cast<int32_t>(threadIdx.x) < count) {
    visit(logits[whole + threadIdx.x], whole + static_cast<int32_t>(threadIdx.x));
  }
}

// Bins from the highest down: the one in which the `wanted`-th key lies.
__device__ __forceinline__ void FindDigit(TopShared& shared, int32_t wanted) {
  const int32_t high = kRadixBins - 1 - static_cast<int32_t>(threadIdx.x) * kBinsOfThread;
  int32_t mine = 0;
#pragma unroll
  for (int i = 0; i < kBinsOfThread; ++i) mine += shared.bins[high - i];
  int32_t above = BlockScan<kThreads>(mine, shared.bin_sums).before;
#pragma unroll
  for (int i = 0; i < kBinsOfThread; ++i) {
    const int32_t count = shared.bins[high - i];
    if (above < wanted && wanted <= above + count) {
      shared.digit = high - i;
      shared.digit_left = wanted - above;
      shared.digit_count = count;
    }
    above += count;
  }
  __syncthreads();
}

// Marks the `wanted` largest of `count` logits, wanted < count. The barrier behind the clearing of
// the bins also ends the round before: the candidates are complete, and everyone has read the
// digit.
__device__ __forceinline__ void SelectLargest(TopShared& shared, uint32_t* bitmap,
                                              const float* logits, int32_t count, int32_t wanted) {
  uint64_t prefix = 0;
  int previous = 64;
  bool kept = false;
  while (true) {
    const int shift = NextDigitShift(previous);
    for (int i = threadIdx.x; i < kRadixBins; i += kThreads) shared.bins[i] = 0;
    __syncthreads();
    ForEachKey(shared, logits, count, kept, prefix, previous,
               [&](uint64_t key) { atomicAdd(&shared.bins[DigitOf(key, shift, previous)], 1); });
    __syncthreads();
    FindDigit(shared, wanted);
    const auto digit = static_cast<uint32_t>(shared.digit);
    const bool all_of_digit = shared.digit_left == shared.digit_count;
    const bool keep = !kept && !all_of_digit && shared.digit_count <= kCandidatesMax;
    ForEachKey(shared, logits, count, kept, prefix, previous, [&](uint64_t key) {
      const uint32_t mine = DigitOf(key, shift, previous);
      if (mine > digit || (all_of_digit && mine == digit)) Take(bitmap, key);
      if (keep && mine == digit) shared.candidates[atomicAdd(&shared.candidate_count, 1)] = key;
    });
    if (all_of_digit) return;
    prefix |= static_cast<uint64_t>(digit) << shift;
    wanted = shared.digit_left;
    kept = kept || keep;
    previous = shift;
  }
}

// Writes the marked positions in rising order, as entries and cells, and -1 behind them.
__device__ __forceinline__ void WriteTaken(const TopEntriesParams& p, TopShared& shared,
                                           const uint32_t* bitmap, int32_t count) {
  const int64_t request = blockIdx.x;
  const int32_t words = (count + 31) / 32;
  const int32_t words_of_thread = (words + kThreads - 1) / kThreads;
  const int32_t first = threadIdx.x * words_of_thread;
  const int32_t last = min(first + words_of_thread, words);
  int32_t mine = 0;
  for (int32_t w = first; w < last; ++w) mine += __popc(bitmap[w]);
  const ScanResult<int32_t> place = BlockScan<kThreads>(mine, shared.place_sums);
  int64_t at = request * p.top_k + place.before;
  for (int32_t w = first; w < last; ++w) {
    for (uint32_t bits = bitmap[w]; bits != 0; bits &= bits - 1, ++at) {
      const int32_t position = w * 32 + __ffs(static_cast<int>(bits)) - 1;
      const int64_t page = request * p.pages_max + position / kPageEntries;
      const int32_t row = position % kPageEntries;
      p.cells[at] = CellOf(p.blocks[page], row);
      if (p.entries != nullptr) p.entries[at] = p.pages[page] * kPageEntries + row;
    }
  }
  for (int32_t i = place.total + threadIdx.x; i < p.top_k; i += kThreads) {
    p.cells[request * p.top_k + i] = -1;
    if (p.entries != nullptr) p.entries[request * p.top_k + i] = -1;
  }
}

__global__ void __launch_bounds__(kThreads) TopKernel(const __grid_constant__ TopEntriesParams p) {
  auto& shared = SharedAs<TopShared>();
  uint32_t* bitmap = BitmapOf(shared);
  const int32_t count = p.entry_counts[blockIdx.x];
  const float* logits = p.logits + static_cast<int64_t>(blockIdx.x) * p.pages_max * kPageEntries;
  const bool all = count <= p.top_k;
  for (int32_t w = threadIdx.x; w < p.pages_max * 2; w += kThreads) {
    const int32_t bits = max(0, min(32, count - w * 32));
    bitmap[w] = all && bits > 0 ? 0xFFFFFFFFu >> (32 - bits) : 0;
  }
  if (threadIdx.x == 0) shared.candidate_count = 0;
  // No barrier: the first one of the selection comes before anyone marks a bit, and where all are
  // taken (at most kTopEntriesMax / 32 words) a thread reads the word it has just written.
  static_assert(kTopEntriesMax / 32 <= kThreads);
  if (!all) {
    SelectLargest(shared, bitmap, logits, count, p.top_k);
    __syncthreads();
  }
  WriteTaken(p, shared, bitmap, count);
}

}  // namespace

KernelStatus LaunchTopEntries(const TopEntriesParams& params, CUstream_st* stream) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckTopEntries(params));
  if (params.request_count == 0) return {};
  const size_t bitmap_bytes = static_cast<size_t>(params.pages_max) * kPageEntries / 8;
  return LaunchKernel(TopKernel,
                      {dim3(static_cast<unsigned>(params.request_count)), dim3(kThreads),
                       sizeof(TopShared) + bitmap_bytes},
                      params, stream);
}

}  // namespace tierscope

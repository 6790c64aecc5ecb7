// Page selection, one block a request: a thread keeps 16 pages in registers, the block meets four
// times.
#include "kernels/block_scan.cuh"
#include "kernels/device.cuh"
#include "kernels/page_select.h"
#include "sim/policy/page_selection.h"

namespace tierscope {
namespace {

constexpr int kThreads = 256;
constexpr int kPagesOfThread = kSelectPagesMax / kThreads;
static_assert(kPagesOfThread == 16, "a thread's densities are one 16 B load");

struct SelectShared {
  int32_t bins[kDensityBins];
  int32_t tie_sums[kThreads / 32];
  uint64_t list_sums[kThreads / 32];
};

// The three lists are counted in one word; each holds at most 4,096 pages.
constexpr int kListBits = 20;
__device__ __forceinline__ int32_t CountOf(uint64_t packed, int list) {
  return static_cast<int32_t>(packed >> (kListBits * list) & ((1u << kListBits) - 1));
}

// What a thread knows of its pages [first, first + 16): densities, and a bit a page.
struct ThreadPages {
  int32_t first;
  uint4 density;
  uint32_t held;
};

__device__ __forceinline__ int32_t DensityOf(const ThreadPages& pages, int i) {
  const uint32_t word = i < 4    ? pages.density.x
                        : i < 8  ? pages.density.y
                        : i < 12 ? pages.density.z
                                 : pages.density.w;
  return static_cast<int32_t>(word >> (i % 4 * 8) & 0xFFu);
}

// Pages past the request's end have density 0 and are not held, whatever the memory there holds.
__device__ __forceinline__ ThreadPages LoadPages(const PageSelectParams& p, int64_t row,
                                                 int32_t page_count) {
  ThreadPages pages{static_cast<int32_t>(threadIdx.x) * kPagesOfThread, make_uint4(0, 0, 0, 0), 0};
  if (pages.first >= page_count) return pages;
  const uint8_t* density = p.density + row + pages.first;
  const int32_t* held = p.held_blocks + row + pages.first;
  if (pages.first + kPagesOfThread <= page_count) {
    pages.density = *reinterpret_cast<const uint4*>(density);
#pragma unroll
    for (int i = 0; i < kPagesOfThread; ++i) pages.held |= static_cast<uint32_t>(held[i] >= 0) << i;
    return pages;
  }
  uint32_t words[4] = {0, 0, 0, 0};
#pragma unroll
  for (int i = 0; i < kPagesOfThread; ++i) {
    if (pages.first + i >= page_count) break;
    words[i / 4] |= static_cast<uint32_t>(density[i]) << (i % 4 * 8);
    pages.held |= static_cast<uint32_t>(held[i] >= 0) << i;
  }
  pages.density = make_uint4(words[0], words[1], words[2], words[3]);
  return pages;
}

__device__ __forceinline__ bool IsCandidate(const ForcedPages& forced, int32_t page) {
  return page >= forced.sink_end && page < forced.recency_begin;
}

__global__ void __launch_bounds__(kThreads)
    SelectKernel(const __grid_constant__ PageSelectParams p) {
  auto& shared = SharedAs<SelectShared>();
  const int64_t row = static_cast<int64_t>(blockIdx.x) * p.pages_max;
  const ForcedPages forced =
      ForcedPagesOf(p.entry_counts[blockIdx.x], p.sink_entries, p.recency_entries);
  const ThreadPages pages = LoadPages(p, row, forced.page_count);
  if (threadIdx.x < kDensityBins) shared.bins[threadIdx.x] = 0;
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kPagesOfThread; ++i) {
    const int32_t density = DensityOf(pages, i);
    if (density > 0 && IsCandidate(forced, pages.first + i)) atomicAdd(&shared.bins[density], 1);
  }
  __syncthreads();
  const DensityCutoff cutoff = FindDensityCutoff(shared.bins, p.kmax);

  int32_t ties = 0;
#pragma unroll
  for (int i = 0; i < kPagesOfThread; ++i) {
    ties += IsCandidate(forced, pages.first + i) && DensityOf(pages, i) == cutoff.density;
  }
  int32_t tie = BlockScan<kThreads>(ties, shared.tie_sums).before;

  uint32_t taken = 0;
#pragma unroll
  for (int i = 0; i < kPagesOfThread; ++i) {
    const int32_t page = pages.first + i;
    const int32_t density = DensityOf(pages, i);
    bool take = page < forced.page_count;
    if (IsCandidate(forced, page)) {
      take = density > cutoff.density || (density == cutoff.density && tie++ < cutoff.ties);
    }
    taken |= static_cast<uint32_t>(take) << i;
  }
  const uint32_t recalled = taken & ~pages.held;
  const uint32_t evicted = pages.held & ~taken;
  const uint64_t mine = static_cast<uint64_t>(__popc(taken)) |
                        static_cast<uint64_t>(__popc(recalled)) << kListBits |
                        static_cast<uint64_t>(__popc(evicted)) << (2 * kListBits);
  const ScanResult<uint64_t> places = BlockScan<kThreads>(mine, shared.list_sums);
  int32_t* selected = p.selected + row + CountOf(places.before, kSelectedPages);
  int32_t* recall = p.recall + row + CountOf(places.before, kRecalledPages);
  int32_t* evict = p.evict + row + CountOf(places.before, kEvictedPages);
#pragma unroll
  for (int i = 0; i < kPagesOfThread; ++i) {
    if (taken >> i & 1) *selected++ = pages.first + i;
    if (recalled >> i & 1) *recall++ = pages.first + i;
    if (evicted >> i & 1) *evict++ = pages.first + i;
  }
  if (threadIdx.x < kSelectCounts) {
    p.counts[blockIdx.x * kSelectCounts + threadIdx.x] = CountOf(places.total, threadIdx.x);
  }
}

}  // namespace

KernelStatus LaunchPageSelect(const PageSelectParams& params, CUstream_st* stream) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckPageSelect(params));
  if (params.request_count == 0) return {};
  return LaunchKernel(
      SelectKernel,
      {dim3(static_cast<unsigned>(params.request_count)), dim3(kThreads), sizeof(SelectShared)},
      params, stream);
}

}  // namespace tierscope

// Page selection: of each request the densest KMAX pages beside the forced ones (the decision is
// that of sim/policy/page_selection.h, to the last tie), and the difference from the pages held:
// what to recall and what may be evicted.
#ifndef TIERSCOPE_KERNELS_PAGE_SELECT_H_
#define TIERSCOPE_KERNELS_PAGE_SELECT_H_

#include <cstdint>

#include "kernels/kernel_status.h"

namespace tierscope {

inline constexpr int32_t kSelectPagesMax = 4096;  // of one request: 1M tokens

// counts[request][...]
enum SelectCount { kSelectedPages, kRecalledPages, kEvictedPages, kSelectCounts };

// Device memory, 16 B-aligned.
struct PageSelectParams {
  int32_t request_count = 0;
  int32_t pages_max = 0;  // columns below; a multiple of 16, at most kSelectPagesMax
  int32_t kmax = 0;       // 1..reserve_blocks
  int32_t reserve_blocks = 0;
  int64_t sink_entries = 0;
  int64_t recency_entries = 0;
  const uint8_t* density = nullptr;       // [request][pages_max] wanted entries, 0..64
  const int32_t* entry_counts = nullptr;  // [request] 0..64 * pages_max
  const int32_t* held_blocks =
      nullptr;                  // [request][pages_max] reserve block of a page, -1: not held
  int32_t* selected = nullptr;  // [request][pages_max] pages, rising
  int32_t* recall = nullptr;    // [request][pages_max] selected and not held, rising
  int32_t* evict = nullptr;     // [request][pages_max] held and not selected, rising
  int32_t* counts = nullptr;    // [request][kSelectCounts] lengths of the three lists
};

KernelStatus CheckPageSelect(const PageSelectParams& params);
// One block a request. Lists are written up to their lengths.
KernelStatus LaunchPageSelect(const PageSelectParams& params, CUstream_st* stream);
// The same on host memory.
void PageSelectReference(const PageSelectParams& params);

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_PAGE_SELECT_H_

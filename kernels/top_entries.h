// The native indexer's choice: the top_k largest logits of each request, ties to the lower
// position, and where those entries lie in the reserve.
#ifndef TIERSCOPE_KERNELS_TOP_ENTRIES_H_
#define TIERSCOPE_KERNELS_TOP_ENTRIES_H_

#include <cstdint>

#include "kernels/kernel_status.h"
#include "sim/policy/page_selection.h"

namespace tierscope {

inline constexpr int32_t kTopPagesMax = 4096;
inline constexpr int32_t kTopEntriesMax = 2048;

// The cell of row `row` of a block; -1 where the page holds no block any more (a wasted slot).
TIERSCOPE_HOST_DEVICE inline int32_t CellOf(int32_t block, int32_t row) {
  return block < 0 ? -1 : block * kPageEntries + row;
}

// Device memory, 16 B-aligned. Positions count along the request's list of active pages.
struct TopEntriesParams {
  int32_t request_count = 0;
  int32_t pages_max = 0;                  // columns of the lists, at most kTopPagesMax
  int32_t top_k = 0;                      // 1..kTopEntriesMax
  const float* logits = nullptr;          // [request][64 * pages_max]; NaN comes last
  const int32_t* entry_counts = nullptr;  // [request] 0..64 * pages_max
  const int32_t* pages = nullptr;         // [request][pages_max] logical page of each list place
  const int32_t* blocks = nullptr;        // [request][pages_max] its reserve block, or -1
  int32_t* entries = nullptr;             // [request][top_k] logical entries, or null
  int32_t* cells = nullptr;  // [request][top_k] reserve cells by rising position; -1: none
};

KernelStatus CheckTopEntries(const TopEntriesParams& params);
// One block a request. Places past min(top_k, entries) hold -1.
KernelStatus LaunchTopEntries(const TopEntriesParams& params, CUstream_st* stream);
// The same on host memory, by sorting.
void TopEntriesReference(const TopEntriesParams& params);

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_TOP_ENTRIES_H_

// Recall and writeback of whole pages by the copy engine. Cold pool (pinned host memory) and
// reserve (device memory) are page-major (paged.h): a page of all layers is one piece, and pages
// that are neighbours on both sides become one descriptor.
#ifndef TIERSCOPE_KERNELS_PAGE_COPY_H_
#define TIERSCOPE_KERNELS_PAGE_COPY_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/kernel_status.h"

namespace tierscope {

inline constexpr int64_t kPageMovesMax = 1 << 20;

struct PageMove {
  int32_t cold_page;  // place in the cold pool
  int32_t block;      // block of the reserve
};

enum class CopyDirection { kRecall, kWriteback };

struct PagePools {
  uint8_t* cold_pool = nullptr;  // [cold_pages][page_bytes], pinned
  uint8_t* reserve = nullptr;    // [reserve_blocks][page_bytes]
  int64_t page_bytes = 0;        // a multiple of 16; layers * 37,376
  int32_t cold_pages = 0;
  int32_t reserve_blocks = 0;
};

// Descriptors of one submission; kept and reused, so that a steady state allocates nothing.
struct PageCopyBatch {
  std::vector<void*> targets;
  std::vector<const void*> sources;
  std::vector<size_t> sizes;
};

// Turns moves into descriptors, in the order given, neighbours joined. No two moves may write the
// same place (not checked: within a batch the copies are unordered).
KernelStatus BuildPageCopies(const PagePools& pools, const PageMove* moves, int64_t move_count,
                             CopyDirection direction, PageCopyBatch* batch);

// One call of the driver for all descriptors, ordered with the work of `stream`, which must not be
// null: the batched copy refuses CUDA's default stream.
KernelStatus SubmitPageCopies(const PageCopyBatch& batch, CUstream_st* stream);

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_PAGE_COPY_H_

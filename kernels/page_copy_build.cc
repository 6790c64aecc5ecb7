#include "kernels/page_copy.h"
#include "kernels/pointer_check.h"

namespace tierscope {
namespace {

KernelStatus CheckPools(const PagePools& pools) {
  TIERSCOPE_KERNEL_REQUIRE(IsAligned16(pools.cold_pool) && IsAligned16(pools.reserve),
                           "page copy: a pool is null or not 16 B-aligned");
  TIERSCOPE_KERNEL_REQUIRE(pools.page_bytes > 0 && pools.page_bytes % 16 == 0,
                           "page copy: page_bytes is no positive multiple of 16");
  TIERSCOPE_KERNEL_REQUIRE(pools.cold_pages >= 0 && pools.reserve_blocks >= 0,
                           "page copy: negative pool size");
  return {};
}

bool IsInside(const PageMove& move, const PagePools& pools) {
  return move.cold_page >= 0 && move.cold_page < pools.cold_pages && move.block >= 0 &&
         move.block < pools.reserve_blocks;
}

}  // namespace

KernelStatus BuildPageCopies(const PagePools& pools, const PageMove* moves, int64_t move_count,
                             CopyDirection direction, PageCopyBatch* batch) {
  batch->targets.clear();
  batch->sources.clear();
  batch->sizes.clear();
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckPools(pools));
  TIERSCOPE_KERNEL_REQUIRE(move_count >= 0 && move_count <= kPageMovesMax,
                           "page copy: move_count outside 0..1048576");
  for (int64_t i = 0; i < move_count; ++i) {
    TIERSCOPE_KERNEL_REQUIRE(IsInside(moves[i], pools),
                             "page copy: a move names a page or block outside its pool");
    const bool joins = i > 0 && moves[i].cold_page == moves[i - 1].cold_page + 1 &&
                       moves[i].block == moves[i - 1].block + 1;
    if (joins) {
      batch->sizes.back() += static_cast<size_t>(pools.page_bytes);
      continue;
    }
    uint8_t* cold = pools.cold_pool + moves[i].cold_page * pools.page_bytes;
    uint8_t* block = pools.reserve + moves[i].block * pools.page_bytes;
    const bool recall = direction == CopyDirection::kRecall;
    batch->targets.push_back(recall ? block : cold);
    batch->sources.push_back(recall ? cold : block);
    batch->sizes.push_back(static_cast<size_t>(pools.page_bytes));
  }
  return {};
}

}  // namespace tierscope

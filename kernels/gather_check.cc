#include "kernels/gather.h"
#include "kernels/paged.h"
#include "kernels/pointer_check.h"

namespace tierscope {
namespace {

bool IsAligned64(const void* p) { return p != nullptr && reinterpret_cast<uintptr_t>(p) % 64 == 0; }

KernelStatus CheckMoves(const int32_t* from, const int32_t* to, int32_t count, int32_t blocks_max) {
  TIERSCOPE_KERNEL_REQUIRE(count >= 0, "gather: negative move_count");
  TIERSCOPE_KERNEL_REQUIRE(count == 0 || (from != nullptr && to != nullptr),
                           "gather: a list is null");
  TIERSCOPE_KERNEL_REQUIRE(blocks_max >= 1 && blocks_max <= kGatherBlocksMax,
                           "gather: blocks_max outside 1..64");
  return {};
}

}  // namespace

KernelStatus CheckPageGather(const PageGatherParams& params) {
  TIERSCOPE_KERNEL_REQUIRE(IsAligned64(params.source) && IsAligned64(params.target),
                           "page gather: a pool is null or not 64 B-aligned");
  TIERSCOPE_KERNEL_REQUIRE(params.page_bytes > 0 && params.page_bytes % 64 == 0,
                           "page gather: page_bytes is no positive multiple of 64");
  return CheckMoves(params.source_pages, params.target_pages, params.move_count, params.blocks_max);
}

KernelStatus CheckEntryGather(const EntryGatherParams& params) {
  TIERSCOPE_KERNEL_REQUIRE(IsAligned64(params.source) && IsAligned64(params.target),
                           "entry gather: a pool is null or not 64 B-aligned");
  for (const int64_t page_bytes : {params.source_page_bytes, params.target_page_bytes}) {
    TIERSCOPE_KERNEL_REQUIRE(page_bytes >= kKvPageLayerBytes && page_bytes % 64 == 0,
                             "entry gather: page bytes below 37376 or no multiple of 64");
  }
  return CheckMoves(params.source_cells, params.target_cells, params.move_count, params.blocks_max);
}

}  // namespace tierscope

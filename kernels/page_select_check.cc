#include "kernels/page_select.h"
#include "kernels/pointer_check.h"

namespace tierscope {

KernelStatus CheckPageSelect(const PageSelectParams& params) {
  TIERSCOPE_KERNEL_REQUIRE(params.request_count >= 0 && params.request_count <= 65535,
                           "page select: request_count outside 0..65535");
  TIERSCOPE_KERNEL_REQUIRE(
      params.pages_max >= 16 && params.pages_max <= kSelectPagesMax && params.pages_max % 16 == 0,
      "page select: pages_max is no multiple of 16 in 16..4096");
  TIERSCOPE_KERNEL_REQUIRE(params.kmax >= 1, "page select: kmax below 1");
  TIERSCOPE_KERNEL_REQUIRE(params.kmax <= params.reserve_blocks,
                           "page select: kmax over the reserve; lower kmax or enlarge the reserve");
  TIERSCOPE_KERNEL_REQUIRE(params.sink_entries >= 0 && params.recency_entries >= 0,
                           "page select: negative sink_entries or recency_entries");
  TIERSCOPE_KERNEL_REQUIRE(
      AreAligned16({params.density, params.entry_counts, params.held_blocks, params.selected,
                    params.recall, params.evict, params.counts}),
      "page select: a pointer is null or not 16 B-aligned");
  return {};
}

}  // namespace tierscope

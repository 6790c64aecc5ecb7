#include "kernels/pointer_check.h"
#include "kernels/top_entries.h"

namespace tierscope {

KernelStatus CheckTopEntries(const TopEntriesParams& params) {
  TIERSCOPE_KERNEL_REQUIRE(params.request_count >= 0 && params.request_count <= 65535,
                           "top entries: request_count outside 0..65535");
  TIERSCOPE_KERNEL_REQUIRE(params.pages_max >= 1 && params.pages_max <= kTopPagesMax,
                           "top entries: pages_max outside 1..4096");
  TIERSCOPE_KERNEL_REQUIRE(params.top_k >= 1 && params.top_k <= kTopEntriesMax,
                           "top entries: top_k outside 1..2048");
  TIERSCOPE_KERNEL_REQUIRE(
      AreAligned16({params.logits, params.entry_counts, params.pages, params.blocks, params.cells}),
      "top entries: a pointer is null or not 16 B-aligned");
  TIERSCOPE_KERNEL_REQUIRE(IsNullOrAligned16(params.entries),
                           "top entries: entries is not 16 B-aligned");
  return {};
}

}  // namespace tierscope

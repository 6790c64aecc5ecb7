#include <algorithm>

#include "kernels/attention.h"
#include "kernels/paged.h"
#include "kernels/pointer_check.h"

namespace tierscope {
namespace {

KernelStatus CheckPool(const KvPool& pool) {
  TIERSCOPE_KERNEL_REQUIRE(IsAligned16(pool.entries),
                           "attention: a pool is null or not 16 B-aligned");
  TIERSCOPE_KERNEL_REQUIRE(pool.page_bytes >= kKvPageLayerBytes && pool.page_bytes % 16 == 0,
                           "attention: page_bytes below 37376 or no multiple of 16");
  return {};
}

KernelStatus CheckEntries(const AttentionParams& params) {
  TIERSCOPE_KERNEL_REQUIRE((params.cells != nullptr) != (params.pages != nullptr),
                           "attention: give either cells or pages");
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckPool(params.pool));
  if (params.cells != nullptr) {
    TIERSCOPE_KERNEL_REQUIRE(IsAligned16(params.cells), "attention: cells is not 16 B-aligned");
    TIERSCOPE_KERNEL_REQUIRE(params.cells_max >= 0 && params.cells_max <= kAttentionEntriesMax,
                             "attention: cells_max outside 0..1048576");
    return {};
  }
  TIERSCOPE_KERNEL_REQUIRE(AreAligned16({params.pages, params.entry_counts}),
                           "attention: pages or entry_counts is null or not 16 B-aligned");
  TIERSCOPE_KERNEL_REQUIRE(
      params.pages_max >= 1 && params.pages_max <= kAttentionEntriesMax / kPageEntries,
      "attention: pages_max outside 1..16384");
  return {};
}

KernelStatus CheckWindow(const AttentionParams& params) {
  if (params.window_cells == nullptr) return {};
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckPool(params.window_pool));
  TIERSCOPE_KERNEL_REQUIRE(IsAligned16(params.window_cells),
                           "attention: window_cells is not 16 B-aligned");
  TIERSCOPE_KERNEL_REQUIRE(params.window_max >= 0 && params.window_max <= kAttentionEntriesMax,
                           "attention: window_max outside 0..1048576");
  return {};
}

}  // namespace

KernelStatus CheckAttention(const AttentionParams& params) {
  TIERSCOPE_KERNEL_REQUIRE(params.request_count >= 0 && params.request_count <= 65535,
                           "attention: request_count outside 0..65535");
  TIERSCOPE_KERNEL_REQUIRE(params.scale > 0 && params.scale < 1e6f,
                           "attention: scale outside (0, 1e6)");
  TIERSCOPE_KERNEL_REQUIRE(AreAligned16({params.q, params.out, params.lse}),
                           "attention: q, out or lse is null or not 16 B-aligned");
  TIERSCOPE_KERNEL_REQUIRE(IsNullOrAligned16(params.sink), "attention: sink is not 16 B-aligned");
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckEntries(params));
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckWindow(params));
  TIERSCOPE_KERNEL_REQUIRE(params.splits >= 1 && params.splits <= kAttentionSplitsMax,
                           "attention: splits outside 1..64");
  TIERSCOPE_KERNEL_REQUIRE(
      params.splits == 1 || AreAligned16({params.partial_out, params.partial_lse}),
      "attention: splits above 1 need partial_out and partial_lse, 16 B-aligned");
  return {};
}

int32_t ChooseAttentionSplits(int32_t request_count, int32_t entries_max, int32_t sm_count) {
  const int32_t tiles = std::max(1, CeilDiv(entries_max, kAttentionTileEntries));
  // Loading q, writing out and adding up the parts, in tiles: an assumption until it is measured.
  constexpr int32_t kBlockTiles = 2;
  int32_t best = 1;
  int64_t best_cost = INT64_MAX;
  for (int32_t splits = 1; splits <= std::min(tiles, kAttentionSplitsMax); ++splits) {
    const int64_t rounds = CeilDiv(request_count * splits, std::max(1, sm_count));
    const int64_t cost = rounds * (CeilDiv(tiles, splits) + kBlockTiles);
    if (cost < best_cost) {
      best_cost = cost;
      best = splits;
    }
  }
  return best;
}

}  // namespace tierscope

#include <vector>

#include "kernels/page_select.h"
#include "sim/policy/page_selection.h"

namespace tierscope {

void PageSelectReference(const PageSelectParams& params) {
  for (int64_t request = 0; request < params.request_count; ++request) {
    const int64_t row = request * params.pages_max;
    const ForcedPages forced =
        ForcedPagesOf(params.entry_counts[request], params.sink_entries, params.recency_entries);
    int32_t* counts = params.counts + request * kSelectCounts;
    counts[kSelectedPages] =
        SelectDensestPages(params.density + row, forced, params.kmax, params.selected + row);
    std::vector<bool> is_selected(static_cast<size_t>(params.pages_max), false);
    for (int32_t i = 0; i < counts[kSelectedPages]; ++i) {
      is_selected[static_cast<size_t>(params.selected[row + i])] = true;
    }
    counts[kRecalledPages] = counts[kEvictedPages] = 0;
    for (int32_t page = 0; page < forced.page_count; ++page) {
      const bool held = params.held_blocks[row + page] >= 0;
      const bool selected = is_selected[static_cast<size_t>(page)];
      if (selected && !held) params.recall[row + counts[kRecalledPages]++] = page;
      if (held && !selected) params.evict[row + counts[kEvictedPages]++] = page;
    }
  }
}

}  // namespace tierscope

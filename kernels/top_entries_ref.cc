#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/radix_select.h"
#include "kernels/top_entries.h"

namespace tierscope {

void TopEntriesReference(const TopEntriesParams& params) {
  for (int64_t request = 0; request < params.request_count; ++request) {
    const float* logits = params.logits + request * params.pages_max * kPageEntries;
    std::vector<uint32_t> order(static_cast<size_t>(params.entry_counts[request]));
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return SelectionKey(logits[a], a) > SelectionKey(logits[b], b);
    });
    if (order.size() > static_cast<size_t>(params.top_k)) {
      order.resize(static_cast<size_t>(params.top_k));
    }
    std::sort(order.begin(), order.end());
    for (int32_t i = 0; i < params.top_k; ++i) {
      int32_t entry = -1;
      int32_t cell = -1;
      if (static_cast<size_t>(i) < order.size()) {
        const auto position = static_cast<int32_t>(order[static_cast<size_t>(i)]);
        const int64_t place = request * params.pages_max + position / kPageEntries;
        entry = params.pages[place] * kPageEntries + position % kPageEntries;
        cell = CellOf(params.blocks[place], position % kPageEntries);
      }
      params.cells[request * params.top_k + i] = cell;
      if (params.entries) params.entries[request * params.top_k + i] = entry;
    }
  }
}

}  // namespace tierscope

// Policy `quest`: all KV stays in HBM; attention reads the pages whose bound on any entry's score
// is highest. Source: Tang et al., Quest: Query-Aware Sparsity, arXiv 2406.10774: per page the
// channel-wise minimum and maximum of its keys, from which a query gets an upper bound, and the
// top-K pages of each step are read. Approximations: traces hold no keys, so the bound is the
// greatest score code of the page's entries (tighter than the paper's); pages are chosen at ticks,
// with scores of the memory indexer, and not at every step.
#ifndef TIERSCOPE_SIM_POLICY_QUEST_H_
#define TIERSCOPE_SIM_POLICY_QUEST_H_

#include "sim/policy/page_selection.h"

namespace tierscope {

// The forced pages and exactly min(kmax, others) others with the highest bounds, the lower page id
// of two equals, in rising order; returns how many. bound: [page_count], the greatest code of a
// page's entries, 0 where none is recorded. Cost: two passes over the pages.
template <typename Page>
int32_t SelectHighestBounds(const uint8_t* bound, const ForcedPages& forced, int32_t kmax,
                            Page* pages) {
  int32_t bins[256] = {};
  for (int32_t page = forced.sink_end; page < forced.recency_begin; ++page) ++bins[bound[page]];
  int32_t cutoff = 255, ties = kmax;
  while (cutoff > 0 && bins[cutoff] < ties) ties -= bins[cutoff--];
  int32_t taken = 0;
  for (int32_t page = 0; page < forced.sink_end; ++page) pages[taken++] = static_cast<Page>(page);
  for (int32_t page = forced.sink_end; page < forced.recency_begin; ++page) {
    const bool take = bound[page] > cutoff || (bound[page] == cutoff && ties-- > 0);
    if (take) pages[taken++] = static_cast<Page>(page);
  }
  for (int32_t page = forced.recency_begin; page < forced.page_count; ++page) {
    pages[taken++] = static_cast<Page>(page);
  }
  return taken;
}

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_POLICY_QUEST_H_

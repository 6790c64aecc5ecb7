// Policy `recency`: the newest pages, as many as `lsa` may take; the baseline that needs no
// indexer.
#ifndef TIERSCOPE_SIM_POLICY_RECENCY_H_
#define TIERSCOPE_SIM_POLICY_RECENCY_H_

#include <algorithm>

#include "sim/policy/page_selection.h"

namespace tierscope {

// The forced pages and the kmax newest others, in rising order; returns how many.
template <typename Page>
int32_t SelectNewestPages(const ForcedPages& forced, int32_t kmax, Page* pages) {
  const int32_t begin = std::max(forced.sink_end, forced.recency_begin - kmax);
  int32_t taken = 0;
  for (int32_t page = 0; page < forced.sink_end; ++page) pages[taken++] = static_cast<Page>(page);
  for (int32_t page = begin; page < forced.page_count; ++page) {
    pages[taken++] = static_cast<Page>(page);
  }
  return taken;
}

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_POLICY_RECENCY_H_

// Policy `random`: forced pages and kmax random others; what an indexer that knows nothing would
// get.
#ifndef TIERSCOPE_SIM_POLICY_RANDOM_H_
#define TIERSCOPE_SIM_POLICY_RANDOM_H_

#include <algorithm>

#include "sim/base/rng.h"
#include "sim/policy/page_selection.h"

namespace tierscope {

// The forced pages and min(kmax, others) others, each set equally likely, in rising order; returns
// how many. Selection sampling (Knuth, TAOCP 3.4.2, algorithm S): one draw a page.
template <typename Page>
int32_t SelectRandomPages(const ForcedPages& forced, int32_t kmax, Rng& rng, Page* pages) {
  int32_t taken = 0;
  for (int32_t page = 0; page < forced.sink_end; ++page) pages[taken++] = static_cast<Page>(page);
  int32_t left = forced.recency_begin - forced.sink_end;
  int32_t need = std::min(kmax, left);
  for (int32_t page = forced.sink_end; page < forced.recency_begin; ++page, --left) {
    if (rng.NextBelow(static_cast<uint64_t>(left)) < static_cast<uint64_t>(need)) {
      pages[taken++] = static_cast<Page>(page);
      --need;
    }
  }
  for (int32_t page = forced.recency_begin; page < forced.page_count; ++page) {
    pages[taken++] = static_cast<Page>(page);
  }
  return taken;
}

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_POLICY_RANDOM_H_

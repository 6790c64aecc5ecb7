// Policy `oracle`: the pages that the next window will select from most; what a perfect indexer of
// the same budget would get.
#ifndef TIERSCOPE_SIM_POLICY_ORACLE_H_
#define TIERSCOPE_SIM_POLICY_ORACLE_H_

#include <algorithm>
#include <vector>

#include "sim/policy/page_selection.h"

namespace tierscope {

// The forced pages and at most kmax others with demand above 0, the most demanded first, ties to
// the lower page id, in rising order; returns how many. demand: [page_count], selections in the
// window. `scratch` is reused between calls.
template <typename Page>
int32_t SelectMostDemandedPages(const uint32_t* demand, const ForcedPages& forced, int32_t kmax,
                                std::vector<Page>& scratch, Page* pages) {
  scratch.clear();
  for (int32_t page = forced.sink_end; page < forced.recency_begin; ++page) {
    if (demand[page] > 0) scratch.push_back(static_cast<Page>(page));
  }
  if (static_cast<int32_t>(scratch.size()) > kmax) {
    std::nth_element(scratch.begin(), scratch.begin() + kmax, scratch.end(), [&](Page a, Page b) {
      return demand[a] != demand[b] ? demand[a] > demand[b] : a < b;
    });
    scratch.resize(static_cast<size_t>(kmax));
    std::sort(scratch.begin(), scratch.end());
  }
  int32_t taken = 0;
  for (int32_t page = 0; page < forced.sink_end; ++page) pages[taken++] = static_cast<Page>(page);
  for (Page page : scratch) pages[taken++] = page;
  for (int32_t page = forced.recency_begin; page < forced.page_count; ++page) {
    pages[taken++] = static_cast<Page>(page);
  }
  return taken;
}

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_POLICY_ORACLE_H_

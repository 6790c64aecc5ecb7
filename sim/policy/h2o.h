// Policy `h2o`: the pages that attention has gone to most so far (heavy hitters) and the newest;
// what is dropped never comes back. Source: Zhang et al., H2O: Heavy-Hitter Oracle, arXiv
// 2306.14048: half the budget newest tokens, half those with the greatest accumulated attention.
// Approximations: pages and not tokens; attention as counts of selections (weights are recorded for
// few windows), of all layers together and not per head; dropping at ticks and not at every token.
// Knows the past only.
#ifndef TIERSCOPE_SIM_POLICY_H2O_H_
#define TIERSCOPE_SIM_POLICY_H2O_H_

#include <algorithm>
#include <vector>

#include "sim/policy/page_selection.h"

namespace tierscope {

// The forced pages and the kmax others with the greatest accumulated attention among those that are
// still kept, the newer of two equals, in rising order; returns how many. accumulated, kept:
// [page_count] at least; the pages that are not taken are no longer kept. `scratch` is reused.
template <typename Page>
int32_t KeepHeavyHitters(const uint64_t* accumulated, const ForcedPages& forced, int32_t kmax,
                         uint8_t* kept, std::vector<Page>& scratch, Page* pages) {
  scratch.clear();
  for (int32_t page = forced.sink_end; page < forced.recency_begin; ++page) {
    if (kept[page] != 0) scratch.push_back(static_cast<Page>(page));
  }
  if (static_cast<int32_t>(scratch.size()) > kmax) {
    std::nth_element(scratch.begin(), scratch.begin() + kmax, scratch.end(), [&](Page a, Page b) {
      return accumulated[a] != accumulated[b] ? accumulated[a] > accumulated[b] : a > b;
    });
    for (size_t i = static_cast<size_t>(kmax); i < scratch.size(); ++i) kept[scratch[i]] = 0;
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

#endif  // TIERSCOPE_SIM_POLICY_H2O_H_

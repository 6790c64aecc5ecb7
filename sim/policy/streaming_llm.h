// Policy `streaming_llm`: the attention sink and the newest pages; all else is dropped and never
// comes back. Source: Xiao et al., Efficient Streaming Language Models with Attention Sinks, arXiv
// 2309.17453: a few initial tokens and a sliding window. Approximations: whole pages, moved on at
// ticks and not at every token; positions are the model's own, not those inside the cache.
#ifndef TIERSCOPE_SIM_POLICY_STREAMING_LLM_H_
#define TIERSCOPE_SIM_POLICY_STREAMING_LLM_H_

#include "sim/policy/recency.h"

namespace tierscope {

// The forced pages, the sink among them, and the kmax newest others, in rising order; returns how
// many. The window only moves on, so every set lies within the one before and what formed since:
// nothing dropped returns.
template <typename Page>
int32_t SelectSinkAndWindow(const ForcedPages& forced, int32_t kmax, Page* pages) {
  return SelectNewestPages(forced, kmax, pages);
}

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_POLICY_STREAMING_LLM_H_

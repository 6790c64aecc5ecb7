// Policies `topk_swap` and `ess`: how many entries the buffer of one request holds in a layer, and
// how much of a step's fetch its compute hides. The buffers themselves (LRU per request and layer)
// depend on the recording alone: sim/demand/step_demand.h.
//
// `topk_swap` follows HiSparse (LMSYS blog of 2026-04-10, sglang#20343): a fixed number of slots;
// misses of a layer are fetched by a kernel between its indexer and its attention, which waits.
// Prefetch for layers that share an indexer's choice (sglang#28523, #29637) is the overlap: 57 of
// GLM-5.2's 78 layers. `ess` follows ESS (arXiv 2512.10576): a share of the context, warmed with
// the last windows of the prefill, fetched beside the attention over what is there.
#ifndef TIERSCOPE_SIM_POLICY_HOT_BUFFER_H_
#define TIERSCOPE_SIM_POLICY_HOT_BUFFER_H_

#include <algorithm>
#include <cstdint>

namespace tierscope {

inline constexpr int64_t kPoolParts = 1'000'000;

// Entries of a pool that holds `parts` / kPoolParts of `context_entries`.
inline int64_t PoolEntries(int64_t context_entries, int64_t parts) {
  return context_entries * parts / kPoolParts;
}

// Of a fetch that takes `fetch_ns` alone beside a step of `compute_ns`, what the step hides: in
// `overlap` of its layers the two run side by side. What is left of the fetch is waited for.
inline int64_t HiddenNs(int64_t fetch_ns, int64_t compute_ns, double overlap) {
  return static_cast<int64_t>(overlap * static_cast<double>(std::min(fetch_ns, compute_ns)));
}

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_POLICY_HOT_BUFFER_H_

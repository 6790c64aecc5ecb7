// Prefix blocks of a request trace that the host keeps after their requests have ended, so that a
// later request with the same leading blocks prefills and receives less. README.md beside this file
// has the model.
//
// A range [begin, end) counts the leading blocks of one request. Only a contiguous prefix is ever
// matched. Every request uses each of its blocks once, a match or an insertion; a range is used
// from its end to its begin, so that recency-based policies give up a prefix at its tail first.
// Owned by a replica; no clock. Cost: O(1) a block.
#ifndef TIERSCOPE_SIM_ENGINE_PREFIX_STORE_H_
#define TIERSCOPE_SIM_ENGINE_PREFIX_STORE_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

#include "scenarios/scenario.pb.h"
#include "sim/engine/block_cache.h"
#include "sim/engine/memory_plan.h"
#include "traces/request_trace.h"

namespace tierscope {

// Bytes of a trace's block over all ranks: every rank keeps its own copy, as in the cold pool.
inline int64_t PrefixBlockBytesNode(const MemoryPlan& plan, const RequestTrace& trace) {
  return plan.FullKvBytes(trace.block_tokens) * plan.ranks;
}

// Blocks that `bytes` of the node's DRAM hold, of those that the trace has. Precondition: it has
// block ids.
inline int64_t PrefixBlocks(int64_t bytes, const MemoryPlan& plan, const RequestTrace& trace) {
  return std::min(bytes / PrefixBlockBytesNode(plan, trace), trace.block_count);
}

class PrefixStore {
 public:
  // The trace was loaded with its block ids and outlives the store. `host_blocks` > 0.
  PrefixStore(const PrefixTiers& tiers, const RequestTrace& trace, int64_t host_blocks);

  // The blocks of a request's prompt.
  absl::Span<const uint32_t> IdsOf(int64_t request) const {
    return BlockIds(trace_, static_cast<size_t>(request));
  }
  // The ids that cover prompt and output of `request`: those of its conversation's next request,
  // where that one starts with all whole blocks of this one's prompt. Else empty.
  absl::Span<const uint32_t> IdsWithOutput(int64_t request) const;

  // Pins the blocks from `begin` on that are there; returns the end of the match.
  int32_t Match(absl::Span<const uint32_t> ids, int32_t begin);
  // Tokens of a prompt that the matched blocks [0, end) hold.
  int64_t TokensIn(absl::Span<const uint32_t> ids, int32_t end, int64_t prompt_tokens) const;
  // Puts blocks [begin, end) of `tokens` tokens in all (counted from block 0) into the store, as
  // far as victims are found, and pins them; returns how far. A block before `begin` that was
  // partly filled is filled.
  int32_t Keep(absl::Span<const uint32_t> ids, int32_t begin, int32_t end, int64_t tokens);
  // Unpins blocks [begin, end), which stay until they are evicted.
  void Release(absl::Span<const uint32_t> ids, int32_t begin, int32_t end);

  const TraceRequest& Recorded(int64_t request) const {
    return trace_.requests[static_cast<size_t>(request)];
  }
  int32_t block_tokens() const { return block_tokens_; }
  int64_t tokens_inserted() const { return tokens_inserted_; }  // so far, that were not there
  int64_t host_blocks() const { return host_.used(); }
  int64_t pins() const { return host_.pins(); }
  int64_t host_blocks_peak() const { return host_blocks_peak_; }

 private:
  enum class Use : uint8_t { kHeld, kNew, kTwin };  // kTwin: its id stands earlier in the range

  bool Place(uint32_t block);
  // The block holds at least so many tokens, as far as it can.
  void FillTokens(uint32_t block, int64_t tokens);

  const RequestTrace& trace_;
  const int32_t block_tokens_;
  BlockCache host_;
  int64_t host_blocks_peak_ = 0;
  int64_t tokens_inserted_ = 0;
  std::vector<int32_t> tokens_in_;   // [block] tokens it holds, while it is in
  std::vector<int64_t> successors_;  // [request] the next of its conversation, -1 = none
  std::vector<Use> uses_;            // of one Keep
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_PREFIX_STORE_H_

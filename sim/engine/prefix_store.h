// Prefix blocks of a request trace that the host keeps after their requests have ended, so that a
// later request with the same leading blocks prefills and receives less. README.md beside this file
// has the model.
//
// A range [begin, end) counts the leading blocks of one request. Only a contiguous prefix is ever
// matched. Every request uses each of its blocks once, a match or an insertion; a range is used
// from its end to its begin, so that recency-based policies give up a prefix at its tail first.
// What the host evicts goes down to NVMe, from there to a remote pool, from there away, each
// bounded and under the same policy; a block is in one tier at a time. Owned by a replica; no
// clock. Cost: O(1) a block.
#ifndef TIERSCOPE_SIM_ENGINE_PREFIX_STORE_H_
#define TIERSCOPE_SIM_ENGINE_PREFIX_STORE_H_

#include <algorithm>
#include <array>
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

// Tiers below the host, nearest first.
enum class LowerTier : uint8_t { kNvme, kRemote };
inline constexpr int kLowerTierCount = 2;

// Blocks that a lower tier holds: there one copy serves all ranks.
inline int64_t LowerTierBlocks(int64_t bytes, const MemoryPlan& plan, const RequestTrace& trace) {
  return std::min(bytes / plan.FullKvBytes(trace.block_tokens), trace.block_count);
}

class PrefixStore {
 public:
  // Blocks of each tier. 0 = no such tier.
  struct Capacity {
    int64_t host = 0;  // > 0
    std::array<int64_t, kLowerTierCount> lower = {};
  };

  // The trace was loaded with its block ids and outlives the store.
  PrefixStore(PrefixTiers::Eviction eviction, const RequestTrace& trace, const Capacity& capacity);

  // The blocks of a request's prompt.
  absl::Span<const uint32_t> IdsOf(int64_t request) const {
    return BlockIds(trace_, static_cast<size_t>(request));
  }
  // The ids that cover prompt and output of `request`: those of its conversation's next request,
  // where that one starts with all whole blocks of this one's prompt. Else empty.
  absl::Span<const uint32_t> IdsWithOutput(int64_t request) const;

  // Pins the blocks from `begin` on that the host has; returns the end of the match.
  int32_t Match(absl::Span<const uint32_t> ids, int32_t begin);

  // Leading blocks that Match would find, without a use of them.
  int32_t Leading(absl::Span<const uint32_t> ids) const;

  // The same over all tiers: blocks found below go to the host as far as it has victims for them,
  // but are matched by nobody else before FinishFetch.
  struct Fetch {
    int32_t end = 0;
    std::array<int64_t, kLowerTierCount> blocks = {};  // found in each
    bool arriving = false;  // some are on their way, for this fetch or one before
  };
  Fetch StartFetch(absl::Span<const uint32_t> ids);
  // Blocks [0, end) of a fetch are there. Fetches end in the order in which they started.
  void FinishFetch(absl::Span<const uint32_t> ids, int32_t end);
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
  bool has_lower_tiers() const { return lower_[0].capacity() + lower_[1].capacity() > 0; }
  int64_t lower_blocks(LowerTier tier) const { return lower_[static_cast<size_t>(tier)].used(); }
  int64_t lower_blocks_peak(LowerTier tier) const { return lower_peak_[static_cast<size_t>(tier)]; }

 private:
  enum class Use : uint8_t { kHeld, kNew, kTwin };  // kTwin: its id stands earlier in the range

  int32_t HeldUntil(absl::Span<const uint32_t> ids, int32_t begin) const;
  // Puts a block into the host, pinned; its victim goes down. False: all are pinned.
  bool Place(uint32_t block);
  void Demote(int64_t block, size_t tier);
  bool Promote(uint32_t block, size_t tier);
  bool PlaceAnew(uint32_t block);
  size_t TierOf(uint32_t block) const;  // of lower_; its size where none has the block
  // The block holds at least so many tokens, as far as it can.
  void FillTokens(uint32_t block, int64_t tokens);
  bool IsWhole(uint32_t block) const { return tokens_in_[block] == block_tokens_; }
  void PinHeld(absl::Span<const uint32_t> ids, int32_t begin, int32_t end);
  bool MayPin(absl::Span<const uint32_t> ids, int32_t begin, int32_t i);
  void UnpinHeld(absl::Span<const uint32_t> ids, int32_t begin, int32_t from);
  void EnterInReverse(absl::Span<const uint32_t> ids, int32_t begin, int32_t end);

  const RequestTrace& trace_;
  const int32_t block_tokens_;
  BlockCache host_;
  std::array<BlockCache, kLowerTierCount> lower_;
  std::array<int64_t, kLowerTierCount> lower_peak_ = {};
  int64_t host_blocks_peak_ = 0;
  int64_t tokens_inserted_ = 0;
  std::vector<int32_t> tokens_in_;   // [block] tokens it holds, while it is in any tier
  std::vector<uint8_t> arriving_;    // [block] in the host, on its way
  std::vector<int64_t> successors_;  // [request] the next of its conversation, -1 = none
  std::vector<Use> uses_;            // of one Keep or fetch
};

// What the tiers of a scenario hold of the trace's blocks.
inline PrefixStore::Capacity PrefixCapacity(const PrefixTiers& tiers, const MemoryPlan& plan,
                                            const RequestTrace& trace) {
  return {PrefixBlocks(tiers.host_bytes(), plan, trace),
          {LowerTierBlocks(tiers.nvme_bytes(), plan, trace),
           LowerTierBlocks(tiers.remote_bytes(), plan, trace)}};
}

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_PREFIX_STORE_H_

#include "sim/engine/prefix_store.h"

#include <algorithm>

namespace tierscope {
namespace {

std::vector<int64_t> Successors(const RequestTrace& trace) {
  std::vector<int64_t> successors(trace.requests.size(), -1);
  std::vector<int64_t> last(static_cast<size_t>(trace.conversation_count), -1);
  for (size_t i = 0; i < trace.requests.size(); ++i) {
    const int32_t conversation = trace.requests[i].conversation;
    if (conversation < 0) continue;
    int64_t& before = last[static_cast<size_t>(conversation)];
    if (before >= 0) successors[static_cast<size_t>(before)] = static_cast<int64_t>(i);
    before = static_cast<int64_t>(i);
  }
  return successors;
}

}  // namespace

PrefixStore::PrefixStore(const PrefixTiers& tiers, const RequestTrace& trace, int64_t host_blocks)
    : trace_(trace),
      block_tokens_(trace.block_tokens),
      host_(host_blocks, trace.block_count, tiers.eviction()),
      tokens_in_(static_cast<size_t>(trace.block_count)),
      successors_(Successors(trace)) {}

absl::Span<const uint32_t> PrefixStore::IdsWithOutput(int64_t request) const {
  const int64_t next = successors_[static_cast<size_t>(request)];
  if (next < 0) return {};
  const auto own = IdsOf(request), longer = IdsOf(next);
  const int64_t input_tokens = trace_.requests[static_cast<size_t>(request)].input_tokens;
  const auto whole = static_cast<size_t>(input_tokens / block_tokens_);
  if (own.size() < whole || longer.size() < whole) return {};
  const bool continues = std::equal(own.begin(), own.begin() + whole, longer.begin());
  return continues ? longer : absl::Span<const uint32_t>();
}

int32_t PrefixStore::Match(absl::Span<const uint32_t> ids, int32_t begin) {
  const auto size = static_cast<int32_t>(ids.size());
  const auto is_whole = [&](int32_t i) {
    return tokens_in_[ids[static_cast<size_t>(i)]] == block_tokens_;
  };
  int32_t end = begin;
  while (end < size && (end == 0 || is_whole(end - 1)) &&
         host_.Holds(ids[static_cast<size_t>(end)])) {
    host_.Pin(ids[static_cast<size_t>(end++)]);
  }
  for (int32_t i = end - 1; i >= begin; --i) host_.Hit(ids[static_cast<size_t>(i)]);
  return end;
}

int64_t PrefixStore::TokensIn(absl::Span<const uint32_t> ids, int32_t end,
                              int64_t prompt_tokens) const {
  if (end == 0) return 0;
  const int64_t last = tokens_in_[ids[static_cast<size_t>(end) - 1]];
  return std::min(prompt_tokens, int64_t{end - 1} * block_tokens_ + last);
}

// First every block that is there is pinned, so that room for one is not made by evicting another.
int32_t PrefixStore::Keep(absl::Span<const uint32_t> ids, int32_t begin, int32_t end,
                          int64_t tokens) {
  const auto id = [&](int32_t i) { return ids[static_cast<size_t>(i)]; };
  const auto use = [&](int32_t i) -> Use& { return uses_[static_cast<size_t>(i - begin)]; };
  uses_.assign(static_cast<size_t>(end - begin), Use::kNew);
  for (int32_t i = begin; i < end; ++i) {
    if (!host_.Holds(id(i))) continue;
    host_.Pin(id(i));
    use(i) = Use::kHeld;
  }
  int32_t reached = begin;
  for (; reached < end; ++reached) {
    if (use(reached) == Use::kHeld) continue;
    if (host_.Holds(id(reached))) {
      host_.Pin(id(reached));
      use(reached) = Use::kTwin;
    } else if (!Place(id(reached))) {
      break;
    }
  }
  for (int32_t i = reached; i < end; ++i) {
    if (use(i) == Use::kHeld) host_.Unpin(id(i));
  }
  for (int32_t i = reached - 1; i >= begin; --i) {
    if (use(i) == Use::kHeld) host_.Hit(id(i));
    if (use(i) == Use::kNew) host_.Enter(id(i));
  }
  for (int32_t i = std::max(0, begin - 1); i < reached; ++i) {
    FillTokens(id(i), tokens - int64_t{i} * block_tokens_);
  }
  host_blocks_peak_ = std::max(host_blocks_peak_, host_.used());
  return reached;
}

bool PrefixStore::Place(uint32_t block) {
  int64_t evicted = BlockCache::kNone;
  if (!host_.Place(block, &evicted)) return false;
  tokens_in_[block] = 0;
  return true;
}

void PrefixStore::FillTokens(uint32_t block, int64_t tokens) {
  const auto held = static_cast<int32_t>(std::min<int64_t>(block_tokens_, tokens));
  tokens_inserted_ += std::max(0, held - tokens_in_[block]);
  tokens_in_[block] = std::max(tokens_in_[block], held);
}

void PrefixStore::Release(absl::Span<const uint32_t> ids, int32_t begin, int32_t end) {
  for (int32_t i = begin; i < end; ++i) host_.Unpin(ids[static_cast<size_t>(i)]);
}

}  // namespace tierscope

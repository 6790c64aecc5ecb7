#include "sim/engine/prefix_store.h"

#include <algorithm>

#include "sim/base/check.h"

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

PrefixStore::PrefixStore(PrefixTiers::Eviction eviction, const RequestTrace& trace,
                         const Capacity& capacity)
    : trace_(trace),
      block_tokens_(trace.block_tokens),
      host_(capacity.host, trace.block_count, eviction),
      lower_{BlockCache(capacity.lower[0], trace.block_count, eviction),
             BlockCache(capacity.lower[1], trace.block_count, eviction)},
      tokens_in_(static_cast<size_t>(trace.block_count)),
      arriving_(static_cast<size_t>(trace.block_count)),
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

int32_t PrefixStore::HeldUntil(absl::Span<const uint32_t> ids, int32_t begin) const {
  const auto size = static_cast<int32_t>(ids.size());
  const auto id = [&](int32_t i) { return ids[static_cast<size_t>(i)]; };
  int32_t end = begin;
  while (end < size && (end == 0 || IsWhole(id(end - 1))) && host_.Holds(id(end)) &&
         arriving_[id(end)] == 0) {
    ++end;
  }
  return end;
}

int32_t PrefixStore::Leading(absl::Span<const uint32_t> ids) const { return HeldUntil(ids, 0); }

int32_t PrefixStore::Match(absl::Span<const uint32_t> ids, int32_t begin) {
  const auto id = [&](int32_t i) { return ids[static_cast<size_t>(i)]; };
  const int32_t end = HeldUntil(ids, begin);
  for (int32_t i = begin; i < end; ++i) host_.Pin(id(i));
  for (int32_t i = end - 1; i >= begin; --i) host_.Hit(id(i));
  return end;
}

PrefixStore::Fetch PrefixStore::StartFetch(absl::Span<const uint32_t> ids) {
  const auto size = static_cast<int32_t>(ids.size());
  const auto id = [&](int32_t i) { return ids[static_cast<size_t>(i)]; };
  PinHeld(ids, 0, size);
  Fetch fetch;
  for (int32_t& end = fetch.end; end < size && (end == 0 || IsWhole(id(end - 1))); ++end) {
    if (MayPin(ids, 0, end)) {
      fetch.arriving |= arriving_[id(end)] != 0;
      continue;
    }
    const size_t tier = TierOf(id(end));
    if (tier == lower_.size() || !Promote(id(end), tier)) break;
    arriving_[id(end)] = 1;
    fetch.arriving = true;
    ++fetch.blocks[tier];
  }
  UnpinHeld(ids, 0, fetch.end);
  EnterInReverse(ids, 0, fetch.end);
  return fetch;
}

void PrefixStore::FinishFetch(absl::Span<const uint32_t> ids, int32_t end) {
  for (int32_t i = 0; i < end; ++i) arriving_[ids[static_cast<size_t>(i)]] = 0;
}

// Tells the host's policy of the uses of blocks [begin, end), from the end to the begin.
void PrefixStore::EnterInReverse(absl::Span<const uint32_t> ids, int32_t begin, int32_t end) {
  for (int32_t i = end - 1; i >= begin; --i) {
    const uint32_t block = ids[static_cast<size_t>(i)];
    const Use use = uses_[static_cast<size_t>(i - begin)];
    if (use == Use::kHeld) host_.Hit(block);
    if (use == Use::kNew) host_.Enter(block);
  }
  host_blocks_peak_ = std::max(host_blocks_peak_, host_.used());
}

int64_t PrefixStore::TokensIn(absl::Span<const uint32_t> ids, int32_t end,
                              int64_t prompt_tokens) const {
  if (end == 0) return 0;
  const int64_t last = tokens_in_[ids[static_cast<size_t>(end) - 1]];
  return std::min(prompt_tokens, int64_t{end - 1} * block_tokens_ + last);
}

int32_t PrefixStore::Keep(absl::Span<const uint32_t> ids, int32_t begin, int32_t end,
                          int64_t tokens) {
  PinHeld(ids, begin, end);
  int32_t reached = begin;
  while (reached < end &&
         (MayPin(ids, begin, reached) || PlaceAnew(ids[static_cast<size_t>(reached)]))) {
    ++reached;
  }
  UnpinHeld(ids, begin, reached);
  EnterInReverse(ids, begin, reached);
  for (int32_t i = std::max(0, begin - 1); i < reached; ++i) {
    FillTokens(ids[static_cast<size_t>(i)], tokens - int64_t{i} * block_tokens_);
  }
  return reached;
}

// Pins what the host has of [begin, end), so that room for one block is not made by evicting
// another of the same request.
void PrefixStore::PinHeld(absl::Span<const uint32_t> ids, int32_t begin, int32_t end) {
  uses_.clear();
  for (int32_t i = begin; i < end; ++i) {
    const uint32_t block = ids[static_cast<size_t>(i)];
    uses_.push_back(host_.Holds(block) ? Use::kHeld : Use::kNew);
    if (uses_.back() == Use::kHeld) host_.Pin(block);
  }
}

// Whether block `i` is there, since before or since earlier in the range; then it is pinned.
bool PrefixStore::MayPin(absl::Span<const uint32_t> ids, int32_t begin, int32_t i) {
  Use& use = uses_[static_cast<size_t>(i - begin)];
  const uint32_t block = ids[static_cast<size_t>(i)];
  if (use == Use::kHeld) return true;
  if (!host_.Holds(block)) return false;
  host_.Pin(block);
  use = Use::kTwin;
  return true;
}

// Gives up the blocks of PinHeld from `from` on.
void PrefixStore::UnpinHeld(absl::Span<const uint32_t> ids, int32_t begin, int32_t from) {
  const auto end = begin + static_cast<int32_t>(uses_.size());
  for (int32_t i = from; i < end; ++i) {
    if (uses_[static_cast<size_t>(i - begin)] == Use::kHeld) {
      host_.Unpin(ids[static_cast<size_t>(i)]);
    }
  }
}

bool PrefixStore::Place(uint32_t block) {
  int64_t evicted = BlockCache::kNone;
  if (!host_.Place(block, &evicted)) return false;
  if (evicted != BlockCache::kNone) Demote(evicted, 0);
  return true;
}

// A block that was computed, again where a lower tier has it.
bool PrefixStore::PlaceAnew(uint32_t block) {
  const size_t tier = TierOf(block);
  if (!(tier < lower_.size() ? Promote(block, tier) : Place(block))) return false;
  tokens_in_[block] = 0;
  return true;
}

size_t PrefixStore::TierOf(uint32_t block) const {
  size_t tier = 0;
  while (tier < lower_.size() && !lower_[tier].Holds(block)) ++tier;
  return tier;
}

// The block has left the tier above `tier`.
void PrefixStore::Demote(int64_t block, size_t tier) {
  const auto id = static_cast<uint32_t>(block);
  while (tier < lower_.size() && lower_[tier].capacity() == 0) ++tier;
  if (tier == lower_.size()) {
    tokens_in_[id] = 0;
    return;
  }
  int64_t evicted = BlockCache::kNone;
  TIERSCOPE_CHECK(lower_[tier].Place(id, &evicted));
  lower_[tier].Enter(id);
  lower_[tier].Unpin(id);
  lower_peak_[tier] = std::max(lower_peak_[tier], lower_[tier].used());
  if (evicted != BlockCache::kNone) Demote(evicted, tier + 1);
}

// Takes the block out of a lower tier first, so that the host's victim has room there.
bool PrefixStore::Promote(uint32_t block, size_t tier) {
  lower_[tier].Remove(block);
  if (Place(block)) return true;
  Demote(block, tier);
  return false;
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

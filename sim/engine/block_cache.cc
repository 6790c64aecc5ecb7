#include "sim/engine/block_cache.h"

#include <algorithm>

#include "sim/base/check.h"

namespace tierscope {

BlockCache::BlockCache(int64_t capacity, int64_t block_count, PrefixTiers::Eviction eviction)
    : eviction_(LruEviction(0)),
      slots_(static_cast<size_t>(std::min(capacity, block_count))),
      slot_of_(static_cast<size_t>(block_count), kNone) {
  const auto slot_count = static_cast<int32_t>(slots_.size());
  switch (eviction) {
    case PrefixTiers::LRU:
      eviction_.emplace<LruEviction>(slot_count);
      break;
    case PrefixTiers::FIFO:
      eviction_.emplace<FifoEviction>(slot_count);
      break;
    case PrefixTiers::CLOCK:
      eviction_.emplace<ClockEviction>(slot_count);
      break;
    case PrefixTiers::S3FIFO:
      eviction_.emplace<S3FifoEviction>(slot_count);
      break;
    case PrefixTiers::SIEVE:
      eviction_.emplace<SieveEviction>(slot_count);
      break;
  }
  free_.reserve(slots_.size());
  for (int32_t slot = slot_count - 1; slot >= 0; --slot) free_.push_back(slot);
}

void BlockCache::Hit(uint32_t block) {
  std::visit([&](auto& eviction) { eviction.Hit(slot_of_[block]); }, eviction_);
}

void BlockCache::Pin(uint32_t block) {
  if (At(slot_of_[block]).pins++ == 0) --evictable_;
  ++pins_;
}

void BlockCache::Unpin(uint32_t block) {
  Slot& slot = At(slot_of_[block]);
  TIERSCOPE_CHECK(slot.pins > 0);
  if (--slot.pins == 0) ++evictable_;
  --pins_;
}

void BlockCache::Remove(uint32_t block) {
  const int32_t slot = slot_of_[block];
  TIERSCOPE_CHECK(At(slot).pins == 0);
  std::visit([&](auto& eviction) { eviction.Remove(slot); }, eviction_);
  slot_of_[block] = kNone;
  free_.push_back(slot);
  --evictable_;
}

int32_t BlockCache::TakeSlot(int64_t* evicted) {
  *evicted = kNone;
  if (!free_.empty()) {
    const int32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  if (evictable_ == 0) return kNone;
  return std::visit(
      [&](auto& eviction) {
        int32_t victim = eviction.Evict();
        for (; At(victim).pins > 0; victim = eviction.Evict()) passed_.push_back(victim);
        for (const int32_t slot : passed_) eviction.Insert(slot, At(slot).block);
        passed_.clear();
        --evictable_;
        *evicted = At(victim).block;
        slot_of_[At(victim).block] = kNone;
        return victim;
      },
      eviction_);
}

bool BlockCache::Place(uint32_t block, int64_t* evicted) {
  const int32_t slot = TakeSlot(evicted);
  if (slot == kNone) return false;
  At(slot) = {block, 1};
  slot_of_[block] = slot;
  ++pins_;
  return true;
}

void BlockCache::Enter(uint32_t block) {
  const int32_t slot = slot_of_[block];
  std::visit([&](auto& eviction) { eviction.Insert(slot, block); }, eviction_);
}

}  // namespace tierscope

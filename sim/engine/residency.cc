#include "sim/engine/residency.h"

#include <algorithm>
#include <type_traits>

#include "sim/base/check.h"

namespace tierscope {

Residency::Residency(int32_t block_count, Policy::Eviction eviction, Policy::Publish publish)
    : protect_(eviction == Policy::LRU_PROTECTED),
      protect_two_lists_(publish == Policy::NEXT_TICK),
      eviction_(LruEviction(0)),
      blocks_(static_cast<size_t>(block_count)) {
  switch (eviction) {
    case Policy::LRU_PROTECTED:
    case Policy::LRU:
      eviction_.emplace<LruEviction>(block_count);
      break;
    case Policy::FIFO:
      eviction_.emplace<FifoEviction>(block_count);
      break;
    case Policy::CLOCK:
      eviction_.emplace<ClockEviction>(block_count);
      break;
    case Policy::S3FIFO:
      eviction_.emplace<S3FifoEviction>(block_count);
      break;
    case Policy::SIEVE:
      eviction_.emplace<SieveEviction>(block_count);
      break;
    case Policy::BELADY:
      eviction_.emplace<NextUseEviction>(block_count);
      break;
  }
  free_.reserve(blocks_.size());
  for (int32_t block = block_count - 1; block >= 0; --block) free_.push_back(block);
}

void Residency::Open(int32_t slot, int32_t page_count, int64_t request_id) {
  if (static_cast<size_t>(slot) >= slots_.size()) slots_.resize(static_cast<size_t>(slot) + 1);
  Slot& state = slots_[static_cast<size_t>(slot)];
  state.block_of.assign(static_cast<size_t>(page_count), -1);
  state.wanted_at.assign(static_cast<size_t>(page_count), 0);
  state.live = state.live_before = {};
  state.grown.clear();
  state.request_id = request_id;
  if (wants_next_uses()) state.next_uses.assign(static_cast<size_t>(page_count), kNeverUsed);
}

// Puts an unpinned block among the victims.
template <typename Eviction>
void Residency::Insert(Eviction& eviction, int32_t block) {
  const Block& state = blocks_[static_cast<size_t>(block)];
  const Slot& slot = slots_[static_cast<size_t>(state.slot)];
  const uint64_t key = KeyOf(slot, state.page);
  if constexpr (std::is_same_v<Eviction, NextUseEviction>) {
    eviction.InsertWithNextUse(block, {slot.next_uses[state.page], key});
  } else {
    eviction.Insert(block, key);
  }
}

void Residency::Close(int32_t slot) {
  std::visit(
      [&](auto& eviction) {
        for (int32_t& block : slots_[static_cast<size_t>(slot)].block_of) {
          if (block < 0) continue;
          Block& state = blocks_[static_cast<size_t>(block)];
          if (!state.pinned) eviction.Remove(block);
          pinned_ -= state.pinned ? 1 : 0;
          state = Block();
          free_.push_back(block);
          block = -1;
        }
      },
      eviction_);
  Slot& closed = slots_[static_cast<size_t>(slot)];
  closed.live = closed.live_before = {};
  closed.grown.clear();
}

template <typename Eviction>
void Residency::Unpin(Eviction& eviction, int32_t block) {
  Block& state = blocks_[static_cast<size_t>(block)];
  if (!state.pinned) return;
  state.pinned = false;
  --pinned_;
  Insert(eviction, block);
}

template <typename Eviction>
int32_t Residency::TakeBlock(Eviction& eviction, int32_t slot, PageIndex page, bool pinned) {
  ++blocks_taken_;
  int32_t block;
  if (!free_.empty()) {
    block = free_.back();
    free_.pop_back();
    held_peak_ = std::max(held_peak_, held_count());
  } else {
    block = eviction.Evict();
    TIERSCOPE_CHECK(block >= 0);
    const Block& victim = blocks_[static_cast<size_t>(block)];
    Slot& owner = slots_[static_cast<size_t>(victim.slot)];
    owner.block_of[victim.page] = -1;
    evicted_.push_back({victim.slot, victim.page});
  }
  blocks_[static_cast<size_t>(block)] = {slot, page, pinned};
  if (!pinned) Insert(eviction, block);
  pinned_ += pinned ? 1 : 0;
  slots_[static_cast<size_t>(slot)].block_of[page] = block;
  return block;
}

// Unpins those of `pages` that no tick has wanted since number `wanted_since`; not the page that is
// being filled.
template <typename Eviction>
void Residency::ReleaseLeaving(Eviction& eviction, Slot& state, std::span<const PageIndex> pages,
                               uint32_t wanted_since) {
  for (PageIndex page : pages) {
    const int32_t block = state.block_of[page];
    if (!state.grown.empty() && page == state.grown.back()) continue;
    if (state.wanted_at[page] < wanted_since && block >= 0) Unpin(eviction, block);
  }
}

template <typename Eviction>
int32_t Residency::WantWith(Eviction& eviction, int32_t slot, std::span<const PageIndex> pages) {
  Slot& state = slots_[static_cast<size_t>(slot)];
  ++tick_;
  bool all_held = true;
  for (PageIndex page : pages) {
    state.wanted_at[page] = tick_;
    const int32_t block = state.block_of[page];
    if (block < 0) {
      all_held = false;
      continue;
    }
    Block& held = blocks_[static_cast<size_t>(block)];
    if (held.pinned) continue;
    if (protect_) {
      eviction.Remove(block);
      held.pinned = true;
      ++pinned_;
    } else if constexpr (std::is_same_v<Eviction, NextUseEviction>) {
      // The rest of this list is used next, in its order.
      eviction.Remove(block);
      eviction.InsertWithNextUse(block, {kUsedNow, page});
    } else {
      eviction.Hit(block);
    }
  }
  if (protect_) {
    const WantedList& leaving = protect_two_lists_ ? state.live_before : state.live;
    const uint32_t since = protect_two_lists_ ? state.live.tick : tick_;
    ReleaseLeaving(eviction, state, leaving.pages, since);
    ReleaseLeaving(eviction, state, state.grown, since);
    if (!state.grown.empty()) state.grown.erase(state.grown.begin(), state.grown.end() - 1);
    state.live_before = state.live;
    state.live = {pages, tick_};
  }
  if constexpr (std::is_same_v<Eviction, NextUseEviction>) {
    all_held = false;  // each page's next use has to be told once it is used
  }
  if (all_held) return 0;
  // Counted as they are taken: an unprotected victim can be a later page of this very list.
  int32_t taken = 0;
  for (PageIndex page : pages) {
    if (const int32_t block = state.block_of[page]; block >= 0) {
      if constexpr (std::is_same_v<Eviction, NextUseEviction>) {
        if (!blocks_[static_cast<size_t>(block)].pinned) {
          eviction.Remove(block);
          Insert(eviction, block);
        }
      }
      continue;
    }
    TakeBlock(eviction, slot, page, protect_);
    ++taken;
  }
  return taken;
}

int32_t Residency::Want(int32_t slot, std::span<const PageIndex> pages) {
  return std::visit([&](auto& eviction) { return WantWith(eviction, slot, pages); }, eviction_);
}

void Residency::Grow(int32_t slot, PageIndex page) {
  Slot& state = slots_[static_cast<size_t>(slot)];
  if (!state.grown.empty() && state.grown.back() == page) return;
  std::visit(
      [&](auto& eviction) {
        if (!protect_ && !state.grown.empty()) {
          const int32_t sealed = state.block_of[state.grown.back()];
          if (sealed >= 0) Unpin(eviction, sealed);
          state.grown.clear();
        }
        const int32_t block = state.block_of[page];
        if (block < 0) {
          TakeBlock(eviction, slot, page, /*pinned=*/true);
          ++blocks_grown_;
        } else if (!blocks_[static_cast<size_t>(block)].pinned) {
          eviction.Remove(block);
          blocks_[static_cast<size_t>(block)].pinned = true;
          ++pinned_;
        }
      },
      eviction_);
  state.grown.push_back(page);
}

int32_t Residency::PinnedChange(int32_t slot, std::span<const PageIndex> pages) const {
  const Slot& state = slots_[static_cast<size_t>(slot)];
  const auto pinned = [&](PageIndex page) {
    const int32_t block = state.block_of[page];
    return block >= 0 && blocks_[static_cast<size_t>(block)].pinned;
  };
  int32_t change = 0;
  for (PageIndex page : pages) change += pinned(page) ? 0 : 1;
  const WantedList& leaving = protect_two_lists_ ? state.live_before : state.live;
  const uint32_t since = protect_two_lists_ ? state.live.tick : tick_ + 1;
  const auto leaves = [&](PageIndex page) {
    const bool open = !state.grown.empty() && page == state.grown.back();
    return pinned(page) && !open && state.wanted_at[page] < since &&
           !std::binary_search(pages.begin(), pages.end(), page);
  };
  for (PageIndex page : leaving.pages) change -= leaves(page) ? 1 : 0;
  // A grown page that the leaving list wanted too is unpinned once.
  for (size_t i = 0; i + 1 < state.grown.size(); ++i) {
    const PageIndex page = state.grown[i];
    const bool counted = std::binary_search(leaving.pages.begin(), leaving.pages.end(), page);
    change -= !counted && leaves(page) ? 1 : 0;
  }
  return change;
}

int64_t Residency::CountOwned() const {
  int64_t owned = 0;
  for (const Slot& slot : slots_) {
    owned += std::count_if(slot.block_of.begin(), slot.block_of.end(),
                           [](int32_t block) { return block >= 0; });
  }
  return owned;
}

}  // namespace tierscope

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
  state.pages.assign(static_cast<size_t>(page_count), Page());
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
  Slot& closed = slots_[static_cast<size_t>(slot)];
  std::visit(
      [&](auto& eviction) {
        for (Page& page : closed.pages) {
          if (page.block < 0) continue;
          if (page.evictable) eviction.Remove(page.block);
          pinned_ -= page.pinned() ? 1 : 0;
          blocks_[static_cast<size_t>(page.block)] = Block();
          free_.push_back(page.block);
          page = Page();
        }
      },
      eviction_);
  closed.live = closed.live_before = {};
  closed.grown.clear();
}

template <typename Eviction>
void Residency::Pin(Eviction& eviction, Page& page) {
  eviction.Remove(page.block);
  page.evictable = false;
  ++pinned_;
}

template <typename Eviction>
void Residency::Unpin(Eviction& eviction, Page& page) {
  if (!page.pinned()) return;
  page.evictable = true;
  --pinned_;
  Insert(eviction, page.block);
}

template <typename Eviction>
void Residency::TakeBlock(Eviction& eviction, int32_t slot, PageIndex page, bool pinned) {
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
    Page& loser = slots_[static_cast<size_t>(victim.slot)].pages[victim.page];
    loser.block = -1;
    loser.evictable = false;
    evicted_.push_back({victim.slot, victim.page});
  }
  blocks_[static_cast<size_t>(block)] = {slot, page};
  Page& taker = slots_[static_cast<size_t>(slot)].pages[page];
  taker.block = block;
  taker.evictable = !pinned;
  pinned_ += pinned ? 1 : 0;
  if (!pinned) Insert(eviction, block);
}

// Those of `pages` that pass the test, without a branch on it: which pages of a list are missing or
// leave it is a coin toss to the processor. Holds until the next call.
template <typename Test>
std::span<const PageIndex> Residency::Gather(const Slot& state, std::span<const PageIndex> pages,
                                             Test test) {
  if (gathered_.size() < pages.size()) gathered_.resize(pages.size());
  size_t count = 0;
  for (const PageIndex page : pages) {
    gathered_[count] = page;
    count += test(state.pages[page]) ? 1 : 0;
  }
  return {gathered_.data(), count};
}

// Unpins those of `pages` that no tick has wanted since number `wanted_since`; not the page that is
// being filled.
template <typename Eviction>
void Residency::ReleaseLeaving(Eviction& eviction, Slot& state, std::span<const PageIndex> pages,
                               uint32_t wanted_since) {
  const auto leaves = [wanted_since](const Page& page) { return page.wanted_at < wanted_since; };
  for (const PageIndex page : Gather(state, pages, leaves)) {
    if (!state.grown.empty() && page == state.grown.back()) continue;
    Unpin(eviction, state.pages[page]);
  }
}

template <typename Eviction>
int32_t Residency::WantWith(Eviction& eviction, int32_t slot, std::span<const PageIndex> pages) {
  Slot& state = slots_[static_cast<size_t>(slot)];
  ++tick_;
  for (const PageIndex index : pages) {
    Page& page = state.pages[index];
    page.wanted_at = tick_;
    if (!page.evictable) continue;
    if (protect_) {
      Pin(eviction, page);
    } else if constexpr (std::is_same_v<Eviction, NextUseEviction>) {
      // The rest of this list is used next, in its order.
      eviction.Remove(page.block);
      eviction.InsertWithNextUse(page.block, {kUsedNow, index});
    } else {
      eviction.Hit(page.block);
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
  // An unprotected victim can be a later page of this very list, so all of it is gone through
  // again.
  const auto missing = [](const Page& page) { return page.block < 0; };
  int32_t taken = 0;
  for (const PageIndex index : protect_ ? Gather(state, pages, missing) : pages) {
    const Page& page = state.pages[index];
    if (page.block < 0) {
      TakeBlock(eviction, slot, index, protect_);
      ++taken;
    } else if constexpr (std::is_same_v<Eviction, NextUseEviction>) {
      if (!page.evictable) continue;
      // Its next use has to be told once it is used.
      eviction.Remove(page.block);
      Insert(eviction, page.block);
    }
  }
  return taken;
}

int32_t Residency::Want(int32_t slot, std::span<const PageIndex> pages) {
  return std::visit([&](auto& eviction) { return WantWith(eviction, slot, pages); }, eviction_);
}

void Residency::Grow(int32_t slot, PageIndex index) {
  Slot& state = slots_[static_cast<size_t>(slot)];
  if (!state.grown.empty() && state.grown.back() == index) return;
  std::visit(
      [&](auto& eviction) {
        if (!protect_ && !state.grown.empty()) {
          Unpin(eviction, state.pages[state.grown.back()]);
          state.grown.clear();
        }
        Page& page = state.pages[index];
        if (page.block < 0) {
          TakeBlock(eviction, slot, index, /*pinned=*/true);
          ++blocks_grown_;
        } else if (page.evictable) {
          Pin(eviction, page);
        }
      },
      eviction_);
  state.grown.push_back(index);
}

int32_t Residency::PinnedChange(int32_t slot, std::span<const PageIndex> pages) const {
  const Slot& state = slots_[static_cast<size_t>(slot)];
  int32_t change = 0;
  for (const PageIndex page : pages) change += state.pages[page].pinned() ? 0 : 1;
  const WantedList& leaving = protect_two_lists_ ? state.live_before : state.live;
  const uint32_t since = protect_two_lists_ ? state.live.tick : tick_ + 1;
  const auto leaves = [&](PageIndex page) {
    const bool open = !state.grown.empty() && page == state.grown.back();
    return state.pages[page].pinned() && !open && state.pages[page].wanted_at < since &&
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
    owned += std::count_if(slot.pages.begin(), slot.pages.end(),
                           [](const Page& page) { return page.block >= 0; });
  }
  return owned;
}

}  // namespace tierscope

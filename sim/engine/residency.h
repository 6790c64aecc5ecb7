// The reserve: one pool of page-sized HBM blocks that all requests of a replica share, and who
// holds what. Decides nothing about time. Flat arrays; a tick costs a few operations per wanted
// page.
//
// Two modes, by eviction policy:
//   protected (LRU_PROTECTED)  the want lists of all live requests are pinned; victims come from
//   pages
//                              no longer wanted, least recently wanted first
//   unprotected (all others)   every sealed page is in the list, other requests' live pages
//   included
// A page that is still being filled is pinned in both.
#ifndef TIERSCOPE_SIM_ENGINE_RESIDENCY_H_
#define TIERSCOPE_SIM_ENGINE_RESIDENCY_H_

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "scenarios/scenario.pb.h"
#include "sim/demand/demand.h"
#include "sim/policy/clock.h"
#include "sim/policy/eviction.h"
#include "sim/policy/next_use.h"
#include "sim/policy/s3fifo.h"
#include "sim/policy/sieve.h"

namespace tierscope {

// A page that lost its block.
struct EvictedPage {
  int32_t slot;
  PageIndex page;
};

class Residency {
 public:
  // Under publish NEXT_TICK the set of a tick is active for the window after the next tick, so in
  // protected mode the last two want lists of a request stay pinned.
  Residency(int32_t block_count, Policy::Eviction eviction, Policy::Publish publish);

  // Makes `slot` (dense, reused) a request with `page_count` pages, none held. Policies know its
  // pages by `request_id`, so that they do not take them for those of the slot's last request.
  void Open(int32_t slot, int32_t page_count, int64_t request_id);
  // Gives all blocks of the slot back.
  void Close(int32_t slot);

  // Applies a tick's want list (rising; the span outlives the next tick of the slot): held pages
  // are used, missing ones get a block each, evicting where none is free. Returns the pages to
  // recall. Precondition in protected mode: the want lists of all open slots fit the reserve.
  int32_t Want(int32_t slot, std::span<const PageIndex> pages);

  // Under BELADY: `steps` [page] says at which batch step the request's next tick that wants the
  // page falls, kNeverUsed for none; it tells of the ticks after the next Want and holds until the
  // next call. Ticks of one step come in the order of request ids.
  bool wants_next_uses() const { return std::holds_alternative<NextUseEviction>(eviction_); }
  std::vector<int64_t>& NextUsesOf(int32_t slot) {
    return slots_[static_cast<size_t>(slot)].next_uses;
  }

  // A page starts to fill with generated entries: it is pinned, and gets a block without a recall
  // where it has none. The page that was open before is sealed.
  void Grow(int32_t slot, PageIndex page);

  bool Holds(int32_t slot, PageIndex page) const { return BlockOf(slot, page) >= 0; }
  // The block that the page owns, or -1.
  int32_t BlockOf(int32_t slot, PageIndex page) const {
    return slots_[static_cast<size_t>(slot)].pages[page].block;
  }

  // Pages evicted since the last ClearEvicted, in order.
  std::span<const EvictedPage> evicted() const { return evicted_; }
  void ClearEvicted() { evicted_.clear(); }

  int32_t block_count() const { return static_cast<int32_t>(blocks_.size()); }
  int32_t held_count() const { return block_count() - static_cast<int32_t>(free_.size()); }
  int32_t held_count_peak() const { return held_peak_; }
  // Blocks given to wanted pages since the beginning, which is what had to be recalled.
  int64_t blocks_recalled() const { return blocks_taken_ - blocks_grown_; }
  // Blocks that no eviction may take.
  int32_t pinned_count() const { return pinned_; }
  // By how much Want(slot, pages) would raise pinned_count, in protected mode. Cost: the slot's
  // lists.
  int32_t PinnedChange(int32_t slot, std::span<const PageIndex> pages) const;
  // Blocks owned through the page tables; equals held_count unless a block leaked. Cost: all pages.
  int64_t CountOwned() const;

 private:
  struct Block {
    int32_t slot = -1;
    PageIndex page = 0;
  };
  // All that a tick reads of a page, side by side: it looks at several hundred.
  struct Page {
    int32_t block = -1;      // -1 = not held
    uint32_t wanted_at = 0;  // number of the last tick that wanted it
    bool evictable = false;  // its block is among the victims
    bool pinned() const { return block >= 0 && !evictable; }
  };
  struct WantedList {
    std::span<const PageIndex> pages;
    uint32_t tick = 0;
  };
  struct Slot {
    std::vector<Page> pages;         // [page]
    WantedList live;                 // of the last tick
    WantedList live_before;          // of the one before, where that is still active
    std::vector<PageIndex> grown;    // pages grown since the last tick
    std::vector<int64_t> next_uses;  // [page], under BELADY
    int64_t request_id = 0;
  };
  // What the policies know a page by.
  static uint64_t KeyOf(const Slot& state, PageIndex page) {
    return static_cast<uint64_t>(state.request_id) << 16 | page;
  }
  template <typename Test>
  std::span<const PageIndex> Gather(const Slot& state, std::span<const PageIndex> pages, Test test);
  template <typename Eviction>
  void Insert(Eviction& eviction, int32_t block);
  template <typename Eviction>
  int32_t WantWith(Eviction& eviction, int32_t slot, std::span<const PageIndex> pages);
  template <typename Eviction>
  void TakeBlock(Eviction& eviction, int32_t slot, PageIndex page, bool pinned);
  template <typename Eviction>
  void Pin(Eviction& eviction, Page& page);
  template <typename Eviction>
  void Unpin(Eviction& eviction, Page& page);
  template <typename Eviction>
  void ReleaseLeaving(Eviction& eviction, Slot& state, std::span<const PageIndex> pages,
                      uint32_t wanted_since);

  bool protect_;
  bool protect_two_lists_;
  std::variant<LruEviction, FifoEviction, ClockEviction, S3FifoEviction, SieveEviction,
               NextUseEviction>
      eviction_;
  std::vector<Block> blocks_;
  std::vector<int32_t> free_;
  std::vector<Slot> slots_;
  std::vector<EvictedPage> evicted_;
  std::vector<PageIndex> gathered_;
  uint32_t tick_ = 0;
  int32_t held_peak_ = 0;
  int32_t pinned_ = 0;
  int64_t blocks_taken_ = 0;  // for whatever reason
  int64_t blocks_grown_ = 0;  // by pages that begin to fill
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_RESIDENCY_H_

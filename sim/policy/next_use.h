// Belady's MIN (belady.h has the source) over slots: the one whose next use lies farthest ahead
// leaves. Whoever inserts says when that is, because only the caller can know; among those never
// used again the one with the larger key leaves. A binary heap in flat arrays: Insert, Remove and
// Evict cost O(log slots). One owner.
#ifndef TIERSCOPE_SIM_POLICY_NEXT_USE_H_
#define TIERSCOPE_SIM_POLICY_NEXT_USE_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace tierscope {

inline constexpr int64_t kNeverUsed = std::numeric_limits<int64_t>::max();
inline constexpr int64_t kUsedNow = -1;

// Uses of one step come in the order of their keys.
struct NextUse {
  int64_t step = kNeverUsed;
  uint64_t key = 0;
  friend constexpr auto operator<=>(const NextUse&, const NextUse&) = default;
};

class NextUseEviction {
 public:
  explicit NextUseEviction(int32_t slot_count)
      : next_uses_(static_cast<size_t>(slot_count)), place_(static_cast<size_t>(slot_count), kOut) {
    heap_.reserve(place_.size());
  }

  // Precondition: the slot is out.
  void InsertWithNextUse(int32_t slot, NextUse next_use) {
    next_uses_[static_cast<size_t>(slot)] = next_use;
    heap_.push_back(slot);
    SiftUp(heap_.size() - 1);
  }

  // Precondition: the slot is in.
  void Remove(int32_t slot) {
    const size_t at = place_[static_cast<size_t>(slot)];
    place_[static_cast<size_t>(slot)] = kOut;
    const int32_t last = heap_.back();
    heap_.pop_back();
    if (last == slot) return;
    Put(at, last);
    SiftDown(at);
    SiftUp(place_[static_cast<size_t>(last)]);
  }

  int32_t Evict() {
    if (heap_.empty()) return -1;
    const int32_t slot = heap_.front();
    Remove(slot);
    return slot;
  }

 private:
  static constexpr size_t kOut = std::numeric_limits<size_t>::max();

  const NextUse& UseAt(size_t at) const { return next_uses_[static_cast<size_t>(heap_[at])]; }
  void Put(size_t at, int32_t slot) {
    heap_[at] = slot;
    place_[static_cast<size_t>(slot)] = at;
  }
  void SiftUp(size_t at) {
    const int32_t slot = heap_[at];
    for (; at > 0; at = (at - 1) / 2) {
      const size_t parent = (at - 1) / 2;
      if (UseAt(parent) >= next_uses_[static_cast<size_t>(slot)]) break;
      Put(at, heap_[parent]);
    }
    Put(at, slot);
  }
  void SiftDown(size_t at) {
    const int32_t slot = heap_[at];
    for (;;) {
      size_t child = 2 * at + 1;
      if (child >= heap_.size()) break;
      if (child + 1 < heap_.size() && UseAt(child + 1) > UseAt(child)) ++child;
      if (UseAt(child) <= next_uses_[static_cast<size_t>(slot)]) break;
      Put(at, heap_[child]);
      at = child;
    }
    Put(at, slot);
  }

  std::vector<NextUse> next_uses_;  // [slot]
  std::vector<size_t> place_;       // [slot] in the heap
  std::vector<int32_t> heap_;       // the farthest first
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_POLICY_NEXT_USE_H_

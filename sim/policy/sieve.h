// SIEVE: Zhang, Yang, Yue, Vigfusson and Rashmi, "SIEVE is Simpler than LRU: an Efficient
// Turn-Key Eviction Algorithm for Web Caches", NSDI 2024, section 3.1 and algorithm 1. A queue in
// order of insertion, a bit each, and a hand that goes from the oldest to the newest, clears the
// bits it passes and takes the first without one. Unlike CLOCK, what it spares stays where it is.
// The shape, cost and owner are those of eviction.h.
#ifndef TIERSCOPE_SIM_POLICY_SIEVE_H_
#define TIERSCOPE_SIM_POLICY_SIEVE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/policy/eviction.h"

namespace tierscope {

class SieveEviction {
 public:
  explicit SieveEviction(int32_t slot_count)
      : list_(slot_count), visited_(static_cast<size_t>(slot_count)) {}

  void Insert(int32_t slot, uint64_t /*key*/) {
    visited_[static_cast<size_t>(slot)] = 0;
    list_.PushNewest(slot);
  }
  void Hit(int32_t slot) { visited_[static_cast<size_t>(slot)] = 1; }
  void Remove(int32_t slot) {
    if (slot == hand_) hand_ = Newer(slot);
    list_.Unlink(slot);
  }

  int32_t Evict() {
    if (list_.empty()) return -1;
    int32_t slot = hand_ == kNowhere ? list_.oldest() : hand_;
    while (visited_[static_cast<size_t>(slot)] != 0) {
      visited_[static_cast<size_t>(slot)] = 0;
      slot = Newer(slot);
      if (slot == kNowhere) slot = list_.oldest();
    }
    hand_ = Newer(slot);
    list_.Unlink(slot);
    return slot;
  }

 private:
  // Past the newest: the next search begins at the oldest, whatever was inserted in between.
  static constexpr int32_t kNowhere = -1;

  int32_t Newer(int32_t slot) const {
    const int32_t newer = list_.NewerThan(slot);
    return newer == list_.end() ? kNowhere : newer;
  }

  SlotList list_;
  std::vector<uint8_t> visited_;
  int32_t hand_ = kNowhere;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_POLICY_SIEVE_H_

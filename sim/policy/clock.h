// CLOCK, the second chance of Corbato, "A Paging Experiment with the Multics System" (MIT Project
// MAC report MAC-M-384, 1968), with one bit: the oldest leaves unless it was used since it was last
// looked at, in which case the bit is cleared and it becomes the newest. New content starts with
// the bit clear. The shape, cost and owner are those of eviction.h.
#ifndef TIERSCOPE_SIM_POLICY_CLOCK_H_
#define TIERSCOPE_SIM_POLICY_CLOCK_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/policy/eviction.h"

namespace tierscope {

class ClockEviction {
 public:
  explicit ClockEviction(int32_t slot_count)
      : list_(slot_count), used_(static_cast<size_t>(slot_count)) {}

  void Insert(int32_t slot, uint64_t /*key*/) {
    used_[static_cast<size_t>(slot)] = 0;
    list_.PushNewest(slot);
  }
  void Hit(int32_t slot) { used_[static_cast<size_t>(slot)] = 1; }
  void Remove(int32_t slot) { list_.Unlink(slot); }

  int32_t Evict() {
    for (;;) {
      const int32_t slot = list_.PopOldest();
      if (slot < 0 || used_[static_cast<size_t>(slot)] == 0) return slot;
      used_[static_cast<size_t>(slot)] = 0;
      list_.PushNewest(slot);
    }
  }

 private:
  SlotList list_;
  std::vector<uint8_t> used_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_POLICY_CLOCK_H_

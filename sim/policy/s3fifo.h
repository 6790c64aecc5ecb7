// S3-FIFO: Yang, Zhang, Qiu, Yue and Rashmi, "FIFO Queues are All You Need for Cache Eviction",
// SOSP 2023, section 4.1 and algorithm 1. A small queue of a tenth of the slots takes what is new,
// a main queue takes what was used more than once while in the small one or came back soon after it
// left, and a ghost queue of as many keys as the main queue has slots remembers what left the small
// one. Hits count to 3 at most and move nothing; everything moves on eviction.
//
// Where algorithm 1 leaves a choice: a move into the main queue clears the count (section 4.1); the
// main queue is full when it holds more than its share, and its victim then ends the search, so
// that one call takes out one slot; a tenth rounds down, to 1 at least; a key that returns leaves
// the ghost queue. The shape, cost and owner are those of eviction.h; Remove leaves no ghost.
#ifndef TIERSCOPE_SIM_POLICY_S3FIFO_H_
#define TIERSCOPE_SIM_POLICY_S3FIFO_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/base/rng.h"
#include "sim/policy/eviction.h"

namespace tierscope {

// The newest `capacity` keys pushed and not taken, in flat arrays: a queue and a chained hash
// table. Owned by its policy.
class GhostQueue {
 public:
  explicit GhostQueue(int32_t capacity)
      : queue_(capacity),
        entries_(static_cast<size_t>(capacity)),
        heads_(std::bit_ceil(entries_.size() + 1), -1) {
    free_.reserve(entries_.size());
    for (int32_t entry = capacity - 1; entry >= 0; --entry) free_.push_back(entry);
  }

  // Precondition: the key is not in.
  void Push(uint64_t key) {
    if (entries_.empty()) return;
    if (free_.empty()) Drop(queue_.oldest());
    const int32_t entry = free_.back();
    free_.pop_back();
    int32_t& head = HeadOf(key);
    entries_[static_cast<size_t>(entry)] = {key, head};
    head = entry;
    queue_.PushNewest(entry);
  }

  // Takes the key out; whether it was in.
  bool Take(uint64_t key) {
    int32_t entry = HeadOf(key);
    while (entry >= 0 && At(entry).key != key) entry = At(entry).next;
    if (entry < 0) return false;
    Drop(entry);
    return true;
  }

 private:
  struct Entry {
    uint64_t key = 0;
    int32_t next = -1;  // of the same hash
  };
  Entry& At(int32_t entry) { return entries_[static_cast<size_t>(entry)]; }
  int32_t& HeadOf(uint64_t key) { return heads_[MixBits(key) & (heads_.size() - 1)]; }

  void Drop(int32_t entry) {
    int32_t* link = &HeadOf(At(entry).key);
    while (*link != entry) link = &At(*link).next;
    *link = At(entry).next;
    queue_.Unlink(entry);
    free_.push_back(entry);
  }

  SlotList queue_;
  std::vector<Entry> entries_;
  std::vector<int32_t> heads_;  // [hash], -1 = none
  std::vector<int32_t> free_;
};

class S3FifoEviction {
 public:
  explicit S3FifoEviction(int32_t slot_count)
      : small_share_(std::min(slot_count, std::max(slot_count / 10, 1))),
        main_share_(slot_count - small_share_),
        small_(slot_count),
        main_(slot_count),
        ghost_(main_share_),
        slots_(static_cast<size_t>(slot_count)) {}

  void Insert(int32_t slot, uint64_t key) {
    At(slot) = {key, 0, false};
    if (ghost_.Take(key)) {
      PushMain(slot);
    } else {
      small_.PushNewest(slot);
      ++small_count_;
    }
  }

  void Hit(int32_t slot) {
    uint8_t& hits = At(slot).hits;
    if (hits < kHitsMax) ++hits;
  }

  void Remove(int32_t slot) {
    if (At(slot).in_main) {
      main_.Unlink(slot);
      --main_count_;
    } else {
      small_.Unlink(slot);
      --small_count_;
    }
  }

  int32_t Evict() {
    const bool from_small = small_count_ >= small_share_ || main_count_ == 0;
    return from_small ? EvictSmall() : EvictMain();
  }

 private:
  static constexpr uint8_t kHitsMax = 3;
  struct Slot {
    uint64_t key = 0;
    uint8_t hits = 0;
    bool in_main = false;
  };
  Slot& At(int32_t slot) { return slots_[static_cast<size_t>(slot)]; }

  void PushMain(int32_t slot) {
    At(slot).in_main = true;
    main_.PushNewest(slot);
    ++main_count_;
  }

  int32_t EvictSmall() {
    while (small_count_ > 0) {
      const int32_t slot = small_.PopOldest();
      --small_count_;
      if (At(slot).hits <= 1) {
        ghost_.Push(At(slot).key);
        return slot;
      }
      At(slot).hits = 0;
      PushMain(slot);
      if (main_count_ > main_share_) break;
    }
    return EvictMain();
  }

  int32_t EvictMain() {
    for (;;) {
      const int32_t slot = main_.PopOldest();
      if (slot < 0) return -1;
      if (At(slot).hits == 0) {
        --main_count_;
        return slot;
      }
      --At(slot).hits;
      main_.PushNewest(slot);
    }
  }

  int32_t small_share_;
  int32_t main_share_;
  int32_t small_count_ = 0;
  int32_t main_count_ = 0;
  SlotList small_;
  SlotList main_;
  GhostQueue ghost_;
  std::vector<Slot> slots_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_POLICY_S3FIFO_H_

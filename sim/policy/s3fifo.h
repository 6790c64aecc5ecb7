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
//
// The paper counts objects. For objects with sizes the same rules hold with bytes for slots: shares
// of the queues, and what the ghost queue remembers, are sums of bytes (`weight`). An object above
// a queue's share still enters it and is what leaves next; one above the ghost queue's share is not
// remembered. libCacheSim's S3FIFO.c, which also counts bytes, differs: until its first eviction a
// full small queue overflows into the main one; it admits nothing as large as its small queue,
// takes victims from the small queue until the main one is over its share, moves without end from
// the one into the other, and looks a key up among the ghosts before it evicts.
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

// The newest keys pushed and not taken, as many as `weight_max` holds, in flat arrays: a queue and
// a chained hash table. Owned by its policy.
class GhostQueue {
 public:
  // At most `key_max` keys are in at any time; with weights of 1, `weight_max` of them suffice.
  GhostQueue(int32_t key_max, int64_t weight_max)
      : weight_free_(weight_max),
        weight_max_(weight_max),
        queue_(key_max),
        entries_(static_cast<size_t>(key_max)),
        heads_(std::bit_ceil(entries_.size() + 1), -1) {
    free_.reserve(entries_.size());
    for (int32_t entry = key_max - 1; entry >= 0; --entry) free_.push_back(entry);
  }

  // Precondition: the key is not in.
  void Push(uint64_t key, uint32_t weight) {
    if (weight > weight_max_) return;
    while (weight > weight_free_) Drop(queue_.oldest());
    const int32_t entry = free_.back();
    free_.pop_back();
    int32_t& head = HeadOf(key);
    At(entry) = {key, head, weight};
    head = entry;
    queue_.PushNewest(entry);
    weight_free_ -= weight;
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
    uint32_t weight = 0;
  };
  Entry& At(int32_t entry) { return entries_[static_cast<size_t>(entry)]; }
  int32_t& HeadOf(uint64_t key) { return heads_[MixBits(key) & (heads_.size() - 1)]; }

  void Drop(int32_t entry) {
    int32_t* link = &HeadOf(At(entry).key);
    while (*link != entry) link = &At(*link).next;
    *link = At(entry).next;
    queue_.Unlink(entry);
    free_.push_back(entry);
    weight_free_ += At(entry).weight;
  }

  int64_t weight_free_;
  int64_t weight_max_;
  SlotList queue_;
  std::vector<Entry> entries_;
  std::vector<int32_t> heads_;  // [hash], -1 = none
  std::vector<int32_t> free_;
};

class S3FifoEviction {
 public:
  explicit S3FifoEviction(int32_t slot_count)
      : S3FifoEviction(slot_count, slot_count, slot_count - SmallShare(slot_count)) {}

  // Slots for as many objects as there are, of which `capacity` says how much weight is in: the
  // keys are their slots.
  static S3FifoEviction Weighted(int32_t slot_count, int64_t capacity) {
    return S3FifoEviction(slot_count, capacity, slot_count);
  }

  void Insert(int32_t slot, uint64_t key, uint32_t weight = 1) {
    At(slot) = {key, weight, 0, false};
    if (ghost_.Take(key)) {
      PushMain(slot);
    } else {
      small_.PushNewest(slot);
      small_weight_ += weight;
    }
  }

  void Hit(int32_t slot) {
    uint8_t& hits = At(slot).hits;
    if (hits < kHitsMax) ++hits;
  }

  void Remove(int32_t slot) {
    if (At(slot).in_main) {
      main_.Unlink(slot);
      main_weight_ -= At(slot).weight;
    } else {
      small_.Unlink(slot);
      small_weight_ -= At(slot).weight;
    }
  }

  int32_t Evict() {
    const bool from_small = small_weight_ >= small_share_ || main_.empty();
    return from_small ? EvictSmall() : EvictMain();
  }

 private:
  static constexpr uint8_t kHitsMax = 3;
  struct Slot {
    uint64_t key = 0;
    uint32_t weight = 0;
    uint8_t hits = 0;
    bool in_main = false;
  };

  S3FifoEviction(int32_t slot_count, int64_t capacity, int32_t ghost_max)
      : small_share_(SmallShare(capacity)),
        main_share_(capacity - small_share_),
        small_(slot_count),
        main_(slot_count),
        ghost_(ghost_max, main_share_),
        slots_(static_cast<size_t>(slot_count)) {}

  template <typename Number>
  static Number SmallShare(Number capacity) {
    return std::min(capacity, std::max<Number>(capacity / 10, 1));
  }

  Slot& At(int32_t slot) { return slots_[static_cast<size_t>(slot)]; }

  void PushMain(int32_t slot) {
    At(slot).in_main = true;
    main_.PushNewest(slot);
    main_weight_ += At(slot).weight;
  }

  int32_t EvictSmall() {
    while (!small_.empty()) {
      const int32_t slot = small_.PopOldest();
      small_weight_ -= At(slot).weight;
      if (At(slot).hits <= 1) {
        ghost_.Push(At(slot).key, At(slot).weight);
        return slot;
      }
      At(slot).hits = 0;
      PushMain(slot);
      if (main_weight_ > main_share_) break;
    }
    return EvictMain();
  }

  int32_t EvictMain() {
    for (;;) {
      const int32_t slot = main_.PopOldest();
      if (slot < 0) return -1;
      if (At(slot).hits == 0) {
        main_weight_ -= At(slot).weight;
        return slot;
      }
      --At(slot).hits;
      main_.PushNewest(slot);
    }
  }

  int64_t small_share_;
  int64_t main_share_;
  int64_t small_weight_ = 0;
  int64_t main_weight_ = 0;
  SlotList small_;
  SlotList main_;
  GhostQueue ghost_;
  std::vector<Slot> slots_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_POLICY_S3FIFO_H_

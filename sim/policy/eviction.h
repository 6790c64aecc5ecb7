// Eviction policies over a fixed set of slots [0, slot_count). The same code decides for the
// engine's page reserve and for `tierscope cache`; what a slot holds is the caller's business.
//
// Every policy has this shape (no virtual call: callers are templates over the policy):
//   explicit P(int32_t slot_count);            all slots out
//   void Insert(int32_t slot, uint64_t key);   the slot was filled, with the object `key`
//   void Hit(int32_t slot);                    its content was used again
//   void Remove(int32_t slot);                 emptied, or pinned, without being a victim
//   int32_t Evict();                           takes the victim out and returns it; -1 when none is
// The key is the object's identity, equal whenever the object comes back in whichever slot; only a
// policy that remembers objects after they left (s3fifo.h) reads it. Evict comes before the Insert
// that reuses its slot. Each call is O(1), Evict amortised over the hits before it. Not
// thread-safe; one owner. Here: FIFO and LRU; clock.h, sieve.h and s3fifo.h hold one more each.
#ifndef TIERSCOPE_SIM_POLICY_EVICTION_H_
#define TIERSCOPE_SIM_POLICY_EVICTION_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tierscope {

// Doubly linked list over slot ids in flat arrays; the building block of list-shaped policies.
class SlotList {
 public:
  explicit SlotList(int32_t slot_count)
      : slot_count_(slot_count), links_(static_cast<size_t>(slot_count) + 1) {
    links_[Index(slot_count_)] = {slot_count_, slot_count_};
  }

  bool empty() const { return links_[Index(slot_count_)].next == slot_count_; }
  int32_t oldest() const { return links_[Index(slot_count_)].next; }  // end() when empty
  int32_t end() const { return slot_count_; }                         // after the newest
  int32_t NewerThan(int32_t slot) const { return links_[Index(slot)].next; }

  void PushNewest(int32_t slot) {
    const int32_t last = links_[Index(slot_count_)].previous;
    links_[Index(slot)] = {slot_count_, last};
    links_[Index(last)].next = slot;
    links_[Index(slot_count_)].previous = slot;
  }

  void Unlink(int32_t slot) {
    const Link link = links_[Index(slot)];
    links_[Index(link.previous)].next = link.next;
    links_[Index(link.next)].previous = link.previous;
  }

  int32_t PopOldest() {
    if (empty()) return -1;
    const int32_t slot = oldest();
    Unlink(slot);
    return slot;
  }

 private:
  struct Link {
    int32_t next = 0;
    int32_t previous = 0;
  };
  static size_t Index(int32_t slot) { return static_cast<size_t>(slot); }

  int32_t slot_count_;  // also the id of the sentinel
  std::vector<Link> links_;
};

// First in, first out: a hit changes nothing.
class FifoEviction {
 public:
  explicit FifoEviction(int32_t slot_count) : list_(slot_count) {}
  void Insert(int32_t slot, uint64_t /*key*/) { list_.PushNewest(slot); }
  void Hit(int32_t) {}
  void Remove(int32_t slot) { list_.Unlink(slot); }
  int32_t Evict() { return list_.PopOldest(); }

 private:
  SlotList list_;
};

// Least recently used.
class LruEviction {
 public:
  explicit LruEviction(int32_t slot_count) : list_(slot_count) {}
  void Insert(int32_t slot, uint64_t /*key*/) { list_.PushNewest(slot); }
  void Hit(int32_t slot) {
    list_.Unlink(slot);
    list_.PushNewest(slot);
  }
  void Remove(int32_t slot) { list_.Unlink(slot); }
  int32_t Evict() { return list_.PopOldest(); }

 private:
  SlotList list_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_POLICY_EVICTION_H_

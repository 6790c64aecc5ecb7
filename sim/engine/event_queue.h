// A queue of plain structs ordered by (key, phase, owner, sequence): time order, then the named
// order of phases at one instant, then replicas in their order, then order of insertion. Replicas
// come before insertion because one that leaps inserts its events earlier than one that steps.
// Implicit 4-ary heap in one array.
#ifndef TIERSCOPE_SIM_ENGINE_EVENT_QUEUE_H_
#define TIERSCOPE_SIM_ENGINE_EVENT_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tierscope {

// `order` holds the phase in its top 8 bits, the owner in 12 below and the sequence number in the
// rest, so one comparison decides.
struct Event {
  static constexpr int kOwnerShift = 44;
  static constexpr uint64_t kOwnerMask = 0xfff;
  int64_t key;  // nanoseconds or steps
  uint64_t order;
  int32_t subject;  // what the event is about, e.g. a request
  int32_t stamp;    // lets the receiver tell a stale event

  uint8_t phase() const { return static_cast<uint8_t>(order >> 56); }
  int32_t owner() const { return static_cast<int32_t>((order >> kOwnerShift) & kOwnerMask); }
  bool Before(const Event& o) const { return key != o.key ? key < o.key : order < o.order; }
};

class EventQueue {
 public:
  bool empty() const { return heap_.empty(); }
  size_t pending() const { return heap_.size(); }
  const Event& next() const { return heap_.front(); }

  void Push(int64_t key, uint8_t phase, int32_t subject, int32_t stamp = 0, int32_t owner = 0) {
    const uint64_t place =
        (static_cast<uint64_t>(phase) << 56) | (static_cast<uint64_t>(owner) << Event::kOwnerShift);
    const Event event{key, place | sequence_++, subject, stamp};
    size_t at = heap_.size();
    heap_.push_back(event);
    while (at > 0) {
      const size_t parent = (at - 1) / 4;
      if (!event.Before(heap_[parent])) break;
      heap_[at] = heap_[parent];
      at = parent;
    }
    heap_[at] = event;
  }

  Event Pop() {
    const Event top = heap_.front();
    const Event last = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) SiftDown(last);
    return top;
  }

 private:
  void SiftDown(const Event& event) {
    const size_t size = heap_.size();
    size_t at = 0;
    for (;;) {
      const size_t first = 4 * at + 1;
      if (first >= size) break;
      size_t least = first;
      const size_t end = first + 4 < size ? first + 4 : size;
      for (size_t child = first + 1; child < end; ++child) {
        if (heap_[child].Before(heap_[least])) least = child;
      }
      if (!heap_[least].Before(event)) break;
      heap_[at] = heap_[least];
      at = least;
    }
    heap_[at] = event;
  }

  std::vector<Event> heap_;
  uint64_t sequence_ = 0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_EVENT_QUEUE_H_

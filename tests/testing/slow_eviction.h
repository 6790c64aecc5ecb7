// Slow, obvious versions of the eviction policies, written from the papers' algorithms over keys in
// plain vectors, each searched from end to end. They share no code with sim/policy.
#ifndef TIERSCOPE_TESTS_TESTING_SLOW_EVICTION_H_
#define TIERSCOPE_TESTS_TESTING_SLOW_EVICTION_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace tierscope::testing {

struct SlowItem {
  uint64_t key;
  int hits;
  int64_t weight = 1;
};
using SlowQueue = std::vector<SlowItem>;  // the oldest in front

inline auto FindKey(SlowQueue& queue, uint64_t key) {
  return std::find_if(queue.begin(), queue.end(),
                      [key](const SlowItem& item) { return item.key == key; });
}

// Each: Has, Hit (precondition: in), Insert (not in), Remove (in), Evict (the victim, if any).
class SlowFifo {
 public:
  explicit SlowFifo(int64_t) {}
  bool Has(uint64_t key) { return FindKey(queue_, key) != queue_.end(); }
  void Hit(uint64_t) {}
  void Insert(uint64_t key) { queue_.push_back({key, 0}); }
  void Remove(uint64_t key) { queue_.erase(FindKey(queue_, key)); }
  std::optional<uint64_t> Evict() {
    if (queue_.empty()) return std::nullopt;
    const uint64_t key = queue_.front().key;
    queue_.erase(queue_.begin());
    return key;
  }

 private:
  SlowQueue queue_;
};

class SlowLru : public SlowFifo {
 public:
  using SlowFifo::SlowFifo;
  void Hit(uint64_t key) {
    Remove(key);
    Insert(key);
  }
};

// A clock face and a hand: what is new goes in behind the hand, what is spared stays on the face.
class SlowClock {
 public:
  explicit SlowClock(int64_t) {}
  bool Has(uint64_t key) { return FindKey(face_, key) != face_.end(); }
  void Hit(uint64_t key) { FindKey(face_, key)->hits = 1; }
  void Insert(uint64_t key) { face_.insert(face_.begin() + hand_++, {key, 0}); }
  void Remove(uint64_t key) {
    const auto found = FindKey(face_, key);
    if (found - face_.begin() < hand_) --hand_;
    face_.erase(found);
  }
  std::optional<uint64_t> Evict() {
    if (face_.empty()) return std::nullopt;
    for (;; ++hand_) {
      if (hand_ == std::ssize(face_)) hand_ = 0;
      SlowItem& item = face_[static_cast<size_t>(hand_)];
      if (item.hits == 0) break;
      item.hits = 0;
    }
    const uint64_t key = face_[static_cast<size_t>(hand_)].key;
    face_.erase(face_.begin() + hand_);
    return key;
  }

 private:
  SlowQueue face_;
  std::ptrdiff_t hand_ = 0;
};

// NSDI 2024, algorithm 1, line by line; the tail is the front of the vector.
class SlowSieve {
 public:
  explicit SlowSieve(int64_t) {}
  bool Has(uint64_t key) { return FindKey(queue_, key) != queue_.end(); }
  void Hit(uint64_t key) { FindKey(queue_, key)->hits = 1; }
  void Insert(uint64_t key) { queue_.push_back({key, 0}); }
  void Remove(uint64_t key) {
    if (hand_ == key) hand_ = Previous(key);
    queue_.erase(FindKey(queue_, key));
  }
  std::optional<uint64_t> Evict() {
    if (queue_.empty()) return std::nullopt;
    std::optional<uint64_t> object = hand_;
    if (!object) object = queue_.front().key;
    while (FindKey(queue_, *object)->hits != 0) {
      FindKey(queue_, *object)->hits = 0;
      object = Previous(*object);
      if (!object) object = queue_.front().key;
    }
    hand_ = Previous(*object);
    queue_.erase(FindKey(queue_, *object));
    return object;
  }

 private:
  std::optional<uint64_t> Previous(uint64_t key) {
    const auto next = FindKey(queue_, key) + 1;
    return next == queue_.end() ? std::nullopt : std::optional<uint64_t>(next->key);
  }
  SlowQueue queue_;
  std::optional<uint64_t> hand_;
};

inline int64_t WeightOf(const SlowQueue& queue) {
  int64_t weight = 0;
  for (const SlowItem& item : queue) weight += item.weight;
  return weight;
}

// SOSP 2023, algorithm 1, with the choices at the top of sim/policy/s3fifo.h; a weight of 1 each
// counts objects.
class SlowS3Fifo {
 public:
  explicit SlowS3Fifo(int64_t capacity)
      : small_share_(std::max<int64_t>(capacity / 10, 1)), main_share_(capacity - small_share_) {}
  bool Has(uint64_t key) {
    return FindKey(small_, key) != small_.end() || FindKey(main_, key) != main_.end();
  }
  void Hit(uint64_t key) {
    const auto in_small = FindKey(small_, key);
    SlowItem& item = in_small != small_.end() ? *in_small : *FindKey(main_, key);
    item.hits = std::min(item.hits + 1, 3);
  }
  void Insert(uint64_t key, int64_t weight = 1) {
    const auto ghost = FindKey(ghosts_, key);
    const bool was_ghost = ghost != ghosts_.end();
    if (was_ghost) ghosts_.erase(ghost);
    (was_ghost ? main_ : small_).push_back({key, 0, weight});
  }
  void Remove(uint64_t key) {
    const auto is_key = [key](const SlowItem& item) { return item.key == key; };
    std::erase_if(small_, is_key);
    std::erase_if(main_, is_key);
  }
  std::optional<uint64_t> Evict() {
    if (small_.empty() && main_.empty()) return std::nullopt;
    if (WeightOf(small_) < small_share_ && !main_.empty()) return EvictMain();
    while (!small_.empty()) {
      const SlowItem tail = small_.front();
      small_.erase(small_.begin());
      if (tail.hits <= 1) {
        Remember(tail);
        return tail.key;
      }
      main_.push_back({tail.key, 0, tail.weight});
      if (WeightOf(main_) > main_share_) return EvictMain();
    }
    return EvictMain();
  }

 private:
  void Remember(const SlowItem& item) {
    if (item.weight > main_share_) return;
    ghosts_.push_back(item);
    while (WeightOf(ghosts_) > main_share_) ghosts_.erase(ghosts_.begin());
  }
  uint64_t EvictMain() {
    while (main_.front().hits > 0) {
      const SlowItem tail = main_.front();
      main_.erase(main_.begin());
      main_.push_back({tail.key, tail.hits - 1, tail.weight});
    }
    const uint64_t key = main_.front().key;
    main_.erase(main_.begin());
    return key;
  }

  int64_t small_share_;
  int64_t main_share_;
  SlowQueue small_;
  SlowQueue main_;
  SlowQueue ghosts_;
};

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_TESTING_SLOW_EVICTION_H_

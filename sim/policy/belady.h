// Belady's MIN (IBM Systems Journal 5(2), 1966, "A study of replacement algorithms for a
// virtual-storage computer", section "MIN"): on a miss in a full cache, the object whose next use
// is farthest leaves, one that is never used again before any other. Offline: it needs every access
// to come, so it has not the shape of eviction.h. Every missed object enters; among objects of one
// size no policy that does so hits more often (Mattson et al., IBM Systems Journal 9(2), 1970).
// Pure functions.
#ifndef TIERSCOPE_SIM_POLICY_BELADY_H_
#define TIERSCOPE_SIM_POLICY_BELADY_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tierscope {

// A set of positions in [0, bound) that gives its largest: 64-way tree of bits. Each call costs the
// tree's height, 4 for 16 M positions; memory bound / 8 bytes. Owned by one thread.
class PositionSet {
 public:
  explicit PositionSet(size_t bound) {
    do {
      bound = bound / 64 + 1;
      levels_.emplace_back(bound);
    } while (bound > 1);
  }

  void Insert(size_t position) {
    for (Level& level : levels_) {
      const uint64_t word = level[position / 64];
      level[position / 64] = word | Bit(position);
      if (word != 0) return;
      position /= 64;
    }
  }

  // Takes the position out; whether it was in.
  bool Take(size_t position) {
    if ((levels_[0][position / 64] & Bit(position)) == 0) return false;
    for (Level& level : levels_) {
      level[position / 64] &= ~Bit(position);
      if (level[position / 64] != 0) break;
      position /= 64;
    }
    return true;
  }

  // Precondition: not empty.
  size_t Largest() const {
    size_t position = 0;
    for (size_t i = levels_.size(); i-- > 0;) {
      position = position * 64 + static_cast<size_t>(std::bit_width(levels_[i][position]) - 1);
    }
    return position;
  }

 private:
  using Level = std::vector<uint64_t>;
  static uint64_t Bit(size_t position) { return uint64_t{1} << (position % 64); }
  std::vector<Level> levels_;  // a bit of level i + 1 = a word of level i is not 0
};

// For each access the position of the next one to the same object; ids.size() = never again.
// Preconditions: ids in [0, id_count), fewer than 2^32 of them. Time and memory O(accesses + ids).
inline std::vector<uint32_t> NextUses(std::span<const uint32_t> ids, int64_t id_count) {
  const auto never = static_cast<uint32_t>(ids.size());
  std::vector<uint32_t> next_uses(ids.size());
  std::vector<uint32_t> first_use_after(static_cast<size_t>(id_count), never);
  for (size_t i = ids.size(); i-- > 0;) {
    next_uses[i] = first_use_after[ids[i]];
    first_use_after[ids[i]] = static_cast<uint32_t>(i);
  }
  return next_uses;
}

// Hits of MIN with `capacity` > 0 objects of equal size, given NextUses. A resident object is known
// by the position of its next use; those never used again are only counted.
inline int64_t CountBeladyHits(int64_t capacity, std::span<const uint32_t> next_uses) {
  PositionSet next_of_residents(next_uses.size());
  int64_t never_again = 0;
  int64_t residents = 0;
  int64_t hits = 0;
  for (size_t i = 0; i < next_uses.size(); ++i) {
    if (next_of_residents.Take(i)) {
      ++hits;
    } else if (residents < capacity) {
      ++residents;
    } else if (never_again > 0) {
      --never_again;
    } else {
      next_of_residents.Take(next_of_residents.Largest());
    }
    if (next_uses[i] < next_uses.size()) {
      next_of_residents.Insert(next_uses[i]);
    } else {
      ++never_again;
    }
  }
  return hits;
}

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_POLICY_BELADY_H_

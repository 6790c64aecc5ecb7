#include "sim/engine/stack_distance.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "sim/base/check.h"

namespace tierscope {
namespace {

// Bits over [0, bound) and how many are set from a position on: a Fenwick tree over blocks of 512
// bits, small enough for a core's cache.
class CountedBits {
 public:
  explicit CountedBits(size_t bound)
      : words_((bound / kBlockBits + 1) * kBlockWords), counts_(bound / kBlockBits + 2) {}

  void Set(size_t position) {
    words_[position / 64] |= uint64_t{1} << (position % 64);
    Add(position, 1);
    ++set_count_;
  }

  void Clear(size_t position) {
    words_[position / 64] &= ~(uint64_t{1} << (position % 64));
    Add(position, -1);
    --set_count_;
  }

  int64_t CountFrom(size_t position) const {
    int64_t before = 0;
    const size_t block = position / kBlockBits;
    for (size_t i = block; i > 0; i &= i - 1) before += counts_[i];
    for (size_t i = block * kBlockWords; i < position / 64; ++i) before += std::popcount(words_[i]);
    const uint64_t below = (uint64_t{1} << (position % 64)) - 1;
    return set_count_ - before - std::popcount(words_[position / 64] & below);
  }

 private:
  static constexpr size_t kBlockBits = 512;
  static constexpr size_t kBlockWords = kBlockBits / 64;

  void Add(size_t position, int32_t change) {
    for (size_t i = position / kBlockBits + 1; i < counts_.size(); i += i & -i) {
      counts_[i] += change;
    }
  }

  std::vector<uint64_t> words_;
  std::vector<int32_t> counts_;  // [1 + block], Fenwick
  int64_t set_count_ = 0;
};

}  // namespace

std::vector<int64_t> CountLruHits(absl::Span<const int64_t> capacities,
                                  absl::Span<const uint32_t> block_ids, int64_t block_count) {
  constexpr uint32_t kNever = std::numeric_limits<uint32_t>::max();
  TIERSCOPE_CHECK(block_ids.size() < kNever);
  std::vector<int64_t> rising(capacities.begin(), capacities.end());
  std::sort(rising.begin(), rising.end());
  std::vector<int64_t> hits_added(rising.size() +
                                  1);  // [i]: that fit rising[i] and not rising[i - 1]
  std::vector<uint32_t> last_access(static_cast<size_t>(block_count), kNever);
  CountedBits is_last(block_ids.size());
  for (size_t i = 0; i < block_ids.size(); ++i) {
    uint32_t& last = last_access[block_ids[i]];
    if (last != kNever) {
      const int64_t distance = is_last.CountFrom(last);
      ++hits_added[static_cast<size_t>(std::lower_bound(rising.begin(), rising.end(), distance) -
                                       rising.begin())];
      is_last.Clear(last);
    }
    is_last.Set(i);
    last = static_cast<uint32_t>(i);
  }
  for (size_t i = 1; i < rising.size(); ++i) hits_added[i] += hits_added[i - 1];
  std::vector<int64_t> hits;
  for (const int64_t capacity : capacities) {
    hits.push_back(hits_added[static_cast<size_t>(
        std::lower_bound(rising.begin(), rising.end(), capacity) - rising.begin())]);
  }
  return hits;
}

}  // namespace tierscope

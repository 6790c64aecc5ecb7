// A set of entries of a history with fast updates and visits in rising order: a bitmap under a
// bitmap of its non-zero words. Add and Remove are O(1), a visit costs the members plus history /
// 4096.
#ifndef TIERSCOPE_TRACES_ENTRY_SET_H_
#define TIERSCOPE_TRACES_ENTRY_SET_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tierscope {

class EntrySet {
 public:
  explicit EntrySet(int64_t history_entries)
      : words_(static_cast<size_t>(history_entries) / 64 + 1), summary_(words_.size() / 64 + 1) {}

  void Add(uint32_t entry) {
    words_[entry >> 6] |= uint64_t{1} << (entry & 63);
    summary_[entry >> 12] |= uint64_t{1} << (entry >> 6 & 63);
  }
  void Remove(uint32_t entry) {
    words_[entry >> 6] &= ~(uint64_t{1} << (entry & 63));
    if (words_[entry >> 6] == 0) summary_[entry >> 12] &= ~(uint64_t{1} << (entry >> 6 & 63));
  }
  bool Contains(uint32_t entry) const { return (words_[entry >> 6] >> (entry & 63) & 1) != 0; }

  // Calls visit(entry) in rising order.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (size_t s = 0; s < summary_.size(); ++s) {
      for (uint64_t summary = summary_[s]; summary != 0; summary &= summary - 1) {
        const size_t w = s * 64 + static_cast<size_t>(std::countr_zero(summary));
        for (uint64_t word = words_[w]; word != 0; word &= word - 1) {
          visit(static_cast<uint32_t>(w * 64 + static_cast<size_t>(std::countr_zero(word))));
        }
      }
    }
  }

  // ForEach and Clear in one.
  template <typename Visit>
  void Drain(Visit visit) {
    for (size_t s = 0; s < summary_.size(); ++s) {
      for (uint64_t summary = summary_[s]; summary != 0; summary &= summary - 1) {
        const size_t w = s * 64 + static_cast<size_t>(std::countr_zero(summary));
        for (uint64_t word = words_[w]; word != 0; word &= word - 1) {
          visit(static_cast<uint32_t>(w * 64 + static_cast<size_t>(std::countr_zero(word))));
        }
        words_[w] = 0;
      }
      summary_[s] = 0;
    }
  }

  void Clear() {
    for (size_t s = 0; s < summary_.size(); ++s) {
      for (uint64_t summary = summary_[s]; summary != 0; summary &= summary - 1) {
        words_[s * 64 + static_cast<size_t>(std::countr_zero(summary))] = 0;
      }
      summary_[s] = 0;
    }
  }

 private:
  std::vector<uint64_t> words_;
  std::vector<uint64_t> summary_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_ENTRY_SET_H_

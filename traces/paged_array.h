// An array of numbers that start at 0 and takes memory only where it is written: a block of 4,096 a
// first touch. For arrays as long as a file claims its history to be.
#ifndef TIERSCOPE_TRACES_PAGED_ARRAY_H_
#define TIERSCOPE_TRACES_PAGED_ARRAY_H_

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

namespace tierscope {

template <typename Number>
class PagedArray {
 public:
  explicit PagedArray(size_t size) : blocks_(size / kBlock + 1) {}

  Number operator[](size_t i) const {
    const auto& block = blocks_[i / kBlock];
    return block == nullptr ? Number{} : (*block)[i % kBlock];
  }
  Number& At(size_t i) {
    auto& block = blocks_[i / kBlock];
    if (block == nullptr) block = std::make_unique<Block>();
    return (*block)[i % kBlock];
  }

 private:
  static constexpr size_t kBlock = 4096;
  using Block = std::array<Number, kBlock>;
  std::vector<std::unique_ptr<Block>> blocks_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_PAGED_ARRAY_H_

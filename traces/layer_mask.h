// A set of layers, up to 128: one bit each. Plain value.
#ifndef TIERSCOPE_TRACES_LAYER_MASK_H_
#define TIERSCOPE_TRACES_LAYER_MASK_H_

#include <bit>
#include <cstdint>

namespace tierscope {

inline constexpr int kLayerMaskLayersMax = 128;

class LayerMask {
 public:
  constexpr LayerMask() = default;
  // Layers first .. first + count - 1.
  static constexpr LayerMask Range(int first, int count) {
    return LayerMask((count == kLayerMaskLayersMax ? ~Bits{0} : (Bits{1} << count) - 1) << first);
  }

  constexpr bool empty() const { return bits_ == 0; }
  constexpr bool Contains(int layer) const { return (bits_ >> layer & 1) != 0; }
  constexpr bool Intersects(LayerMask other) const { return (bits_ & other.bits_) != 0; }
  constexpr void Add(LayerMask other) { bits_ |= other.bits_; }
  constexpr void Remove(LayerMask other) { bits_ &= ~other.bits_; }
  constexpr int Count() const {
    return std::popcount(Low()) + (High() == 0 ? 0 : std::popcount(High()));
  }

  // Calls visit(layer) in rising order.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (uint64_t word = Low(); word != 0; word &= word - 1) visit(std::countr_zero(word));
    for (uint64_t word = High(); word != 0; word &= word - 1) visit(64 + std::countr_zero(word));
  }

 private:
  using Bits = unsigned __int128;
  constexpr explicit LayerMask(Bits bits) : bits_(bits) {}
  constexpr uint64_t Low() const { return static_cast<uint64_t>(bits_); }
  constexpr uint64_t High() const { return static_cast<uint64_t>(bits_ >> 64); }

  Bits bits_ = 0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_LAYER_MASK_H_

// What a radix selection of the largest scores shares between host and device.
#ifndef TIERSCOPE_KERNELS_RADIX_SELECT_H_
#define TIERSCOPE_KERNELS_RADIX_SELECT_H_

#include <cstdint>

#include "kernels/fp8.h"

namespace tierscope {

inline constexpr int kRadixBits = 11;
inline constexpr int32_t kRadixBins = 1 << kRadixBits;

// Floats as integers of the same order; -0 is below +0, and every NaN below everything.
TIERSCOPE_HOST_DEVICE inline uint32_t OrderedBits(float x) {
  const uint32_t bits = FloatBits(x);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return 0;
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// No two entries have the same key: of equal scores the lower position is the larger key.
TIERSCOPE_HOST_DEVICE inline uint64_t SelectionKey(float score, uint32_t position) {
  return static_cast<uint64_t>(OrderedBits(score)) << 32 | (0xFFFFFFFFu - position);
}

// The shift of the digit after the one at `shift` (64: the first); 0 is the last digit.
TIERSCOPE_HOST_DEVICE inline int NextDigitShift(int shift) {
  return shift > kRadixBits ? shift - kRadixBits : 0;
}
// The digit of `key` in bits [shift, previous_shift).
TIERSCOPE_HOST_DEVICE inline uint32_t DigitOf(uint64_t key, int shift, int previous_shift) {
  return static_cast<uint32_t>(key >> shift) & ((1u << (previous_shift - shift)) - 1);
}
// Does `key` agree with `other` above bit `shift`?
TIERSCOPE_HOST_DEVICE inline bool SamePrefix(uint64_t key, uint64_t other, int shift) {
  return shift == 64 || key >> shift == other >> shift;
}

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_RADIX_SELECT_H_

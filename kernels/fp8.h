// The number formats of the KV entries, for host and device: fp8 e4m3 (OCP FP8, "fn": no
// infinities, 0x7F is NaN, largest 448), ue8m0 (a power of two, OCP MX), bf16. Conversions are
// exact where the target holds the value and round to nearest even where it does not.
#ifndef TIERSCOPE_KERNELS_FP8_H_
#define TIERSCOPE_KERNELS_FP8_H_

#include <cstdint>
#include <cstring>

#include "sim/policy/page_selection.h"

namespace tierscope {

TIERSCOPE_HOST_DEVICE inline uint32_t FloatBits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
TIERSCOPE_HOST_DEVICE inline float FloatOfBits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

// The e4m3 bits moved to a float's sign and mantissa are the value times 2^-120, subnormals
// included. 0x7F and 0xFF, NaN in e4m3, come out as 480 and -480: keys and queries hold none.
TIERSCOPE_HOST_DEVICE inline float E4m3ToFloat(uint32_t code) {
  const uint32_t bits = (code & 0x80u) << 24 | (code & 0x7Fu) << 20;
  return FloatOfBits(bits) * 0x1p120f;
}

// Saturates at 448; NaN becomes 0x7F.
TIERSCOPE_HOST_DEVICE inline uint8_t FloatToE4m3(float x) {
  const uint32_t bits = FloatBits(x);
  const uint32_t sign = bits >> 24 & 0x80u;
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return static_cast<uint8_t>(sign | 0x7Fu);
  if (magnitude >= FloatBits(448.0f)) return static_cast<uint8_t>(sign | 0x7Eu);
  // Adding 2^(e + 20) rounds the mantissa to the spacing of e4m3 at this size, ties to even.
  const uint32_t exponent = magnitude >> 23;
  const uint32_t spacing =
      exponent < 121 ? 118 : exponent - 3;  // smallest normal 2^-6, spacing 2^-9
  const float round = FloatOfBits((spacing + 23) << 23);
  const float rounded = (FloatOfBits(magnitude) + round) - round;
  const uint32_t code = FloatBits(rounded * 0x1p-120f) >> 20;
  return static_cast<uint8_t>(sign | code);
}

// 2^(code - 127); 0xFF is NaN.
TIERSCOPE_HOST_DEVICE inline float Ue8m0ToFloat(uint32_t code) {
  if (code == 0) return 0x1p-127f;
  return code == 0xFF ? FloatOfBits(0x7FC00000u) : FloatOfBits(code << 23);
}

// The smallest power of two that is not below x, for a scale that must not overflow its values; x >
// 0.
TIERSCOPE_HOST_DEVICE inline uint8_t FloatToUe8m0(float x) {
  const uint32_t bits = FloatBits(x);
  const uint32_t exponent = bits >> 23;
  if (exponent == 0) return static_cast<uint8_t>((bits & 0x7FFFFFu) > 0x400000u ? 1 : 0);
  const uint32_t code = exponent + ((bits & 0x7FFFFFu) != 0 ? 1 : 0);
  return static_cast<uint8_t>(code > 254 ? 254 : code);
}

TIERSCOPE_HOST_DEVICE inline float Bf16ToFloat(uint16_t bits) {
  return FloatOfBits(static_cast<uint32_t>(bits) << 16);
}

TIERSCOPE_HOST_DEVICE inline uint16_t FloatToBf16(float x) {
  const uint32_t bits = FloatBits(x);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_FP8_H_

// A JSON array of small whole numbers, faster than a general parser: eight digits at a time.
#ifndef TIERSCOPE_TRACES_ID_ARRAY_H_
#define TIERSCOPE_TRACES_ID_ARRAY_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/strings/string_view.h"

namespace tierscope {

// The value of the digits at `*p`, which moves behind them; nothing but digits counts. Reads up to
// 16 bytes from *p. Returns 2^32 when there is no digit or the number does not fit 32 bits.
inline uint64_t ParseDigitsFast(const char** p) {
  constexpr uint64_t kTooLarge = uint64_t{1} << 32;
  uint64_t chunk;
  std::memcpy(&chunk, *p, 8);
  const uint64_t digits = chunk ^ 0x3030303030303030;
  // The high bit of every byte that is no digit.
  const uint64_t others = ((digits + 0x7676767676767676) | digits) & 0x8080808080808080;
  const int count = std::countr_zero(others) / 8;
  if (count == 8) {  // 100 million and more: one by one
    uint64_t value = 0;
    int length = 0;
    for (; **p >= '0' && **p <= '9' && length < 11; ++*p, ++length) {
      value = value * 10 + static_cast<uint64_t>(**p - '0');
    }
    return length > 10 || value >= kTooLarge ? kTooLarge : value;
  }
  if (count == 0) return kTooLarge;
  *p += count;
  uint64_t value = digits << (8 * (8 - count));  // leading zeros
  value = value * 10 + (value >> 8);
  value = ((value & 0x000000FF000000FF) * 0x000F424000000064 +
           ((value >> 16) & 0x000000FF000000FF) * 0x0000271000000001) >>
          32;
  return value & 0xFFFFFFFF;
}

// Calls visit(number) for every element of `text`, which begins with '['; visit returns false to
// stop. 64 bytes behind the text must be readable. Returns the elements visited, or -1 - that
// number where the next one is no whole number below 2^32 or visit stopped at it.
template <typename Visit>
int64_t ForEachId(absl::string_view text, Visit visit) {
  const char* p = text.data() + 1;
  const char* const end = text.data() + text.size();
  const auto skip_space = [&p, end] {
    while (p < end && (*p == ' ' || *p == '\t')) ++p;
  };
  int64_t count = 0;
  skip_space();
  if (p < end && *p == ']') return 0;
  for (;;) {
    const uint64_t number = p < end ? ParseDigitsFast(&p) : uint64_t{1} << 32;
    if (number >> 32 != 0 || !visit(static_cast<uint32_t>(number))) return -1 - count;
    ++count;
    skip_space();
    if (p >= end || (*p != ',' && *p != ']'))
      return -count;  // the number goes on as something else
    if (*p++ == ']') return count;
    skip_space();
  }
}

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_ID_ARRAY_H_

// Byte units and the one function that divides bytes by a rate.
#ifndef TIERSCOPE_SIM_BASE_UNITS_H_
#define TIERSCOPE_SIM_BASE_UNITS_H_

#include <algorithm>
#include <cstdint>
#include <limits>

#include "sim/base/time.h"

namespace tierscope {

inline constexpr int64_t kKiB = int64_t{1} << 10;
inline constexpr int64_t kMiB = int64_t{1} << 20;
inline constexpr int64_t kGiB = int64_t{1} << 30;

constexpr double ToGiB(int64_t bytes) {
  return static_cast<double>(bytes) / static_cast<double>(kGiB);
}

// ceil(a / b) for a >= 0, b > 0.
constexpr int64_t CeilDiv(int64_t a, int64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

// Time to move `bytes` (>= 0) at `bytes_per_s` (> 0), rounded up to a whole nanosecond, at most
// kLongest. Computed in 128 bits, so no size that fits int64 overflows; apply it once to a batch,
// not to its pieces.
constexpr SimDuration TransferDuration(int64_t bytes, int64_t bytes_per_s) {
  const __int128 numerator = static_cast<__int128>(bytes) * 1'000'000'000;
  const __int128 ns = (numerator + bytes_per_s - 1) / bytes_per_s;
  return {static_cast<int64_t>(std::min<__int128>(ns, kLongest.ns))};
}

// Bytes that `bytes_per_s` moves in `d` (>= 0), rounded down, at most what int64 holds.
constexpr int64_t BytesMoved(SimDuration d, int64_t bytes_per_s) {
  const __int128 bytes = static_cast<__int128>(d.ns) * bytes_per_s / 1'000'000'000;
  return static_cast<int64_t>(std::min<__int128>(bytes, std::numeric_limits<int64_t>::max()));
}

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_BASE_UNITS_H_

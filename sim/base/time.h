// Simulated time: integer nanoseconds, as two types so that a point and a span cannot be mixed up.
// Plain values; thread-safe; every operation is one machine instruction.
#ifndef TIERSCOPE_SIM_BASE_TIME_H_
#define TIERSCOPE_SIM_BASE_TIME_H_

#include <compare>
#include <cstdint>
#include <limits>

namespace tierscope {

// A span of simulated time in nanoseconds; may be negative as a difference.
struct SimDuration {
  int64_t ns = 0;
  friend constexpr auto operator<=>(SimDuration, SimDuration) = default;
};

// A point of simulated time: nanoseconds since the start of the run.
struct SimTime {
  int64_t ns = 0;
  friend constexpr auto operator<=>(SimTime, SimTime) = default;
};

inline constexpr SimTime kSimTimeNever{std::numeric_limits<int64_t>::max()};

constexpr SimDuration operator+(SimDuration a, SimDuration b) { return {a.ns + b.ns}; }
constexpr SimDuration operator-(SimDuration a, SimDuration b) { return {a.ns - b.ns}; }
constexpr SimDuration operator*(SimDuration a, int64_t n) { return {a.ns * n}; }
constexpr SimDuration& operator+=(SimDuration& a, SimDuration b) { return a.ns += b.ns, a; }
constexpr SimDuration& operator-=(SimDuration& a, SimDuration b) { return a.ns -= b.ns, a; }
constexpr SimTime operator+(SimTime t, SimDuration d) { return {t.ns + d.ns}; }
constexpr SimTime operator-(SimTime t, SimDuration d) { return {t.ns - d.ns}; }
constexpr SimDuration operator-(SimTime a, SimTime b) { return {a.ns - b.ns}; }

// Rounds half away from zero. Precondition: |s| below 9.2e9.
constexpr SimDuration DurationFromSeconds(double s) {
  return {static_cast<int64_t>(s * 1e9 + (s < 0 ? -0.5 : 0.5))};
}
constexpr double ToSeconds(SimDuration d) { return static_cast<double>(d.ns) / 1e9; }
constexpr double ToMilliseconds(SimDuration d) { return static_cast<double>(d.ns) / 1e6; }
constexpr double ToSeconds(SimTime t) { return static_cast<double>(t.ns) / 1e9; }
constexpr double ToMilliseconds(SimTime t) { return static_cast<double>(t.ns) / 1e6; }

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_BASE_TIME_H_

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

// The longest that a modelled span takes: 2^57 ns, 4.6 years. One that would take longer takes
// this, and never ends, as no run's clock comes so far; what a rate that means nothing makes of a
// span can thus be added up some dozens of times without an overflow.
inline constexpr SimDuration kLongest{int64_t{1} << 57};
// The last instant of any run.
inline constexpr SimTime kClockEnd{kLongest.ns - 1};
// The furthest that a time given in seconds lies: 2^62 ns, 146 years. A century of a request trace
// is within, and it can be added to any instant of a run.
inline constexpr SimDuration kFurthest{int64_t{1} << 62};

// Nanoseconds cut to a whole number, at most `most` either way; `most` where it is no number.
constexpr SimDuration DurationFromNs(double ns, SimDuration most = kLongest) {
  if (!(ns < static_cast<double>(most.ns))) return most;
  return ns > static_cast<double>(-most.ns) ? SimDuration{static_cast<int64_t>(ns)}
                                            : SimDuration{-most.ns};
}
// Rounds half away from zero; at most kFurthest either way.
constexpr SimDuration DurationFromSeconds(double s) {
  return DurationFromNs(s * 1e9 + (s < 0 ? -0.5 : 0.5), kFurthest);
}
constexpr double ToSeconds(SimDuration d) { return static_cast<double>(d.ns) / 1e9; }
constexpr double ToMilliseconds(SimDuration d) { return static_cast<double>(d.ns) / 1e6; }
constexpr double ToSeconds(SimTime t) { return static_cast<double>(t.ns) / 1e9; }
constexpr double ToMilliseconds(SimTime t) { return static_cast<double>(t.ns) / 1e6; }

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_BASE_TIME_H_

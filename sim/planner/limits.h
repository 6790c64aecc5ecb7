// Limits on the metrics of a run: what a load must keep to count as served. Pure; thread-safe.
#ifndef TIERSCOPE_SIM_PLANNER_LIMITS_H_
#define TIERSCOPE_SIM_PLANNER_LIMITS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "reports/schema/result.pb.h"

namespace tierscope {

// A resource of which a replica has a fixed amount.
enum class Bottleneck : uint8_t { kNone, kHbm, kHost, kReserve, kGraphBatch, kRequestSlots };

// A ceiling holds while value <= bound, a floor while value >= bound; bounds in the metric's unit.
struct Limit {
  std::string metric;
  bool is_ceiling = true;
  double bound = 0.0;
  std::string label;                        // what people call it; empty: text of the limit
  Bottleneck resource = Bottleneck::kNone;  // whose lack the metric shows
  double noise = 0.01;                      // a slack this small, either way, may be chance
  bool saturates = false;  // once it fails, more load is not taken: nothing shows behind it
  std::string text() const;
};

// "tpot_ms_p99<=50" or "coverage>=0.75". Errors: no such form, a metric that does not exist (with
// the nearest names), a bound that is not finite.
absl::StatusOr<Limit> ParseLimit(absl::string_view text);

// Error: the same limit twice, or a floor above a ceiling of the same metric: no load can meet it.
absl::Status CheckLimits(std::span<const Limit> limits);

struct Reading {
  double value = 0.0;
  bool holds = false;
  // Room to the bound as a part of it, negative beyond it: (bound - value) / |bound| for a ceiling.
  // Of a bound of 0 the room itself.
  double slack = 0.0;
  bool absent = false;  // the run had no value; does not hold
};

// Of a limit whose metric has no value at this load (nobody finished in time, say).
inline constexpr double kAbsentSlack = -1e9;

// Error: with `require`, the result has no value for a limit's metric; the message gives the
// reason. Else such a limit does not hold.
absl::StatusOr<std::vector<Reading>> ReadLimits(std::span<const Limit> limits,
                                                const RunResult& result, bool require = true);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_PLANNER_LIMITS_H_

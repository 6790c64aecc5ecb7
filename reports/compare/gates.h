// gates.txtpb (reports/schema/gates.proto): what is accepted of each metric, and waivers.
// Stateless.
#ifndef TIERSCOPE_REPORTS_COMPARE_GATES_H_
#define TIERSCOPE_REPORTS_COMPARE_GATES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "reports/schema/direction.h"

namespace tierscope {

// What holds for one metric after all gates that match it.
struct MetricGate {
  Direction direction = Direction::kNone;
  double tolerance_relative = 0;
  double tolerance_absolute = 0;
  double effect_min = 0.015;
  bool fails = true;
  bool ambiguous_fails = false;
};

struct Gates {
  struct Rule {
    std::string metric;  // a name, or a prefix that ends in '*'
    int direction = -1;  // Gate::Direction; each below 0 is unset
    double tolerance_relative = -1;
    double tolerance_absolute = -1;
    double effect_min = -1;
    int severity = -1;
    int ambiguous_fails = -1;
    std::string where;  // file:line:column
  };
  struct Waiver {
    std::string metric, scenario;  // patterns
    std::string reason;
    std::string expires;  // YYYY-MM-DD
    std::string where;
  };
  std::vector<Rule> rules;
  std::vector<Waiver> waivers;
};

// True for the name itself, and for a prefix that ends in '*'.
bool MatchesPattern(absl::string_view pattern, absl::string_view name);

// "YYYY-MM-DD", a day of the calendar. Such dates compare as text.
bool IsDate(absl::string_view text);

// Errors are one line, "file:line:column: what; what to do": no metric, a '*' inside, a tolerance
// that is no number from 0 on, a waiver without reason, scenario or date.
absl::StatusOr<Gates> ParseGates(const std::string& text, const std::string& path);
absl::StatusOr<Gates> ReadGates(const std::string& path);

// The gate of one metric: its own direction, then every rule that matches, in order.
MetricGate GateOf(const Gates& gates, absl::string_view metric);

// The first rule or waiver whose pattern names none of `metrics`, nor a metric that results or
// host.json can have.
absl::Status CheckMetricsKnown(const Gates& gates, const std::vector<std::string>& metrics);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_COMPARE_GATES_H_

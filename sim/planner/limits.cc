#include "sim/planner/limits.h"

#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "reports/schema/metrics.h"

namespace tierscope {
namespace {

// Names that begin like a name that does not exist; for the message.
std::string NamesLike(absl::string_view name) {
  const absl::string_view stem = name.substr(0, name.find('_'));
  std::vector<std::string> names;
  for (const MetricDef& def : MetricDefinitions()) {
    if (absl::StartsWith(def.name, stem)) names.emplace_back(def.name);
  }
  if (names.empty()) return "reports/schema/README.md lists them";
  return absl::StrCat("there are ", absl::StrJoin(names, ", "));
}

}  // namespace

std::string Limit::text() const {
  return absl::StrCat(metric, is_ceiling ? " <= " : " >= ", bound);
}

absl::StatusOr<Limit> ParseLimit(absl::string_view text) {
  const size_t at = text.find_first_of("<>");
  if (at == absl::string_view::npos || at + 1 >= text.size() || text[at + 1] != '=') {
    return absl::InvalidArgumentError(absl::StrCat(
        "limit '", text, "': write METRIC<=BOUND or METRIC>=BOUND, such as tpot_ms_p99<=50"));
  }
  Limit limit;
  limit.metric = std::string(absl::StripAsciiWhitespace(text.substr(0, at)));
  limit.is_ceiling = text[at] == '<';
  if (FindMetricDefinition(limit.metric) == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("limit '", text, "': no metric is called '",
                                                   limit.metric, "'; ", NamesLike(limit.metric)));
  }
  if (!absl::SimpleAtod(absl::StripAsciiWhitespace(text.substr(at + 2)), &limit.bound) ||
      !std::isfinite(limit.bound)) {
    return absl::InvalidArgumentError(
        absl::StrCat("limit '", text, "': the bound must be a finite number"));
  }
  return limit;
}

absl::Status CheckLimits(std::span<const Limit> limits) {
  for (size_t i = 0; i < limits.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const Limit& a = limits[j];
      const Limit& b = limits[i];
      if (a.metric != b.metric) continue;
      if (a.is_ceiling == b.is_ceiling) {
        return absl::InvalidArgumentError(absl::StrCat("limits ", a.text(), " and ", b.text(),
                                                       ": give one of them, the other says less"));
      }
      const double ceiling = a.is_ceiling ? a.bound : b.bound;
      const double floor = a.is_ceiling ? b.bound : a.bound;
      if (floor > ceiling) {
        return absl::InvalidArgumentError(absl::StrCat("limits ", a.text(), " and ", b.text(),
                                                       " contradict each other: no load can meet "
                                                       "both"));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Reading>> ReadLimits(std::span<const Limit> limits,
                                                const RunResult& result, bool require) {
  std::vector<Reading> readings;
  for (const Limit& limit : limits) {
    const Metric* metric = FindMetric(result, limit.metric);
    if (metric == nullptr || !HasValue(*metric)) {
      readings.push_back({0.0, false, kAbsentSlack, true});
      if (!require) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("limit ", limit.text(), ": the run has no such value",
                       metric == nullptr ? "" : absl::StrCat(" (", metric->absent(), ")"),
                       "; drop the limit or change the scenario"));
    }
    Reading reading{metric->value()};
    const double room =
        limit.is_ceiling ? limit.bound - reading.value : reading.value - limit.bound;
    reading.holds = room >= 0.0;
    reading.slack = limit.bound == 0.0 ? room : room / std::abs(limit.bound);
    readings.push_back(reading);
  }
  return readings;
}

}  // namespace tierscope

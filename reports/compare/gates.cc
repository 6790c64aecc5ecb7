#include "reports/compare/gates.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "reports/host_metrics.h"
#include "reports/schema/gates.pb.h"
#include "reports/schema/metrics.h"
#include "scenarios/text_file.h"
#include "sim/base/quoted.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

using google::protobuf::TextFormat;

// Two digits and two more, as a number.
int DigitsAt(absl::string_view text, size_t at, size_t count) {
  int value = 0;
  return absl::SimpleAtoi(text.substr(at, count), &value) ? value : -1;
}

int DaysOf(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

// Where the `index`-th `field` of a gate file stands.
std::string PlaceOf(const std::string& path, const TextFormat::ParseInfoTree& tree,
                    const char* field, int index) {
  const auto* descriptor = GateFile::descriptor()->FindFieldByName(field);
  const TextFormat::ParseLocation at = tree.GetLocation(descriptor, index);
  return absl::StrCat(path, ":", at.line + 1, ":", at.column + 1);
}

absl::Status Wrong(absl::string_view where, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(where, ": ", what));
}

absl::Status CheckPattern(absl::string_view where, absl::string_view field,
                          absl::string_view pattern) {
  if (pattern.empty()) {
    return Wrong(where, absl::StrCat("no ", field, "; give a name, or a prefix and '*'"));
  }
  if (!IsPlainText(pattern)) {
    return Wrong(where, absl::StrCat(field, " ", Quoted(pattern), " has control characters"));
  }
  if (absl::StrContains(pattern.substr(0, pattern.size() - 1), "*")) {
    return Wrong(where, absl::StrCat(field, " ", Quoted(pattern),
                                     " has a '*' that is not its last character"));
  }
  return absl::OkStatus();
}

absl::Status CheckAmount(absl::string_view where, absl::string_view field, bool has, double value) {
  if (!has || (std::isfinite(value) && value >= 0)) return absl::OkStatus();
  return Wrong(where, absl::StrCat(field, " is ", value, "; give a number from 0 on"));
}

absl::StatusOr<Gates::Rule> RuleOf(const Gate& gate, const std::string& where) {
  TIERSCOPE_RETURN_IF_ERROR(CheckPattern(where, "metric", gate.metric()));
  TIERSCOPE_RETURN_IF_ERROR(CheckAmount(where, "tolerance_relative", gate.has_tolerance_relative(),
                                        gate.tolerance_relative()));
  TIERSCOPE_RETURN_IF_ERROR(CheckAmount(where, "tolerance_absolute", gate.has_tolerance_absolute(),
                                        gate.tolerance_absolute()));
  TIERSCOPE_RETURN_IF_ERROR(
      CheckAmount(where, "effect_min", gate.has_effect_min(), gate.effect_min()));
  Gates::Rule rule;
  rule.metric = gate.metric();
  rule.where = where;
  if (gate.has_direction()) rule.direction = gate.direction();
  if (gate.has_tolerance_relative()) rule.tolerance_relative = gate.tolerance_relative();
  if (gate.has_tolerance_absolute()) rule.tolerance_absolute = gate.tolerance_absolute();
  if (gate.has_effect_min()) rule.effect_min = gate.effect_min();
  if (gate.has_severity()) rule.severity = gate.severity();
  if (gate.has_ambiguous_fails()) rule.ambiguous_fails = gate.ambiguous_fails() ? 1 : 0;
  return rule;
}

absl::StatusOr<Gates::Waiver> WaiverOf(const Waiver& waiver, const std::string& where) {
  TIERSCOPE_RETURN_IF_ERROR(CheckPattern(where, "metric", waiver.metric()));
  TIERSCOPE_RETURN_IF_ERROR(CheckPattern(where, "scenario", waiver.scenario()));
  if (waiver.reason().empty()) {
    return Wrong(where, "the waiver has no reason; say why the failure is accepted");
  }
  if (!IsDate(waiver.expires())) {
    return Wrong(where, absl::StrCat("expires ", Quoted(waiver.expires()),
                                     " is no date; give the last day as YYYY-MM-DD"));
  }
  return Gates::Waiver{waiver.metric(), waiver.scenario(), waiver.reason(), waiver.expires(),
                       where};
}

bool NamesAMetric(absl::string_view pattern, const std::vector<std::string>& metrics) {
  const auto matches = [pattern](absl::string_view name) { return MatchesPattern(pattern, name); };
  const auto defined = MetricDefinitions();
  return std::any_of(metrics.begin(), metrics.end(), matches) ||
         std::any_of(defined.begin(), defined.end(),
                     [&](const MetricDef& def) { return matches(def.name); }) ||
         std::any_of(std::begin(kHostMetrics), std::end(kHostMetrics),
                     [&](const HostMetricDef& def) { return matches(def.name); });
}

Direction DirectionIn(int direction) {
  switch (static_cast<Gate::Direction>(direction)) {
    case Gate::HIGHER_BETTER:
      return Direction::kHigherBetter;
    case Gate::LOWER_BETTER:
      return Direction::kLowerBetter;
    case Gate::EXACT:
      return Direction::kNone;
  }
  return Direction::kNone;
}

}  // namespace

bool MatchesPattern(absl::string_view pattern, absl::string_view name) {
  return absl::ConsumeSuffix(&pattern, "*") ? absl::StartsWith(name, pattern) : name == pattern;
}

bool IsDate(absl::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i != 4 && i != 7 && (text[i] < '0' || text[i] > '9')) return false;
  }
  const int year = DigitsAt(text, 0, 4), month = DigitsAt(text, 5, 2), day = DigitsAt(text, 8, 2);
  return month >= 1 && month <= 12 && day >= 1 && day <= DaysOf(year, month);
}

absl::StatusOr<Gates> ParseGates(const std::string& text, const std::string& path) {
  GateFile file;
  TextFormat::ParseInfoTree tree;
  TIERSCOPE_RETURN_IF_ERROR(ParseText(text, path, &file, &tree));
  Gates gates;
  for (int i = 0; i < file.gate_size(); ++i) {
    TIERSCOPE_ASSIGN_OR_RETURN(Gates::Rule rule,
                               RuleOf(file.gate(i), PlaceOf(path, tree, "gate", i)));
    gates.rules.push_back(std::move(rule));
  }
  for (int i = 0; i < file.waiver_size(); ++i) {
    TIERSCOPE_ASSIGN_OR_RETURN(Gates::Waiver waiver,
                               WaiverOf(file.waiver(i), PlaceOf(path, tree, "waiver", i)));
    gates.waivers.push_back(std::move(waiver));
  }
  return gates;
}

absl::StatusOr<Gates> ReadGates(const std::string& path) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  return ParseGates(text, path);
}

MetricGate GateOf(const Gates& gates, absl::string_view metric) {
  MetricGate gate;
  gate.direction = DirectionOf(metric);
  for (const Gates::Rule& rule : gates.rules) {
    if (!MatchesPattern(rule.metric, metric)) continue;
    if (rule.direction >= 0) gate.direction = DirectionIn(rule.direction);
    if (rule.tolerance_relative >= 0) gate.tolerance_relative = rule.tolerance_relative;
    if (rule.tolerance_absolute >= 0) gate.tolerance_absolute = rule.tolerance_absolute;
    if (rule.effect_min >= 0) gate.effect_min = rule.effect_min;
    if (rule.severity >= 0) gate.fails = rule.severity == Gate::FAIL;
    if (rule.ambiguous_fails >= 0) gate.ambiguous_fails = rule.ambiguous_fails == 1;
  }
  return gate;
}

absl::Status CheckMetricsKnown(const Gates& gates, const std::vector<std::string>& metrics) {
  for (const Gates::Rule& rule : gates.rules) {
    if (NamesAMetric(rule.metric, metrics)) continue;
    return Wrong(rule.where, absl::StrCat("a gate on the unknown metric ", Quoted(rule.metric),
                                          "; reports/schema/README.md lists them"));
  }
  for (const Gates::Waiver& waiver : gates.waivers) {
    if (NamesAMetric(waiver.metric, metrics)) continue;
    return Wrong(waiver.where,
                 absl::StrCat("a waiver of the unknown metric ", Quoted(waiver.metric),
                              "; reports/schema/README.md lists them"));
  }
  return absl::OkStatus();
}

}  // namespace tierscope

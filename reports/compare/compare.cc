#include "reports/compare/compare.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "reports/text.h"
#include "sim/base/digest.h"
#include "sim/base/quoted.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

constexpr size_t kDifferencesNamed = 3;

struct Pair {
  const ScenarioRuns* base;
  const ScenarioRuns* next;
};

absl::Status NotComparable(absl::string_view what) { return absl::FailedPreconditionError(what); }

std::string NamesOf(const RunSet& set) {
  return absl::StrJoin(set.scenarios, ", ", [](std::string* out, const ScenarioRuns& runs) {
    absl::StrAppend(out, Quoted(runs.identity.scenario()));
  });
}

// Scenarios by name; of one run a side under --across=scenario the two, whatever their names.
absl::StatusOr<std::vector<Pair>> PairsOf(const RunSet& base, const RunSet& next,
                                          const CompareOptions& options) {
  const bool across = options.across.count(FingerprintGroup::kScenario) > 0;
  if (across && base.scenarios.size() == 1 && next.scenarios.size() == 1) {
    return std::vector<Pair>{{&base.scenarios[0], &next.scenarios[0]}};
  }
  std::vector<Pair> pairs;
  for (const ScenarioRuns& runs : base.scenarios) {
    const ScenarioRuns* other = next.Find(runs.identity.scenario());
    if (other != nullptr) pairs.push_back({&runs, other});
  }
  if (!pairs.empty()) return pairs;
  return NotComparable(absl::StrCat("no common scenario: ", base.path, " has ", NamesOf(base), ", ",
                                    next.path, " has ", NamesOf(next),
                                    "; scenarios are paired by name"));
}

std::string Value(const std::string& text) { return text.empty() ? "none" : Quoted(text); }

absl::Status CheckFingerprints(const Pair& pair, const CompareOptions& options) {
  std::vector<std::string> refused;
  std::set<std::string> groups;
  for (const FingerprintDifference& d : CompareFingerprints(*pair.base, *pair.next)) {
    if (options.across.count(d.group) > 0 && d.group != FingerprintGroup::kKind) continue;
    refused.push_back(
        absl::StrCat(OneLine(d.field), " (", Value(d.base), " / ", Value(d.next), ")"));
    groups.insert(std::string(GroupName(d.group)));
  }
  if (refused.empty()) return absl::OkStatus();
  const size_t more = refused.size() - std::min(refused.size(), kDifferencesNamed);
  if (more > 0) refused.resize(kDifferencesNamed);
  const bool kind = groups.count("kind") > 0;
  return NotComparable(absl::StrCat(
      "scenario ", Quoted(pair.base->identity.scenario()), " differs in ",
      absl::StrJoin(refused, ", "), more > 0 ? absl::StrCat(" and ", more, " more") : "", "; ",
      kind ? "a simulated and a measured run are not compared but reconciled"
           : absl::StrCat("compare what ran alike, or say --across=", absl::StrJoin(groups, ","))));
}

// The waiver that accepts this failure today, or null.
const Gates::Waiver* WaiverOf(const CompareOptions& options, const MetricComparison& comparison) {
  for (const Gates::Waiver& waiver : options.gates.waivers) {
    if (waiver.expires < options.today) continue;
    if (MatchesPattern(waiver.metric, comparison.metric) &&
        MatchesPattern(waiver.scenario, comparison.scenario)) {
      return &waiver;
    }
  }
  return nullptr;
}

bool FailsBy(Verdict verdict, const MetricGate& gate) {
  switch (verdict) {
    case Verdict::kSame:
    case Verdict::kImproved:
    case Verdict::kNew:
      return false;
    case Verdict::kAmbiguous:
      return gate.fails && gate.ambiguous_fails;
    case Verdict::kRegressed:
    case Verdict::kChanged:
    case Verdict::kMissing:
      return gate.fails;
  }
  return true;
}

void JudgeSimulated(double base, double next, const MetricGate& gate,
                    MetricComparison* comparison) {
  comparison->base = base;
  comparison->next = next;
  comparison->base_samples = comparison->next_samples = 1;
  if (base == next) return;
  const double accepted =
      std::max(gate.tolerance_absolute, gate.tolerance_relative * std::abs(base));
  if (std::abs(next - base) <= accepted) {
    comparison->why = "within the tolerance of its gate";
  } else if (gate.direction == Direction::kNone) {
    comparison->verdict = Verdict::kChanged;
    comparison->why = "neither way is better";
  } else {
    const bool better = (next > base) == (gate.direction == Direction::kHigherBetter);
    comparison->verdict = better ? Verdict::kImproved : Verdict::kRegressed;
  }
}

// The same sides give the same bootstrap, in whatever order metrics stand.
uint64_t SeedOf(const MetricComparison& comparison) {
  Digest digest;
  digest.Add(comparison.scenario);
  digest.Add(comparison.metric);
  return digest.value();
}

std::string AbsentWhy(const MetricSamples& metric) {
  return metric.absent.empty() ? "it has no value" : metric.absent;
}

void JudgePresence(const MetricSamples& base, const MetricSamples* next,
                   MetricComparison* comparison) {
  if (next == nullptr) {
    comparison->verdict = Verdict::kMissing;
    comparison->why = "the new run does not have it";
  } else if (base.values.empty() && next->values.empty()) {
    comparison->why = absl::StrCat("absent: ", AbsentWhy(*next));
  } else if (next->values.empty()) {
    comparison->verdict = Verdict::kMissing;
    comparison->why = AbsentWhy(*next);
  } else {
    comparison->verdict = Verdict::kNew;
    comparison->why = absl::StrCat("the base had none: ", AbsentWhy(base));
  }
  if (!base.values.empty()) comparison->base = MedianOf(base.values);
  if (next != nullptr && !next->values.empty()) comparison->next = MedianOf(next->values);
}

void CompareMetric(const MetricSamples& base, const MetricSamples* next, const MetricGate& gate,
                   MetricComparison* comparison) {
  if (next == nullptr || base.values.empty() || next->values.empty()) {
    JudgePresence(base, next, comparison);
  } else if (base.unit != next->unit && !base.unit.empty() && !next->unit.empty()) {
    comparison->base = MedianOf(base.values);
    comparison->next = MedianOf(next->values);
    comparison->verdict = Verdict::kChanged;
    comparison->why = absl::StrCat("the unit was ", base.unit, " and is ", next->unit);
  } else if (base.measured || next->measured) {
    JudgeMeasured(base.values, next->values, gate, SeedOf(*comparison), comparison);
  } else {
    JudgeSimulated(base.values[0], next->values[0], gate, comparison);
  }
}

void Finish(const MetricGate& gate, const CompareOptions& options, MetricComparison* comparison) {
  comparison->fails = FailsBy(comparison->verdict, gate);
  if (!comparison->fails) return;
  const Gates::Waiver* waiver = WaiverOf(options, *comparison);
  if (waiver == nullptr) return;
  comparison->fails = false;
  comparison->waiver = absl::StrCat(waiver->reason, " (until ", waiver->expires, ")");
}

MetricComparison Started(const Pair& pair, const MetricSamples& metric) {
  MetricComparison comparison;
  comparison.scenario = pair.base->identity.scenario();
  comparison.metric = metric.name;
  comparison.unit = metric.unit;
  comparison.measured = metric.measured;
  return comparison;
}

void ComparePair(const Pair& pair, const CompareOptions& options, Comparison* all) {
  for (const MetricSamples& metric : pair.base->metrics) {
    MetricComparison comparison = Started(pair, metric);
    const MetricGate gate = GateOf(options.gates, metric.name);
    CompareMetric(metric, pair.next->Find(metric.name), gate, &comparison);
    Finish(gate, options, &comparison);
    all->metrics.push_back(std::move(comparison));
  }
  for (const MetricSamples& metric : pair.next->metrics) {
    if (pair.base->Find(metric.name) != nullptr) continue;
    MetricComparison comparison = Started(pair, metric);
    comparison.verdict = Verdict::kNew;
    if (!metric.values.empty()) comparison.next = MedianOf(metric.values);
    comparison.why = metric.values.empty() ? absl::StrCat("absent: ", AbsentWhy(metric))
                                           : "the base does not have it";
    all->metrics.push_back(std::move(comparison));
  }
}

void AddRemarks(const Pair& pair, Comparison* all) {
  const RunResult &base = pair.base->identity, &next = pair.next->identity;
  for (const Violation& violation : next.violations()) {
    all->problems.push_back(
        {next.scenario(), absl::StrCat("an invariant is broken: ", violation.what())});
  }
  if (!base.violations().empty()) {
    all->problems.push_back({base.scenario(),
                             "the base broke an invariant and is worth nothing; "
                             "renew it"});
  }
  const bool moved = std::any_of(
      all->metrics.begin(), all->metrics.end(), [&](const MetricComparison& comparison) {
        return comparison.scenario == base.scenario() && comparison.base != comparison.next;
      });
  if (base.event_digest() != next.event_digest() && !moved) {
    all->notes.push_back(absl::StrCat(base.scenario(), ": events differ (event_digest ",
                                      base.event_digest(), " / ", next.event_digest(),
                                      "), and no metric shows it"));
  }
}

void AddUnpaired(const RunSet& base, const RunSet& next, const std::vector<Pair>& pairs,
                 Comparison* all) {
  const auto is_paired = [&](const ScenarioRuns& runs) {
    return std::any_of(pairs.begin(), pairs.end(),
                       [&](const Pair& pair) { return pair.base == &runs || pair.next == &runs; });
  };
  for (const ScenarioRuns& runs : base.scenarios) {
    if (is_paired(runs)) continue;
    all->problems.push_back({runs.identity.scenario(), "missing: the new runs do not have it"});
  }
  for (const ScenarioRuns& runs : next.scenarios) {
    if (is_paired(runs)) continue;
    all->notes.push_back(
        absl::StrCat(runs.identity.scenario(), ": new, the base does not have it"));
  }
}

void AddExpired(const CompareOptions& options, Comparison* all) {
  for (const Gates::Waiver& waiver : options.gates.waivers) {
    if (waiver.expires >= options.today) continue;
    all->problems.push_back(
        {"", absl::StrCat(waiver.where, ": the waiver of ", waiver.metric, " in ", waiver.scenario,
                          " expired on ", waiver.expires, " (", waiver.reason,
                          "); remove it or renew it")});
  }
}

std::vector<std::string> MetricNames(const RunSet& base, const RunSet& next) {
  std::vector<std::string> names;
  for (const RunSet* set : {&base, &next}) {
    for (const ScenarioRuns& runs : set->scenarios) {
      for (const MetricSamples& metric : runs.metrics) names.push_back(metric.name);
    }
  }
  return names;
}

}  // namespace

absl::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kSame:
      return "same";
    case Verdict::kImproved:
      return "improved";
    case Verdict::kRegressed:
      return "regressed";
    case Verdict::kChanged:
      return "changed";
    case Verdict::kAmbiguous:
      return "ambiguous";
    case Verdict::kMissing:
      return "missing";
    case Verdict::kNew:
      return "new";
  }
  return "";
}

absl::StatusOr<Comparison> Compare(const RunSet& base, const RunSet& next,
                                   const CompareOptions& options) {
  TIERSCOPE_RETURN_IF_ERROR(CheckMetricsKnown(options.gates, MetricNames(base, next)));
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<Pair> pairs, PairsOf(base, next, options));
  for (const Pair& pair : pairs) TIERSCOPE_RETURN_IF_ERROR(CheckFingerprints(pair, options));
  Comparison all;
  all.base_path = base.path;
  all.next_path = next.path;
  all.base_version = pairs[0].base->identity.version();
  all.next_version = pairs[0].next->identity.version();
  for (const Pair& pair : pairs) {
    ComparePair(pair, options, &all);
    AddRemarks(pair, &all);
  }
  AddUnpaired(base, next, pairs, &all);
  AddExpired(options, &all);
  all.passes = all.problems.empty() &&
               std::none_of(all.metrics.begin(), all.metrics.end(),
                            [](const MetricComparison& comparison) { return comparison.fails; });
  return all;
}

}  // namespace tierscope

// What tierscope compare reads: results, gates, samples.
#include <cmath>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "simdjson.h"

#include "reports/compare/documents.h"
#include "reports/compare/rows.h"
#include "reports/compare/run_set.h"
#include "reports/result_reader.h"
#include "sim/base/check.h"
#include "tests/fuzz/inputs.h"
#include "tests/fuzz/targets.h"

namespace tierscope::testing {
namespace {

constexpr size_t kMarkdownMax = 2000;

bool HasViolations(const RunSet& set) {
  for (const ScenarioRuns& runs : set.scenarios) {
    if (runs.identity.violations_size() > 0) return true;
  }
  return false;
}

// Compared with themselves runs pass, unless they broke an invariant; every document is whole.
void CheckAgainstItself(const RunSet& set) {
  const absl::StatusOr<Comparison> comparison = Compare(set, set, {});
  TIERSCOPE_CHECK(comparison.ok());
  TIERSCOPE_CHECK(comparison->passes != HasViolations(set));
  TIERSCOPE_CHECK(ComparisonMarkdown(*comparison, kMarkdownMax).size() <= kMarkdownMax);
  simdjson::dom::parser parser;
  TIERSCOPE_CHECK(parser.parse(ComparisonJson(*comparison)).error() == simdjson::SUCCESS);
  TIERSCOPE_CHECK(simdjson::validate_utf8(ComparisonJunit(*comparison)));
  TIERSCOPE_CHECK(simdjson::validate_utf8(ComparisonHtml(*comparison)));
  TIERSCOPE_CHECK(absl::EndsWith(ComparisonCsv(*comparison), "\n"));
}

}  // namespace

void FuzzResult(absl::string_view input) {
  static MemoryFile file;
  const std::string& path = file.Fill(input);
  const absl::StatusOr<RunSet> set = LoadRunSet(path, false);
  if (!set.ok()) return CheckError(set.status(), path);
  CheckAgainstItself(*set);
}

void FuzzGates(absl::string_view input) {
  const absl::StatusOr<Gates> gates = ParseGates(std::string(input), "gates.txtpb");
  if (!gates.ok()) return CheckError(gates.status(), "gates.txtpb");
  const MetricGate gate = GateOf(*gates, "coverage");
  for (const double amount : {gate.tolerance_relative, gate.tolerance_absolute, gate.effect_min}) {
    TIERSCOPE_CHECK(std::isfinite(amount) && amount >= 0);
  }
  for (const Gates::Waiver& waiver : gates->waivers) TIERSCOPE_CHECK(IsDate(waiver.expires));
  const absl::Status known = CheckMetricsKnown(*gates, {});
  if (!known.ok()) CheckError(known, "gates.txtpb");
}

void FuzzSamples(absl::string_view input) {
  const auto samples = ParseSamples(std::string(input), "samples.csv");
  if (!samples.ok()) return CheckError(samples.status(), "samples.csv");
  std::set<std::string> names;
  for (const MetricRepeats& repeats : *samples) {
    TIERSCOPE_CHECK(names.insert(repeats.metric).second && !repeats.values.empty());
    for (const double value : repeats.values) TIERSCOPE_CHECK(std::isfinite(value));
  }
}

}  // namespace tierscope::testing

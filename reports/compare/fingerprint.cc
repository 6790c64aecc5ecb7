#include "reports/compare/fingerprint.h"

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"

#include "scenarios/scenario.pb.h"
#include "scenarios/text_file.h"

namespace tierscope {
namespace {

using Differences = std::vector<FingerprintDifference>;

FingerprintGroup GroupOfRole(absl::string_view role) {
  if (role == "model") return FingerprintGroup::kModel;
  if (role == "device") return FingerprintGroup::kDevice;
  return FingerprintGroup::kTrace;
}

FingerprintGroup GroupOfField(absl::string_view field) {
  if (absl::StartsWith(field, "model.")) return FingerprintGroup::kModel;
  if (absl::StartsWith(field, "hardware.") || absl::StartsWith(field, "node.")) {
    return FingerprintGroup::kDevice;
  }
  return FingerprintGroup::kScenario;
}

// Digests of the inputs of one role, in order, and the names that people know them by.
std::string DigestsOf(const RunResult& result, absl::string_view role) {
  std::string digests;
  for (const Input& input : result.inputs()) {
    if (input.role() == role) absl::StrAppend(&digests, digests.empty() ? "" : " ", input.digest());
  }
  return digests;
}

std::string DescribedInputs(const RunResult& result, absl::string_view role) {
  std::string text;
  for (const Input& input : result.inputs()) {
    if (input.role() != role) continue;
    absl::StrAppend(&text, text.empty() ? "" : ", ", input.name(), " (", input.digest(), ")");
  }
  return text;
}

void AddInputs(const RunResult& base, const RunResult& next, Differences* differences) {
  std::vector<std::string> roles;
  for (const RunResult* result : {&base, &next}) {
    for (const Input& input : result->inputs()) {
      if (std::find(roles.begin(), roles.end(), input.role()) == roles.end()) {
        roles.push_back(input.role());
      }
    }
  }
  for (const std::string& role : roles) {
    if (DigestsOf(base, role) == DigestsOf(next, role)) continue;
    differences->push_back(
        {GroupOfRole(role), role, DescribedInputs(base, role), DescribedInputs(next, role)});
  }
}

// The resolved scenario as the run folder has it, without what is no part of its digest.
bool ParseResolved(const std::string& text, Scenario* scenario) {
  google::protobuf::TextFormat::ParseInfoTree tree;
  if (text.empty() || !ParseText(text, "scenario.txtpb", scenario, &tree).ok()) return false;
  scenario->clear_name();
  scenario->clear_description();
  scenario->mutable_workload()->clear_trace();
  scenario->mutable_workload()->mutable_attention()->clear_trace();
  return true;
}

// A line of the differencer: "modified: a.b: 1 -> 2", "added: a.b: 2", "deleted: a.b: 1".
FingerprintDifference DifferenceOf(absl::string_view line) {
  const std::pair<absl::string_view, absl::string_view> kind =
      absl::StrSplit(line, absl::MaxSplits(": ", 1));
  const std::pair<absl::string_view, absl::string_view> field =
      absl::StrSplit(kind.second, absl::MaxSplits(": ", 1));
  FingerprintDifference difference{GroupOfField(absl::StrCat(field.first, ".")),
                                   std::string(field.first), "", ""};
  if (kind.first == "modified") {
    const std::pair<absl::string_view, absl::string_view> values =
        absl::StrSplit(field.second, absl::MaxSplits(" -> ", 1));
    difference.base = std::string(values.first);
    difference.next = std::string(values.second);
  } else {
    (kind.first == "added" ? difference.next : difference.base) = std::string(field.second);
  }
  return difference;
}

void AddScenario(const ScenarioRuns& base, const ScenarioRuns& next, Differences* differences) {
  const std::string &of_base = base.identity.scenario_digest(),
                    &of_next = next.identity.scenario_digest();
  if (of_base == of_next) return;
  Scenario base_scenario, next_scenario;
  std::string report;
  if (ParseResolved(base.scenario_text, &base_scenario) &&
      ParseResolved(next.scenario_text, &next_scenario)) {
    google::protobuf::util::MessageDifferencer differencer;
    differencer.ReportDifferencesToString(&report);
    differencer.Compare(base_scenario, next_scenario);
  }
  for (const absl::string_view line : absl::StrSplit(report, '\n', absl::SkipEmpty())) {
    differences->push_back(DifferenceOf(line));
  }
  if (report.empty()) {
    differences->push_back({FingerprintGroup::kScenario, "scenario_digest", of_base, of_next});
  }
}

bool HasMeasured(const ScenarioRuns& runs) {
  return std::any_of(runs.metrics.begin(), runs.metrics.end(),
                     [](const MetricSamples& metric) { return metric.measured; });
}

void AddHost(const ScenarioRuns& base, const ScenarioRuns& next, Differences* differences) {
  if (!HasMeasured(base) || !HasMeasured(next)) return;
  if (base.cpu != next.cpu) {
    differences->push_back({FingerprintGroup::kDevice, "host.cpu", base.cpu, next.cpu});
  }
  if (base.build_type != next.build_type) {
    differences->push_back(
        {FingerprintGroup::kDevice, "host.build_type", base.build_type, next.build_type});
  }
}

}  // namespace

absl::string_view GroupName(FingerprintGroup group) {
  switch (group) {
    case FingerprintGroup::kKind:
      return "kind";
    case FingerprintGroup::kScenario:
      return "scenario";
    case FingerprintGroup::kTrace:
      return "trace";
    case FingerprintGroup::kModel:
      return "model";
    case FingerprintGroup::kDevice:
      return "device";
  }
  return "";
}

Differences CompareFingerprints(const ScenarioRuns& base, const ScenarioRuns& next) {
  Differences differences;
  if (base.identity.kind() != next.identity.kind()) {
    differences.push_back(
        {FingerprintGroup::kKind, "kind", base.identity.kind(), next.identity.kind()});
  }
  AddScenario(base, next, &differences);
  AddInputs(base.identity, next.identity, &differences);
  AddHost(base, next, &differences);
  return differences;
}

}  // namespace tierscope

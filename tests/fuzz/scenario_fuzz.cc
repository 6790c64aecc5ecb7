// The scenario loader: file text, a preset's file, --set; and what is accepted in a brief run.
#include <cstring>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "scenarios/loader.h"
#include "scenarios/overrides.h"
#include "sim/base/check.h"
#include "tests/fuzz/inputs.h"
#include "tests/fuzz/targets.h"
#include "tests/scenarios/scenario_text.h"
#include "tests/testing/brief_run.h"

namespace tierscope::testing {
namespace {

// A file name may stand twice in a message: where, and what.
constexpr size_t kMessageWithPathsMax = kMessageBytesMax + 2 * 4096;

// A resolved scenario prints as text that loads to the same one, from anywhere.
void CheckScenario(const Scenario& scenario) {
  const std::string text = ScenarioText(scenario);
  const absl::StatusOr<Scenario> again = ParseScenario(text, "/elsewhere/other.txtpb", {});
  TIERSCOPE_CHECK(again.ok());
  TIERSCOPE_CHECK(ScenarioText(*again) == text);
  TIERSCOPE_CHECK(ScenarioDigest(*again) == ScenarioDigest(scenario));
}

// It ends with a sound result or says in one line why there is none; a run that is stuck, which is
// a bug, says it in several.
void CheckRun(const Scenario& scenario) {
  const absl::StatusOr<Simulation> simulation = RunBriefly(scenario);
  if (!simulation.ok()) return CheckMessage(simulation.status());
  TIERSCOPE_CHECK(simulation->result.violations().empty());
}

}  // namespace

// A preset named "preset.txtpb" is the text behind the \0; others are read as they stand.
void FuzzScenario(absl::string_view input) {
  static MemoryFile preset;
  const std::pair<absl::string_view, absl::string_view> texts =
      absl::StrSplit(input, absl::MaxSplits('\0', 1));
  const std::string& preset_path = preset.Fill(texts.second);
  std::string text(texts.first);
  const size_t at = text.find("preset.txtpb");
  if (at != std::string::npos) text.replace(at, strlen("preset.txtpb"), preset_path);
  const absl::StatusOr<Scenario> scenario = ParseScenario(text, "/folder/scenario.txtpb", {});
  if (scenario.ok()) {
    CheckScenario(*scenario);
    return CheckRun(*scenario);
  }
  CheckMessage(scenario.status(), kMessageWithPathsMax);
}

void FuzzOverrides(absl::string_view input) {
  const std::vector<std::string> sets = absl::StrSplit(input, '\n');
  const absl::StatusOr<Scenario> scenario =
      ParseScenario(SmallScenario(), "/folder/scenario.txtpb", sets);
  if (scenario.ok()) {
    CheckScenario(*scenario);
    return CheckRun(*scenario);
  }
  CheckMessage(scenario.status(), kMessageWithPathsMax);
}

}  // namespace tierscope::testing

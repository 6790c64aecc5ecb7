// A small valid scenario for tests that change one thing about it.
#ifndef TIERSCOPE_TESTS_SCENARIOS_SCENARIO_TEXT_H_
#define TIERSCOPE_TESTS_SCENARIOS_SCENARIO_TEXT_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

#include "scenarios/loader.h"

namespace tierscope {

// Line 1 names it; `rest` starts on line 5.
inline std::string SmallScenario(const std::string& rest = "") {
  return absl::StrCat(
      "name: \"small\"\n"
      "model { preset: \"v4_flash\" } hardware { preset: \"h20_141\" } node { preset: "
      "\"node_8gpu\" }\n"
      "workload { concurrency: 2 context_tokens: 8192 output_tokens: 64\n"
      "           attention { generator_preset: \"v4_flash\" } }\n",
      rest);
}

// The message of the refusal; "accepted" when there is none.
inline std::string Refusal(const std::string& text, const std::vector<std::string>& sets = {}) {
  const absl::StatusOr<Scenario> scenario = ParseScenario(text, "s.txtpb", sets);
  return scenario.ok() ? "accepted" : std::string(scenario.status().message());
}

}  // namespace tierscope

#endif  // TIERSCOPE_TESTS_SCENARIOS_SCENARIO_TEXT_H_

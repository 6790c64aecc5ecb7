// Sides of a comparison, made by hand.
#ifndef TIERSCOPE_TESTS_REPORTS_COMPARE_SIDES_H_
#define TIERSCOPE_TESTS_REPORTS_COMPARE_SIDES_H_

#include <string>
#include <utility>
#include <vector>

#include "reports/compare/compare.h"

namespace tierscope::testing {

inline void AddInput(const std::string& role, const std::string& digest, RunResult* result) {
  Input* input = result->add_inputs();
  input->set_role(role);
  input->set_name(role + " name");
  input->set_digest(digest);
}

// A simulated run with a value each.
inline ScenarioRuns SimulatedRuns(const std::string& scenario,
                                  const std::vector<std::pair<std::string, double>>& values) {
  ScenarioRuns runs;
  runs.identity.set_kind("simulated");
  runs.identity.set_version("0.1.0");
  runs.identity.set_scenario(scenario);
  runs.identity.set_scenario_digest("d0");
  runs.identity.set_event_digest("e0");
  AddInput("attention trace", "t0", &runs.identity);
  AddInput("model", "m0", &runs.identity);
  AddInput("device", "g0", &runs.identity);
  runs.run_count = 1;
  for (const auto& [name, value] : values) {
    runs.metrics.push_back({name, "unit", false, {value}, ""});
  }
  return runs;
}

inline RunSet SideOf(std::vector<ScenarioRuns> scenarios, const std::string& path = "side") {
  return {path, std::move(scenarios)};
}

// The metric in a comparison, which has it.
inline const MetricComparison& MetricIn(const Comparison& comparison, const std::string& metric) {
  for (const MetricComparison& one : comparison.metrics) {
    if (one.metric == metric) return one;
  }
  std::abort();
}

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_REPORTS_COMPARE_SIDES_H_

// Loads a scenario, simulates it under the policy FULL, prints one metric.
#include <cstdio>

#include "scenarios/loader.h"
#include "sim/engine/simulate.h"

int main(int, char** argv) {
  const auto scenario =
      tierscope::LoadScenario(argv[1], {"policy.kind=full,engine.simulated_s=60"});
  if (!scenario.ok()) return 2;
  const auto simulation = tierscope::Simulate(*scenario, {});
  if (!simulation.ok() || simulation->events == 0) return 1;
  std::printf("%s: %d metrics\n", scenario->name().c_str(), simulation->result.metrics_size());
}

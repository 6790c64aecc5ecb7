// One side of a comparison: runs by scenario, repeats of a scenario put together. Stateless
// readers.
#ifndef TIERSCOPE_REPORTS_COMPARE_RUN_SET_H_
#define TIERSCOPE_REPORTS_COMPARE_RUN_SET_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "reports/schema/result.pb.h"

namespace tierscope {

struct MetricSamples {
  std::string name;
  std::string unit;
  bool measured = false;       // else simulated: one value, the same on every machine
  std::vector<double> values;  // empty: absent
  std::string absent;          // why
};

struct ScenarioRuns {
  RunResult identity;           // of the first run, without its metrics
  std::string path;             // of the first run
  std::string scenario_text;    // its scenario.txtpb, "" where there is none
  std::string cpu, build_type;  // of host.json, "" where there is none
  int run_count = 0;
  std::vector<MetricSamples> metrics;  // simulated before measured, in the order of the files

  const MetricSamples* Find(const std::string& metric) const;
};

struct RunSet {
  std::string path;
  std::vector<ScenarioRuns> scenarios;  // in order of first appearance, names are unique

  const ScenarioRuns* Find(const std::string& scenario) const;
};

// `path`: a run folder, a folder of run folders (by name), or a file with results. Runs of one
// scenario are repeats: what was measured becomes a sample each, what was simulated must be equal.
// With `simulated_only` host.json and samples.csv are not read and measured results are refused.
// Errors, one line: no result there, a file that cannot be read, runs of one scenario that are not
// repeats of one another.
absl::StatusOr<RunSet> LoadRunSet(const std::string& path, bool simulated_only);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_COMPARE_RUN_SET_H_

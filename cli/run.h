// What `tierscope run` does, for other verbs that re-run a scenario.
#ifndef TIERSCOPE_CLI_RUN_H_
#define TIERSCOPE_CLI_RUN_H_

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tierscope::cli {

struct RunOptions {
  std::vector<std::string> scenarios;
  std::vector<std::string> sets;
  std::string out;
  bool overwrite = false;
  std::string format = "table";
  int jobs = 1;
  bool unused_sets = false;     // `sets` may give what no scenario reads: a point of a sweep
  std::string timeline_window;  // "BEGIN,END" in seconds; "": as the scenario says
  bool phases = false;          // phases.csv too
  bool quiet = false;           // nothing on stdout
};

// Simulates the scenarios, leaves a run folder for each and prints the report. `process_begin`:
// when the wall time of the first began.
absl::Status RunScenarios(const RunOptions& options,
                          std::chrono::steady_clock::time_point process_begin);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_RUN_H_

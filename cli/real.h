// What `tierscope real` does, for other verbs that execute a scenario.
#ifndef TIERSCOPE_CLI_REAL_H_
#define TIERSCOPE_CLI_REAL_H_

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/backend.h"

namespace tierscope::cli {

struct RealOptions {
  std::string scenario;
  std::vector<std::string> sets;
  std::string mode;  // "": replay where the scenario names an attention trace, else live
  std::string record;
  std::string out;
  std::string format = "table";
  bool overwrite = false;
  bool quiet = false;  // nothing on stdout
  int repeats = 1;
  bool plan = false;  // says what it would take and executes nothing
  // One more pass under the device's own record of activity, on cuda; a record with holes fails
  // the run.
  bool trace = true;
  BackendOptions backend;
};

// Executes the scenario, leaves its run folder and prints the report; leaves none where it fails.
// `begin`: when wall time began. Errors: Aborted where the device lost records of its activity.
absl::Status RunReal(RealOptions options, std::chrono::steady_clock::time_point begin);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_REAL_H_

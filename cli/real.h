// What `tierscope real` does, for other verbs that execute a scenario.
#ifndef TIERSCOPE_CLI_REAL_H_
#define TIERSCOPE_CLI_REAL_H_

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/status.h"

#include "real/cpu_backend.h"

namespace tierscope::cli {

struct RealOptions {
  std::string scenario;
  std::vector<std::string> sets;
  std::string backend = "cpu";
  std::string mode;  // "": replay where the scenario names an attention trace, else live
  std::string record;
  std::string out;
  std::string format = "table";
  bool overwrite = false;
  bool quiet = false;  // nothing on stdout
  int repeats = 1;
  CpuBackendOptions cpu;
};

// Executes the scenario, leaves its run folder and prints the report. `begin`: when wall time
// began.
absl::Status RunReal(RealOptions options, std::chrono::steady_clock::time_point begin);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_REAL_H_

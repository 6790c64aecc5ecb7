// Predicts a scenario on a profile, executes it, and joins the two: one of them, a suite, a grid.
#ifndef TIERSCOPE_CLI_RECONCILE_RUN_H_
#define TIERSCOPE_CLI_RECONCILE_RUN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/reconcile_folders.h"

namespace tierscope::cli {

struct ReconcileRun {
  std::string scenario;
  std::vector<std::string> sets;
  std::string backend;
  std::string profile;  // a hardware preset's file, measured before
  int repeats = 3;
  // Live, the kernels decide, and the prediction replays what they recorded in a pass of its own;
  // else both follow the scenario's attention trace.
  bool live = false;
  std::string out;  // folder; gets simulated/, measured/, timeline.json of both, reconcile.json
                    // and .md, and live recorded.trace
};

// One line of a suite: a name and overrides of the scenario.
struct SuiteLine {
  std::string name;
  std::vector<std::string> sets;
};

// "name overrides" a line, '#' for comments. Errors: file:line, a name twice or none, no overrides.
absl::StatusOr<std::vector<SuiteLine>> ReadSuite(const std::string& path);

// Every combination of "a.b=1,2;c.d=3,4", the last axis fastest. Errors: an axis without values.
absl::StatusOr<std::vector<SuiteLine>> ParseGrid(const std::string& grid);

// Both runs, and the join. Errors: those of run, real and ReconcileFolders; a scenario that stands
// on the profile's grid, before anything runs.
absl::StatusOr<FolderReconciliation> RunAndReconcile(const ReconcileRun& run);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_RECONCILE_RUN_H_

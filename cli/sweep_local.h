// Runs points of a sweep on this machine.
#ifndef TIERSCOPE_CLI_SWEEP_LOCAL_H_
#define TIERSCOPE_CLI_SWEEP_LOCAL_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/sweep_points.h"

#include "reports/results_store.h"

namespace tierscope::cli {

// Distilled traces in memory at once; what is more is spilled to the cache folder. A demand that
// points are being run on comes on top, one a thread.
inline constexpr int64_t kDemandBytesMax = int64_t{512} << 20;

struct LocalRun {
  double generate_wall_s = 0.0;
  double distil_wall_s = 0.0;  // summed over threads
  double wall_s = 0.0;         // without generation
  int64_t spilled_bytes = 0;   // of demand beyond kDemandBytesMax
};

// Runs `order` (InDemandOrder), `jobs` points at a time, and puts a row into `store` for each as it
// ends. A point that cannot run gets a row with the reason. Says on stderr how far it is. Error:
// what no other point would survive either (a trace that cannot be read, a full disk); rows stay.
absl::StatusOr<LocalRun> RunPoints(const SweepPoints& points, const SweepWork& work,
                                   const std::vector<int64_t>& order, int jobs,
                                   ResultsStore& store);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_SWEEP_LOCAL_H_

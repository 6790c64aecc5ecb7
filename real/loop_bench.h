// The decode loop with its kernels left out: what the host does around the kernels of a step
// (ENGINE: lists, queries, new entries, the launch of what was captured) and between the end of a
// job and its pages being active (PUBLISH). Executor, stores and copies are those of a run; scores
// are made up on the host, so that pages change, and products, attention and the native indexer do
// nothing but take the host's caches. So nothing of a step's device time is in it, and no scenario
// that is reconciled later is looked at.
//
// One thread, besides the side-band's own.
#ifndef TIERSCOPE_REAL_LOOP_BENCH_H_
#define TIERSCOPE_REAL_LOOP_BENCH_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "real/backend.h"
#include "real/execution_plan.h"
#include "real/executor.h"
#include "real/op_grid.h"
#include "scenarios/scenario.pb.h"

namespace tierscope {

// Nanoseconds, all passes so far together.
struct LoopSamples {
  std::vector<std::vector<double>> engine_ns;   // [batch of the grid][step]
  std::vector<std::vector<double>> publish_ns;  // [batch of the grid][job]
};

class LoopBench {
 public:
  // Allocates on `backend`, which outlives the bench, but no weights. `scenario` gives model,
  // stride of ticks and page budget. Errors: memory; what the real mode does not execute.
  static absl::StatusOr<std::unique_ptr<LoopBench>> Make(Backend* backend, const Scenario& scenario,
                                                         const OpGrid& grid);
  ~LoopBench();

  // One pass through all batches of the grid, the largest first, two windows each.
  absl::Status Run(LoopSamples* samples);

 private:
  explicit LoopBench(Backend* backend, const OpGrid& grid);

  std::vector<double> batches_;
  std::unique_ptr<Backend> without_kernels_;
  ExecutionPlan plan_;
  std::unique_ptr<Executor> executor_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_LOOP_BENCH_H_

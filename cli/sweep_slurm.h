// Runs points of a sweep as a Slurm job array, a task a shard. Everything passes through one folder
// that all machines see: the list of points, a script, a log and a results file for each shard.
#ifndef TIERSCOPE_CLI_SWEEP_SLURM_H_
#define TIERSCOPE_CLI_SWEEP_SLURM_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

#include "reports/results_store.h"

namespace tierscope::cli {

struct SlurmOptions {
  std::string folder;                  // of this sweep; made, and removed once all is merged
  std::string sweep;                   // the file
  std::string name;                    // of the job
  std::vector<std::string> arguments;  // of `tierscope sweep` for every shard: --set and --yes
  std::vector<std::string> sbatch;     // arguments of sbatch: partition, time, memory
  int shards = 8;
  int retries = 2;  // of one shard
  int cpus = 1;     // of one shard
  double poll_s = 2.0;
};

// Takes up what an earlier run left in `folder`: ends its job and merges the shards it finished.
absl::Status TakeUpSlurm(const SlurmOptions& options, ResultsStore& store);

// Submits `order` in shards, follows them, submits failed ones again, merges the results into
// `store`. Error: Slurm is not there or refuses the job; a shard that failed beyond its retries,
// with its log. Finished shards are merged in any case.
absl::Status RunOnSlurm(const SlurmOptions& options, const std::vector<int64_t>& order,
                        ResultsStore& store);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_SWEEP_SLURM_H_

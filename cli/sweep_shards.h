// Parts of a sweep that machines run apart, with nothing between them but files: each shard writes
// its results as one whole file, and merging reads those.
#ifndef TIERSCOPE_CLI_SWEEP_SHARDS_H_
#define TIERSCOPE_CLI_SWEEP_SHARDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/sweep_points.h"

#include "reports/results_store.h"

namespace tierscope::cli {

// Shard `index` of `count`, counted from 0.
struct Shard {
  int64_t index = 0;
  int64_t count = 1;
};

// "i/n". Error: no such form, or not 0 <= i < n.
absl::StatusOr<Shard> ParseShard(const std::string& text);

// The part of `order` that is the shard's: neighbours stay together, so shards share few demands.
std::vector<int64_t> PartOf(const std::vector<int64_t>& order, const Shard& shard);

// Points in the order to run them, a line each: what a driver hands its shards.
absl::Status WritePointList(const std::vector<int64_t>& order, const std::string& path);
// Error: no such file, or something in it that is no point of the sweep.
absl::StatusOr<std::vector<int64_t>> ReadPointList(const std::string& path, int64_t point_count);

// Adds the rows of shard files to the store; returns how many were new. Error: a file that is not
// there, is no results file or is of another schema; files before it are merged.
absl::StatusOr<int64_t> MergeShards(const std::vector<std::string>& files, ResultsStore& store);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_SWEEP_SHARDS_H_

// Statistics of an attention profile beside what published work measured: what `tierscope trace
// info` judges. Sources and definitions: traces/README.md. Pure functions of their arguments.
#ifndef TIERSCOPE_CLI_TRACE_TARGETS_H_
#define TIERSCOPE_CLI_TRACE_TARGETS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "traces/attention_statistics.h"

namespace tierscope::cli {

// Misses of hot buffers of one size, over all layers and the steps looked at.
struct HotBufferRate {
  int32_t slots = 0;          // of one layer of a request
  double miss_rate = 0.0;     // misses / selections
  double fetched_mean = 0.0;  // misses of a step, all layers
};

struct TargetRow {
  std::string name;  // in JSON
  std::string label;
  double value = -1.0;        // -1: the trace cannot tell
  bool needs_layers = false;  // only selections per layer tell
  // What was published: low <= x <= high, give or take; low < 0: nothing was.
  double low = -1.0, high = -1.0, tolerance = 0.0;
  std::string source;
  bool of_this_model = false;  // published for the profile's model, or carried over from another
};

// "within" or "outside" of the published range widened by the tolerance, "not recorded", or
// "validated by nothing".
std::string VerdictOf(const TargetRow& row);

// Every statistic of the profile. `hot_buffers` may be empty: selections not recorded per layer.
std::vector<TargetRow> TargetRowsOf(const ProfileStatistics& profile,
                                    std::span<const HotBufferRate> hot_buffers);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_TRACE_TARGETS_H_

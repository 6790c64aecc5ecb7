// What an attention trace is like: the statistics of README.md "Attention traces", per profile.
// One pass over the file, memory a few words per entry of the longest history.
#ifndef TIERSCOPE_TRACES_ATTENTION_STATISTICS_H_
#define TIERSCOPE_TRACES_ATTENTION_STATISTICS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "traces/tick_meters.h"
#include "traces/trace.pb.h"

namespace tierscope {

struct StatisticsOptions {
  int32_t window_steps = 64;  // raised to the next multiple of a profile's stride
  int32_t page_entries = 64;
  int32_t page_kmax = 192;
  double kept_threshold = 0.5;
  std::vector<double> thresholds = {0.3, 0.4, 0.5, 0.6, 0.75, 0.9};
};

// The same for the scores of one target layer alone.
struct TargetLayerQuality {
  int32_t layer = 0;                    // CSA index
  std::vector<IndexerQuality> quality;  // one per threshold
};

// Means over the profile's whole windows, or its ticks; -1 where the trace cannot tell.
struct ProfileStatistics {
  ProfileHeader header;
  int64_t windows = 0;
  double kept_fraction = -1.0;          // per tick, at kept_threshold
  double recorded_fraction = -1.0;      // per tick, of history
  double distinct_entries = -1.0;       // selected in a window, over all layers
  double golden_entries = -1.0;         // in a window, see below
  double step_overlap = -1.0;           // selections that the step before made too
  double layer_overlap = -1.0;          // between adjacent layers; per-layer records only
  double kept_page_fraction = -1.0;     // pages with a kept entry / pages
  double kept_entries_per_page = -1.0;  // kept entries / pages
  double page_churn = -1.0;             // new pages in a tick's page_kmax densest, a window later
  double selected_page_churn = -1.0;    // the same of the page_kmax pages most selected in a window
  std::vector<IndexerQuality> quality;  // one per threshold; of the maximum over target layers
  std::vector<TargetLayerQuality> quality_by_target_layer;  // only where ticks stand per layer
  std::vector<double> step_overlap_by_layer;                // per-layer records only
};
// Golden entries: in the smallest set that holds 0.6 of the attention of at least 3 layers.
// Per-layer records count them; records with votes are taken as one distribution over all layers,
// an estimate.

struct AttentionStatistics {
  std::string digest;
  std::vector<ProfileStatistics> profiles;
};

absl::StatusOr<AttentionStatistics> ComputeAttentionStatistics(const std::string& path,
                                                               const StatisticsOptions& options);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_ATTENTION_STATISTICS_H_

// How well the memory indexer's scores tell what attention needs: precision, recall, F1 and kept
// share per threshold, AUC, and calibration, against golden entries (traces/golden_labels.h, or
// labels in the trace) and against the native indexer's selections. The evidence on which a
// threshold can be chosen.
//
// A window is `window_steps` steps behind a tick (raised to a multiple of the stride). Entries that
// form inside it are not the tick's to find and do not count. Counts are summed over windows before
// any ratio is taken. All comes from two counts per score code: entries that are needed and not.
// Scores under a trace's floor are not recorded; their entries share one bin below all others, so
// an AUC is exact only up to ties in there.
//
// One pass over the file; memory 7 bytes an entry of the longest history.
#ifndef TIERSCOPE_TRACES_INDEXER_QUALITY_H_
#define TIERSCOPE_TRACES_INDEXER_QUALITY_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "traces/golden_labels.h"

namespace tierscope {

struct IndexerQualityOptions {
  int32_t window_steps = 64;
  GoldenRule rule;
};

// Entries by score: bin 0 is under the floor, bin 1 + c has code c.
struct ScoreCounts {
  static constexpr size_t kBins = 257;
  std::array<int64_t, kBins> needed{};
  std::array<int64_t, kBins> other{};
  int64_t windows = 0;
  int floor_code = 0;  // codes below were not recorded

  void Merge(const ScoreCounts& counts);  // of another profile or trace
};

struct ThresholdEvidence {
  double threshold = 0.0;
  double kept_fraction = -1.0;  // wanted / all; -1 here and below: under the floor, or nothing to
                                // divide by
  double precision = -1.0;      // wanted and needed / wanted
  double recall = -1.0;         // wanted and needed / needed
  double f1 = -1.0;             // harmonic mean of the two
};

// Entries whose score lies in one tenth of [0, 1).
struct CalibrationBin {
  double score_mean = -1.0;       // -1: empty
  double needed_fraction = -1.0;  // a calibrated score equals it
  int64_t entries = 0;
};

struct IndexerEvidence {
  int64_t windows = 0;
  int64_t needed = 0;  // entries, over all windows
  int64_t other = 0;
  int64_t needed_under_floor = 0;
  double auc = -1.0;  // chance that a needed entry scores above another, ties half; -1 = unknown
  // Mean of |score_mean - needed_fraction| over the recorded entries; -1 = unknown.
  double calibration_error = -1.0;
  std::array<CalibrationBin, 10> calibration;
  std::vector<ThresholdEvidence> thresholds;
};

IndexerEvidence EvidenceOf(const ScoreCounts& counts, const std::vector<double>& thresholds);

struct IndexerQualityCounts {
  ScoreCounts golden;          // no windows: the trace has neither weights nor labels, or no scores
  ScoreCounts selected;        // no windows: no selections of the full history, or no scores
  int64_t golden_windows = 0;  // windows with golden entries, scored or not
  int64_t golden_entries = 0;  // over them
  struct GoldenWindow {
    int32_t tick_step = 0;
    std::vector<uint32_t> entries;  // golden and there at the tick, rising
  };
  std::vector<GoldenWindow> golden_lists;  // of these windows, in order
};

// Of every profile of an attention trace.
absl::StatusOr<std::vector<IndexerQualityCounts>> CountIndexerQuality(
    const std::string& path, const IndexerQualityOptions& options);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_INDEXER_QUALITY_H_

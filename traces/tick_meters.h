// Parts of the statistics of a profile: the scores of a tick, over one target layer or the maximum
// over several, and how well they tell what is selected. Plain accumulators, one owner.
#ifndef TIERSCOPE_TRACES_TICK_METERS_H_
#define TIERSCOPE_TRACES_TICK_METERS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "traces/paged_array.h"
#include "traces/selection_meters.h"

namespace tierscope {

// The lowest score code that is wanted at `threshold`.
int WantedCode(double threshold);

// Scores of one tick: entries in rising order, a code each.
struct TickScores {
  std::vector<uint32_t> entries;
  std::vector<uint8_t> codes;

  void Clear();
  void Assign(std::span<const uint32_t> new_entries, std::span<const uint8_t> new_codes);
};

// `merged` becomes the union of two ticks, of an entry in both with the larger code.
void MergeMaximum(const TickScores& a, std::span<const uint32_t> entries,
                  std::span<const uint8_t> codes, TickScores* merged);

// How well the scores of a tick tell the selections of the window behind it, at one threshold.
struct IndexerQuality {
  double threshold = 0.0;
  double kept_fraction = 0.0;  // wanted entries / history
  double precision = 0.0;      // wanted entries that some layer selects / wanted entries
  double recall = 0.0;         // the same / entries that some layer selects
  double vote_recall = 0.0;    // selections of wanted entries / all selections
};

// Means of that over ticks, per threshold.
class QualityMeter {
 public:
  // `thresholds` outlives the meter.
  explicit QualityMeter(const std::vector<double>& thresholds)
      : thresholds_(&thresholds), means_(thresholds.size()) {}

  // `votes_of`: selections per entry of the window behind the tick; of `distinct` entries,
  // `votes_in_window` in all.
  void Judge(const TickScores& tick, int64_t history, const PagedArray<int64_t>& votes_of,
             int64_t distinct, int64_t votes_in_window);
  std::vector<IndexerQuality> quality() const;

 private:
  struct Means {
    Mean kept, precision, recall, vote_recall;
  };
  const std::vector<double>* thresholds_;
  std::vector<Means> means_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_TICK_METERS_H_

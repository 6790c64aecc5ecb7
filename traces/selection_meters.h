// Parts of the statistics of a profile: overlaps between sets of entries, golden entries, churn of
// page sets. Used by attention_statistics.cc; plain accumulators, one owner.
#ifndef TIERSCOPE_TRACES_SELECTION_METERS_H_
#define TIERSCOPE_TRACES_SELECTION_METERS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "traces/entry_set.h"
#include "traces/layer_mask.h"
#include "traces/paged_array.h"

namespace tierscope {

// A mean that knows whether it has samples: -1 without.
class Mean {
 public:
  void Add(double value) {
    sum_ += value;
    ++count_;
  }
  double value() const { return count_ == 0 ? -1.0 : sum_ / static_cast<double>(count_); }

 private:
  double sum_ = 0.0;
  int64_t count_ = 0;
};

inline double Ratio(int64_t part, int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

// Size of the intersection of two rising sequences.
int64_t CommonCount(std::span<const uint32_t> a, std::span<const uint32_t> b);

// How much selections repeat: from step to step, and from layer to adjacent layer.
class OverlapMeter {
 public:
  explicit OverlapMeter(int32_t layer_count);
  // Records in the order of a trace. With votes, an entry counts the lesser of its votes at two
  // steps.
  void Add(int32_t layer, std::span<const uint32_t> entries, std::span<const uint8_t> votes);

  double step_overlap() const { return step_.value(); }
  double layer_overlap() const { return adjacent_layer_.value(); }
  std::vector<double> step_overlap_by_layer() const;  // empty for records with votes

 private:
  void AddLayer(int32_t layer, std::span<const uint32_t> entries);
  void AddVotes(std::span<const uint32_t> entries, std::span<const uint8_t> votes);

  std::vector<std::vector<uint32_t>> previous_;  // per layer, of its last record
  std::vector<uint32_t> previous_entries_;       // of the last record with votes
  std::vector<uint8_t> previous_votes_;
  Mean step_, adjacent_layer_;
  std::vector<Mean> step_by_layer_;
};

// Golden entries of a window: in the smallest set that holds 0.6 of the attention of at least 3
// layers. Records with votes are taken as one distribution over all layers, which is an estimate.
class GoldenMeter {
 public:
  explicit GoldenMeter(int64_t history_entries);
  // `votes` is empty for a record of one layer.
  void Add(int32_t layer, std::span<const uint32_t> entries, std::span<const uint8_t> votes,
           std::span<const uint8_t> weights);
  void EndWindow();
  double entries_per_window() const { return count_.value(); }

 private:
  // Per entry of the window; a layer above 127 shares a bit.
  PagedArray<LayerMask> layers_of_;
  EntrySet members_;
  bool has_weights_ = false;
  Mean count_;
};

// The `count` pages with the largest positive weights, rising; of equal ones the lower page.
std::vector<uint32_t> TopPages(const std::vector<int64_t>& weight, int32_t count);

// Mean part of a page set that the set before it lacks.
class ChurnMeter {
 public:
  void Add(std::vector<uint32_t> pages);
  double value() const { return mean_.value(); }

 private:
  std::vector<uint32_t> previous_;
  bool has_previous_ = false;
  Mean mean_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_SELECTION_METERS_H_

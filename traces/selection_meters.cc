#include "traces/selection_meters.h"

#include <algorithm>
#include <array>
#include <utility>

#include "traces/attention_trace.h"

namespace tierscope {
namespace {

constexpr double kNucleusMass = 0.6;
constexpr int kGoldenLayers = 3;
// Votes do not tell which layers: any three.
constexpr LayerMask kEnoughLayers = LayerMask::Range(0, kGoldenLayers);

// Smallest weight of the set of largest weights that holds kNucleusMass. Weights are floors of a
// scaled value, so half a unit is added to all but the smallest.
int NucleusCode(std::span<const uint8_t> weights) {
  std::array<int64_t, 256> count{};
  for (const uint8_t w : weights) ++count[w];
  const auto mass = [&](size_t code) {
    const double unit = code == 0 ? 0.25 : static_cast<double>(code) + 0.5;
    return unit * static_cast<double>(count[code]);
  };
  double all = 0.0, sum = 0.0;
  for (size_t code = 0; code < 256; ++code) all += mass(code);
  for (size_t code = 256; code-- > 0;) {
    sum += mass(code);
    if (sum >= kNucleusMass * all) return static_cast<int>(code);
  }
  return 0;
}

}  // namespace

int64_t CommonCount(std::span<const uint32_t> a, std::span<const uint32_t> b) {
  int64_t common = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    common += a[i] == b[j] ? 1 : 0;
    const bool step_a = a[i] <= b[j], step_b = b[j] <= a[i];
    i += step_a ? 1 : 0;
    j += step_b ? 1 : 0;
  }
  return common;
}

OverlapMeter::OverlapMeter(int32_t layer_count)
    : previous_(static_cast<size_t>(layer_count)),
      step_by_layer_(static_cast<size_t>(layer_count)) {}

void OverlapMeter::Add(int32_t layer, std::span<const uint32_t> entries,
                       std::span<const uint8_t> votes) {
  layer == kAllLayers ? AddVotes(entries, votes) : AddLayer(layer, entries);
}

std::vector<double> OverlapMeter::step_overlap_by_layer() const {
  std::vector<double> overlaps;
  for (const Mean& mean : step_by_layer_) {
    if (mean.value() >= 0.0) overlaps.push_back(mean.value());
  }
  return overlaps;
}

void OverlapMeter::AddLayer(int32_t layer, std::span<const uint32_t> entries) {
  const auto l = static_cast<size_t>(layer);
  const auto count = static_cast<int64_t>(entries.size());
  if (!previous_[l].empty()) {
    const double overlap = Ratio(CommonCount(previous_[l], entries), count);
    step_.Add(overlap);
    step_by_layer_[l].Add(overlap);
  }
  if (l > 0 && !previous_[l - 1].empty()) {
    adjacent_layer_.Add(Ratio(CommonCount(previous_[l - 1], entries), count));
  }
  previous_[l].assign(entries.begin(), entries.end());
}

void OverlapMeter::AddVotes(std::span<const uint32_t> entries, std::span<const uint8_t> votes) {
  int64_t common = 0, all = 0;
  for (size_t i = 0, j = 0; i < entries.size(); ++i) {
    while (j < previous_entries_.size() && previous_entries_[j] < entries[i]) ++j;
    const bool same = j < previous_entries_.size() && previous_entries_[j] == entries[i];
    if (same) common += std::min(previous_votes_[j], votes[i]);
    all += votes[i];
  }
  if (!previous_entries_.empty()) step_.Add(Ratio(common, all));
  previous_entries_.assign(entries.begin(), entries.end());
  previous_votes_.assign(votes.begin(), votes.end());
}

GoldenMeter::GoldenMeter(int64_t history_entries)
    : layers_of_(static_cast<size_t>(history_entries)), members_(history_entries) {}

void GoldenMeter::Add(int32_t layer, std::span<const uint32_t> entries,
                      std::span<const uint8_t> votes, std::span<const uint8_t> weights) {
  has_weights_ = true;
  const int least = NucleusCode(weights);
  for (size_t i = 0; i < entries.size(); ++i) {
    if (weights[i] < least) continue;
    members_.Add(entries[i]);
    if (layer != kAllLayers) {
      layers_of_.At(entries[i]).Add(LayerMask::Range(layer % kLayerMaskLayersMax, 1));
    } else if (votes[i] >= kGoldenLayers) {
      layers_of_.At(entries[i]).Add(kEnoughLayers);
    }
  }
}

void GoldenMeter::EndWindow() {
  if (!has_weights_) return;
  int64_t count = 0;
  members_.ForEach([&](uint32_t entry) {
    count += layers_of_[entry].Count() >= kGoldenLayers ? 1 : 0;
    layers_of_.At(entry) = LayerMask();
  });
  members_.Clear();
  count_.Add(static_cast<double>(count));
  has_weights_ = false;
}

std::vector<uint32_t> TopPages(const std::vector<int64_t>& weight, int32_t count) {
  std::vector<uint32_t> pages;
  for (uint32_t page = 0; page < weight.size(); ++page) {
    if (weight[page] > 0) pages.push_back(page);
  }
  const size_t kept = std::min(pages.size(), static_cast<size_t>(count));
  const auto heavier = [&](uint32_t a, uint32_t b) {
    return weight[a] != weight[b] ? weight[a] > weight[b] : a < b;
  };
  std::partial_sort(pages.begin(), pages.begin() + static_cast<int64_t>(kept), pages.end(),
                    heavier);
  pages.resize(kept);
  std::sort(pages.begin(), pages.end());
  return pages;
}

void ChurnMeter::Add(std::vector<uint32_t> pages) {
  if (has_previous_ && !pages.empty()) {
    mean_.Add(1.0 - Ratio(CommonCount(previous_, pages), static_cast<int64_t>(pages.size())));
  }
  previous_ = std::move(pages);
  has_previous_ = true;
}

}  // namespace tierscope

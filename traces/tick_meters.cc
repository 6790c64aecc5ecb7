#include "traces/tick_meters.h"

#include <algorithm>

namespace tierscope {

int WantedCode(double threshold) {
  const double code = 256.0 * threshold;
  const int floor = static_cast<int>(code);
  return floor + (static_cast<double>(floor) < code ? 1 : 0);
}

void TickScores::Clear() {
  entries.clear();
  codes.clear();
}

void TickScores::Assign(std::span<const uint32_t> new_entries, std::span<const uint8_t> new_codes) {
  entries.assign(new_entries.begin(), new_entries.end());
  codes.assign(new_codes.begin(), new_codes.end());
}

void MergeMaximum(const TickScores& a, std::span<const uint32_t> entries,
                  std::span<const uint8_t> codes, TickScores* merged) {
  merged->Clear();
  for (size_t i = 0, j = 0; i < a.entries.size() || j < entries.size();) {
    const bool from_a = j == entries.size() || (i < a.entries.size() && a.entries[i] <= entries[j]);
    const bool from_b = i == a.entries.size() || (j < entries.size() && entries[j] <= a.entries[i]);
    const uint8_t code_a = from_a ? a.codes[i] : uint8_t{0};
    const uint8_t code_b = from_b ? codes[j] : uint8_t{0};
    merged->entries.push_back(from_a ? a.entries[i] : entries[j]);
    merged->codes.push_back(std::max(code_a, code_b));
    i += from_a ? 1 : 0;
    j += from_b ? 1 : 0;
  }
}

void QualityMeter::Judge(const TickScores& tick, int64_t history,
                         const PagedArray<int64_t>& votes_of, int64_t distinct,
                         int64_t votes_in_window) {
  for (size_t t = 0; t < means_.size(); ++t) {
    const int least = WantedCode((*thresholds_)[t]);
    int64_t wanted = 0, hits = 0, votes = 0;
    for (size_t i = 0; i < tick.entries.size(); ++i) {
      if (tick.codes[i] < least) continue;
      ++wanted;
      hits += votes_of[tick.entries[i]] > 0 ? 1 : 0;
      votes += votes_of[tick.entries[i]];
    }
    means_[t].kept.Add(Ratio(wanted, history));
    means_[t].precision.Add(Ratio(hits, wanted));
    means_[t].recall.Add(Ratio(hits, distinct));
    means_[t].vote_recall.Add(Ratio(votes, votes_in_window));
  }
}

std::vector<IndexerQuality> QualityMeter::quality() const {
  std::vector<IndexerQuality> quality;
  for (size_t t = 0; t < means_.size(); ++t) {
    const Means& m = means_[t];
    quality.push_back({(*thresholds_)[t], m.kept.value(), m.precision.value(), m.recall.value(),
                       m.vote_recall.value()});
  }
  return quality;
}

}  // namespace tierscope

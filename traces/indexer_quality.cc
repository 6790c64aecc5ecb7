#include "traces/indexer_quality.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "sim/base/status_macros.h"
#include "sim/base/units.h"
#include "traces/attention_trace.h"
#include "traces/entry_set.h"

namespace tierscope {
namespace {

// The mean score of a code's interval.
double ScoreOfCode(size_t code) { return (static_cast<double>(code) + 0.5) / 256.0; }

double RatioOrUnknown(int64_t part, int64_t whole) {
  return whole == 0 ? -1.0 : static_cast<double>(part) / static_cast<double>(whole);
}

int WantedCode(double threshold) {
  const double code = 256.0 * threshold;
  const int floor = static_cast<int>(code);
  return floor + (static_cast<double>(floor) < code ? 1 : 0);
}

double AucOf(const ScoreCounts& counts, int64_t needed, int64_t other) {
  if (needed == 0 || other == 0) return -1.0;
  double pairs = 0.0;
  int64_t other_below = 0;
  for (size_t bin = 0; bin < ScoreCounts::kBins; ++bin) {
    pairs += static_cast<double>(counts.needed[bin]) *
             (static_cast<double>(other_below) + 0.5 * static_cast<double>(counts.other[bin]));
    other_below += counts.other[bin];
  }
  return pairs / (static_cast<double>(needed) * static_cast<double>(other));
}

void Calibrate(const ScoreCounts& counts, IndexerEvidence* evidence) {
  std::array<int64_t, 10> needed{};
  std::array<double, 10> score_sum{};
  int64_t recorded = 0;
  for (size_t code = 0; code < 256; ++code) {
    const size_t bin = code * 10 / 256;
    const int64_t entries = counts.needed[code + 1] + counts.other[code + 1];
    evidence->calibration[bin].entries += entries;
    needed[bin] += counts.needed[code + 1];
    score_sum[bin] += ScoreOfCode(code) * static_cast<double>(entries);
    recorded += entries;
  }
  if (recorded == 0) return;
  double error = 0.0;
  for (size_t bin = 0; bin < 10; ++bin) {
    CalibrationBin& b = evidence->calibration[bin];
    if (b.entries == 0) continue;
    b.score_mean = score_sum[bin] / static_cast<double>(b.entries);
    b.needed_fraction = RatioOrUnknown(needed[bin], b.entries);
    const double distance = b.score_mean - b.needed_fraction;
    error += (distance < 0.0 ? -distance : distance) * static_cast<double>(b.entries);
  }
  evidence->calibration_error = error / static_cast<double>(recorded);
}

ThresholdEvidence AtThreshold(const ScoreCounts& counts, double threshold, int64_t needed,
                              int64_t other) {
  ThresholdEvidence at;
  at.threshold = threshold;
  const int least = WantedCode(threshold);
  if (least < counts.floor_code) return at;
  int64_t hits = 0, wanted = 0;
  for (size_t bin = static_cast<size_t>(least) + 1; bin < ScoreCounts::kBins; ++bin) {
    hits += counts.needed[bin];
    wanted += counts.needed[bin] + counts.other[bin];
  }
  at.kept_fraction = RatioOrUnknown(wanted, needed + other);
  at.precision = RatioOrUnknown(hits, wanted);
  at.recall = RatioOrUnknown(hits, needed);
  at.f1 = RatioOrUnknown(2 * hits, wanted + needed);
  return at;
}

// Counts one profile.
class QualityCounter {
 public:
  QualityCounter(const ProfileHeader& header, const IndexerQualityOptions& options)
      : header_(header),
        window_steps_(
            static_cast<int32_t>(CeilDiv(options.window_steps, header.tick_stride_steps()) *
                                 header.tick_stride_steps())),
        code_(static_cast<size_t>(HistoryEntries(header, header.step_count()))),
        scored_(HistoryEntries(header, header.step_count())),
        selected_(HistoryEntries(header, header.step_count())),
        labeler_(HistoryEntries(header, header.step_count()), header.csa_layer_count(),
                 options.rule) {
    counts_.golden.floor_code = static_cast<int>(header.score_floor_code());
    counts_.selected.floor_code = counts_.golden.floor_code;
  }

  void Tick(int32_t step, std::span<const uint32_t> entries, std::span<const uint8_t> codes) {
    CloseBefore(step + 1);
    if (step % window_steps_ != 0) return;
    has_tick_ = true;
    for (size_t i = 0; i < entries.size(); ++i) {
      uint8_t& code = code_[entries[i]];  // of several target layers the largest counts
      code = scored_.Contains(entries[i]) ? std::max(code, codes[i]) : codes[i];
      scored_.Add(entries[i]);
    }
  }

  void Select(int32_t step, std::span<const uint32_t> entries, std::span<const uint8_t> votes) {
    CloseBefore(step);
    votes_.assign(votes.begin(), votes.end());
    if (step == 0 || header_.selections() != SELECTIONS_FULL_HISTORY) return;
    has_selections_ = true;
    for (const uint32_t entry : entries) selected_.Add(entry);
  }

  void Weigh(int32_t step, int32_t layer, std::span<const uint32_t> entries,
             std::span<const uint8_t> weights) {
    if (step > 0) labeler_.Add(layer, entries, votes_, weights);
  }

  void Golden(int32_t step, std::span<const uint32_t> entries) {
    CloseBefore(step + 1);
    if (step % window_steps_ == 0) labels_.emplace(entries.begin(), entries.end());
  }

  IndexerQualityCounts Finish() {
    CloseBefore(header_.step_count() + 1);
    return counts_;
  }

 private:
  void CloseBefore(int32_t step) {
    while (step > begin_ + window_steps_) CloseWindow();
  }

  // The open window is steps begin_ + 1 .. begin_ + window_steps_.
  void CloseWindow() {
    std::vector<uint32_t> golden;
    const bool weighed = labeler_.EndWindow(&golden);
    if (labels_.has_value()) golden = *labels_;
    const int64_t history = HistoryEntries(header_, begin_);
    if (weighed || labels_.has_value()) {
      ++counts_.golden_windows;
      counts_.golden_entries += static_cast<int64_t>(golden.size());
      if (has_tick_) Count(golden, history, &counts_.golden);
      const auto end = std::lower_bound(golden.begin(), golden.end(), history);
      counts_.golden_lists.push_back({begin_, {golden.begin(), end}});
    }
    if (has_tick_ && has_selections_) {
      std::vector<uint32_t> selected;
      selected_.ForEach([&selected](uint32_t entry) { selected.push_back(entry); });
      Count(selected, history, &counts_.selected);
    }
    scored_.Clear();
    selected_.Clear();
    labels_.reset();
    has_tick_ = has_selections_ = false;
    begin_ += window_steps_;
  }

  // Adds one window in which the entries of `needed` are.
  void Count(const std::vector<uint32_t>& needed, int64_t history, ScoreCounts* counts) const {
    ++counts->windows;
    int64_t rest = history;  // entries of no bin yet
    scored_.ForEach([&](uint32_t entry) {
      ++counts->other[code_[entry] + size_t{1}];
      --rest;
    });
    for (const uint32_t entry : needed) {
      if (entry >= history) break;
      const bool recorded = scored_.Contains(entry);
      const size_t bin = recorded ? code_[entry] + size_t{1} : 0;
      ++counts->needed[bin];
      recorded ? --counts->other[bin] : --rest;
    }
    counts->other[0] += rest;
  }

  ProfileHeader header_;
  int32_t window_steps_;
  int32_t begin_ = 0;  // the open window's tick
  std::vector<uint8_t> code_;
  EntrySet scored_, selected_;
  GoldenLabeler labeler_;
  std::vector<uint8_t> votes_;  // of the selection read last
  std::optional<std::vector<uint32_t>> labels_;
  bool has_tick_ = false, has_selections_ = false;
  IndexerQualityCounts counts_;
};

class QualityVisitor : public AttentionVisitor {
 public:
  explicit QualityVisitor(const IndexerQualityOptions& options) : options_(options) {}

  absl::Status OnProfile(const ProfileHeader& profile) override {
    counter_ = std::make_unique<QualityCounter>(profile, options_);
    return absl::OkStatus();
  }
  absl::Status OnTick(int32_t step, int32_t, std::span<const uint32_t> entries,
                      std::span<const uint8_t> codes) override {
    counter_->Tick(step, entries, codes);
    return absl::OkStatus();
  }
  absl::Status OnSelection(int32_t step, int32_t, std::span<const uint32_t> entries,
                           std::span<const uint8_t> votes) override {
    counter_->Select(step, entries, votes);
    return absl::OkStatus();
  }
  absl::Status OnWeights(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                         std::span<const uint8_t> weights) override {
    counter_->Weigh(step, layer, entries, weights);
    return absl::OkStatus();
  }
  absl::Status OnGolden(int32_t step, std::span<const uint32_t> entries,
                        std::span<const uint8_t>) override {
    counter_->Golden(step, entries);
    return absl::OkStatus();
  }
  absl::Status OnProfileEnd() override {
    profiles_.push_back(counter_->Finish());
    return absl::OkStatus();
  }

  std::vector<IndexerQualityCounts> Take() { return std::move(profiles_); }

 private:
  const IndexerQualityOptions& options_;
  std::unique_ptr<QualityCounter> counter_;
  std::vector<IndexerQualityCounts> profiles_;
};

}  // namespace

void ScoreCounts::Merge(const ScoreCounts& counts) {
  if (counts.windows == 0) return;
  floor_code = windows == 0 ? counts.floor_code : std::max(floor_code, counts.floor_code);
  windows += counts.windows;
  for (size_t bin = 0; bin < kBins; ++bin) {
    needed[bin] += counts.needed[bin];
    other[bin] += counts.other[bin];
  }
}

IndexerEvidence EvidenceOf(const ScoreCounts& counts, const std::vector<double>& thresholds) {
  IndexerEvidence evidence;
  evidence.windows = counts.windows;
  for (size_t bin = 0; bin < ScoreCounts::kBins; ++bin) {
    evidence.needed += counts.needed[bin];
    evidence.other += counts.other[bin];
  }
  evidence.needed_under_floor = counts.needed[0];
  evidence.auc = AucOf(counts, evidence.needed, evidence.other);
  Calibrate(counts, &evidence);
  for (const double threshold : thresholds) {
    evidence.thresholds.push_back(AtThreshold(counts, threshold, evidence.needed, evidence.other));
  }
  return evidence;
}

absl::StatusOr<std::vector<IndexerQualityCounts>> CountIndexerQuality(
    const std::string& path, const IndexerQualityOptions& options) {
  QualityVisitor visitor(options);
  TIERSCOPE_RETURN_IF_ERROR(ReadAttentionTrace(path, visitor));
  return visitor.Take();
}

}  // namespace tierscope

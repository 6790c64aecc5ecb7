#include "traces/attention_statistics.h"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

#include "sim/base/status_macros.h"
#include "sim/base/units.h"
#include "traces/attention_trace.h"
#include "traces/entry_set.h"
#include "traces/paged_array.h"
#include "traces/selection_meters.h"
#include "traces/tick_meters.h"

namespace tierscope {
namespace {

// One target layer's scores, where ticks stand per layer.
struct TargetLayer {
  int32_t layer;
  TickScores tick;  // of the open window
  QualityMeter quality;
};

// Collects one profile. Window w is the steps behind the tick at w * window steps.
class ProfileCollector {
 public:
  ProfileCollector(const ProfileHeader& header, const StatisticsOptions& options)
      : options_(options),
        window_steps_(
            static_cast<int32_t>(CeilDiv(options.window_steps, header.tick_stride_steps()) *
                                 header.tick_stride_steps())),
        history_max_(HistoryEntries(header, header.step_count())),
        page_count_(static_cast<size_t>(CeilDiv(history_max_ + 1, options.page_entries))),
        votes_of_(static_cast<size_t>(history_max_)),
        selected_(history_max_),
        overlap_(header.csa_layer_count()),
        golden_(history_max_),
        quality_(options.thresholds) {
    statistics_.header = header;
  }

  void AddSelection(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                    std::span<const uint8_t> votes) {
    EndWindowBefore(step);
    overlap_.Add(layer, entries, votes);
    record_votes_.assign(votes.begin(), votes.end());
    if (step == 0) return;  // belongs to no window
    for (size_t i = 0; i < entries.size(); ++i) {
      const int64_t count = votes.empty() ? 1 : votes[i];
      if (votes_of_[entries[i]] == 0) selected_.Add(entries[i]);
      votes_of_.At(entries[i]) += count;
      votes_in_window_ += count;
    }
  }

  void AddWeights(int32_t layer, std::span<const uint32_t> entries,
                  std::span<const uint8_t> weights) {
    golden_.Add(layer, entries, record_votes_, weights);
  }

  // The layers of one step follow one another; their maximum is the step's tick.
  void AddTick(int32_t step, int32_t layer, std::span<const uint32_t> entries,
               std::span<const uint8_t> codes) {
    if (step != tick_step_) {
      EndTick();
      EndWindowBefore(step + 1);
      tick_step_ = step;
      tick_.Clear();
    }
    MergeMaximum(tick_, entries, codes, &merged_);
    std::swap(tick_, merged_);
    if (layer != kAllLayers && step % window_steps_ == 0) KeepTargetLayer(layer, entries, codes);
  }

  ProfileStatistics Finish() {
    EndTick();
    EndWindowBefore(statistics_.header.step_count() + 1);
    ProfileStatistics& s = statistics_;
    s.kept_fraction = kept_.value();
    s.recorded_fraction = recorded_.value();
    s.distinct_entries = distinct_.value();
    s.golden_entries = golden_.entries_per_window();
    s.step_overlap = overlap_.step_overlap();
    s.layer_overlap = overlap_.layer_overlap();
    s.step_overlap_by_layer = overlap_.step_overlap_by_layer();
    s.kept_page_fraction = kept_pages_.value();
    s.kept_entries_per_page = kept_per_page_.value();
    s.page_churn = page_churn_.value();
    s.selected_page_churn = selected_page_churn_.value();
    s.quality = quality_.quality();
    for (const TargetLayer& target : target_layers_) {
      s.quality_by_target_layer.push_back({target.layer, target.quality.quality()});
    }
    return std::move(statistics_);
  }

 private:
  size_t PageOf(uint32_t entry) const {
    return entry / static_cast<uint32_t>(options_.page_entries);
  }

  // Takes in the tick whose records are all there.
  void EndTick() {
    if (tick_step_ <= ended_tick_step_) return;
    ended_tick_step_ = tick_step_;
    const int64_t history = HistoryEntries(statistics_.header, tick_step_);
    std::vector<int64_t> density(page_count_);
    int64_t kept = 0;
    for (size_t i = 0; i < tick_.entries.size(); ++i) {
      if (tick_.codes[i] < WantedCode(options_.kept_threshold)) continue;
      ++kept;
      ++density[PageOf(tick_.entries[i])];
    }
    kept_.Add(Ratio(kept, history));
    recorded_.Add(Ratio(static_cast<int64_t>(tick_.entries.size()), history));
    if (tick_step_ % window_steps_ == 0) OpenWindow(history, kept, density);
  }

  void KeepTargetLayer(int32_t layer, std::span<const uint32_t> entries,
                       std::span<const uint8_t> codes) {
    auto target = std::find_if(target_layers_.begin(), target_layers_.end(),
                               [layer](const TargetLayer& t) { return t.layer == layer; });
    if (target == target_layers_.end()) {
      target = target_layers_.insert(target, {layer, {}, QualityMeter(options_.thresholds)});
    }
    target->tick.Assign(entries, codes);
  }

  void OpenWindow(int64_t history, int64_t kept, const std::vector<int64_t>& density) {
    const int64_t pages = CeilDiv(history, options_.page_entries);
    const auto touched =
        std::count_if(density.begin(), density.end(), [](int64_t n) { return n > 0; });
    kept_pages_.Add(Ratio(touched, pages));
    kept_per_page_.Add(Ratio(kept, pages));
    page_churn_.Add(TopPages(density, options_.page_kmax));
    tick_history_ = history;
    window_tick_ = tick_;
    has_tick_ = true;
  }

  // Ends the open window when `step` lies behind it.
  void EndWindowBefore(int32_t step) {
    if (step <= window_end_) return;
    window_end_ += window_steps_;
    golden_.EndWindow();
    if (votes_in_window_ == 0) return;
    int64_t distinct = 0;
    std::vector<int64_t> page_votes(page_count_);
    selected_.ForEach([&](uint32_t entry) {
      ++distinct;
      page_votes[PageOf(entry)] += votes_of_[entry];
    });
    ++statistics_.windows;
    distinct_.Add(static_cast<double>(distinct));
    selected_page_churn_.Add(TopPages(page_votes, options_.page_kmax));
    if (has_tick_) {
      quality_.Judge(window_tick_, tick_history_, votes_of_, distinct, votes_in_window_);
      for (TargetLayer& target : target_layers_) {
        target.quality.Judge(target.tick, tick_history_, votes_of_, distinct, votes_in_window_);
      }
    }
    ClearWindow();
  }

  void ClearWindow() {
    selected_.ForEach([&](uint32_t entry) { votes_of_.At(entry) = 0; });
    selected_.Clear();
    votes_in_window_ = 0;
    has_tick_ = false;
  }

  const StatisticsOptions& options_;
  ProfileStatistics statistics_;
  int32_t window_steps_;
  int64_t history_max_;
  size_t page_count_;
  // The open window. Before the first tick there is one that ends at step 0 and holds nothing.
  int32_t window_end_ = 0;
  PagedArray<int64_t> votes_of_;
  EntrySet selected_;
  int64_t votes_in_window_ = 0;
  bool has_tick_ = false;
  int64_t tick_history_ = 0;
  TickScores window_tick_;
  // The tick being read: the maximum over the layers so far.
  int32_t tick_step_ = -1, ended_tick_step_ = -1;
  TickScores tick_, merged_;
  std::vector<uint8_t> record_votes_;  // of the last selection
  OverlapMeter overlap_;
  GoldenMeter golden_;
  ChurnMeter page_churn_, selected_page_churn_;
  Mean kept_, recorded_, distinct_, kept_pages_, kept_per_page_;
  QualityMeter quality_;
  std::vector<TargetLayer> target_layers_;  // in the order of the trace
};

class StatisticsVisitor : public AttentionVisitor {
 public:
  explicit StatisticsVisitor(const StatisticsOptions& options) : options_(options) {}

  absl::Status OnProfile(const ProfileHeader& profile) override {
    collector_ = std::make_unique<ProfileCollector>(profile, options_);
    return absl::OkStatus();
  }
  absl::Status OnTick(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                      std::span<const uint8_t> codes) override {
    collector_->AddTick(step, layer, entries, codes);
    return absl::OkStatus();
  }
  absl::Status OnSelection(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                           std::span<const uint8_t> votes) override {
    collector_->AddSelection(step, layer, entries, votes);
    return absl::OkStatus();
  }
  absl::Status OnWeights(int32_t, int32_t layer, std::span<const uint32_t> entries,
                         std::span<const uint8_t> weights) override {
    collector_->AddWeights(layer, entries, weights);
    return absl::OkStatus();
  }
  absl::Status OnProfileEnd() override {
    result_.profiles.push_back(collector_->Finish());
    return absl::OkStatus();
  }
  void OnTraceEnd(const std::string& digest) override { result_.digest = digest; }

  AttentionStatistics TakeResult() { return std::move(result_); }

 private:
  const StatisticsOptions& options_;
  std::unique_ptr<ProfileCollector> collector_;
  AttentionStatistics result_;
};

}  // namespace

absl::StatusOr<AttentionStatistics> ComputeAttentionStatistics(const std::string& path,
                                                               const StatisticsOptions& options) {
  StatisticsVisitor visitor(options);
  TIERSCOPE_RETURN_IF_ERROR(ReadAttentionTrace(path, visitor));
  return visitor.TakeResult();
}

}  // namespace tierscope

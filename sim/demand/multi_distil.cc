#include "sim/demand/multi_distil.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"

namespace tierscope {
namespace {

// Pages in the order in which KMAX takes them: by falling density, then by page; `depth` of them at
// most, none of density 0. Appends to `ranked`. Cost: two passes over the pages.
void RankDensestPages(std::span<const uint8_t> density, int32_t depth,
                      std::vector<PageIndex>& ranked) {
  // Two histograms: neighbouring pages are often of one density, and a counter waits for itself.
  int32_t even[kDensityBins] = {};
  int32_t odd[kDensityBins] = {};
  size_t page = 0;
  for (; page + 1 < density.size(); page += 2) {
    ++even[density[page]];
    ++odd[density[page + 1]];
  }
  if (page < density.size()) ++even[density[page]];
  for (int32_t d = 0; d < kDensityBins; ++d) even[d] += odd[d];

  const DensityCutoff cutoff = FindDensityCutoff(even, depth);
  // Where the pages of each density begin in the ranking.
  int32_t place[kDensityBins];
  int32_t taken = 0;
  for (int32_t d = kPageEntries; d > cutoff.density; --d) {
    place[d] = taken;
    taken += even[d];
  }
  place[cutoff.density] = taken;
  taken += cutoff.ties;
  const size_t begin = ranked.size();
  ranked.resize(begin + static_cast<size_t>(taken));
  PageIndex* out = ranked.data() + begin;
  int32_t ties_left = cutoff.ties;
  for (size_t p = 0; p < density.size(); ++p) {
    const int32_t d = density[p];
    if (d < cutoff.density || (d == cutoff.density && ties_left-- <= 0)) continue;
    out[place[d]++] = static_cast<PageIndex>(p);
  }
}

// Most pages that the spec forces at any tick.
int64_t ForcedPagesMax(const DemandSpec& spec) {
  return spec.recency_entries / kPageEntries + 2 +
         (spec.sink_entries + kPageEntries - 1) / kPageEntries;
}

}  // namespace

// Takes from each record what any of the specs needs.
class DigestingVisitor : public AttentionVisitor {
 public:
  DigestingVisitor(std::span<const DemandSpec> specs, DistilledTrace& trace) : trace_(trace) {
    for (const DemandSpec& spec : specs) {
      if (spec.policy != WantPolicy::kLsa) continue;
      int64_t& depth = depths_[spec.threshold_code];
      depth = std::max(depth, spec.page_kmax + ForcedPagesMax(spec));
    }
  }

  absl::Status OnProfile(const ProfileHeader& header) override {
    TIERSCOPE_RETURN_IF_ERROR(AddProfileHeader(header, &trace_.frame_));
    header_ = header;
    // Wants nothing: only its histogram is used.
    DemandSpec spec;
    spec.policy = WantPolicy::kRecency;
    spec.tau_steps = header.tick_stride_steps();
    spec.page_kmax = 0;
    histogram_.emplace(spec);
    TIERSCOPE_RETURN_IF_ERROR(
        histogram_->Begin(header, static_cast<int32_t>(trace_.profiles_.size())));
    BeginRankings();
    return absl::OkStatus();
  }

  absl::Status OnTick(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                      std::span<const uint8_t> codes) override {
    if (thresholds_.empty()) return absl::OkStatus();
    const int32_t position = step / header_.tick_stride_steps();
    if (position >= position_count_) return absl::OkStatus();
    while (open_tick_ < position) CloseTick();
    if (layer < 0) {
      for (size_t i = 0; i < entries.size(); ++i) Count(entries[i], codes[i]);
      return absl::OkStatus();
    }
    for (size_t i = 0; i < entries.size(); ++i) {
      uint8_t& code = layered_code_[entries[i]];
      if (code == 0 && codes[i] > 0) layered_.push_back(entries[i]);
      code = std::max(code, codes[i]);
    }
    return absl::OkStatus();
  }

  absl::Status OnSelection(int32_t step, int32_t, std::span<const uint32_t> entries,
                           std::span<const uint8_t> votes) override {
    histogram_->Select(step, entries, votes);
    return absl::OkStatus();
  }

  absl::Status OnProfileEnd() override {
    ProfileDigest digest;
    digest.header = header_;
    digest.frame = histogram_->Finish();
    TIERSCOPE_RETURN_IF_ERROR(KeepHistogram(&digest));
    while (!thresholds_.empty() && open_tick_ < position_count_) CloseTick();
    for (size_t t = 0; t < thresholds_.size(); ++t) {
      TIERSCOPE_ASSIGN_OR_RETURN(const size_t begin, Put(begins_[t]));
      TIERSCOPE_ASSIGN_OR_RETURN(const size_t pages, Put(ranked_[t]));
      digest.rankings[thresholds_[t]] = {begin, pages};
    }
    trace_.profiles_.push_back(std::move(digest));
    return absl::OkStatus();
  }

  void OnTraceEnd(const std::string& digest) override { trace_.frame_.trace_digest = digest; }

 private:
  template <typename T>
  absl::StatusOr<size_t> Put(const std::vector<T>& values) {
    return trace_.blobs_.Put(std::span<const T>(values));
  }

  void BeginRankings() {
    position_count_ = header_.step_count() / header_.tick_stride_steps();
    open_tick_ = 0;
    thresholds_.clear();
    for (const auto& [code, depth] : depths_) {
      // One under the floor is refused when its demand is asked for.
      if (code >= static_cast<int32_t>(header_.score_floor_code())) thresholds_.push_back(code);
    }
    for (int code = 0; code < 256; ++code) {
      const auto above = std::upper_bound(thresholds_.begin(), thresholds_.end(), code);
      reached_[code] = static_cast<size_t>(above - thresholds_.begin());
    }
    const int64_t entries = HistoryEntries(header_, header_.step_count());
    page_count_ = static_cast<size_t>((entries + kPageEntries - 1) / kPageEntries);
    counts_.assign((thresholds_.size() + 1) * page_count_, 0);
    layered_code_.assign(page_count_ * kPageEntries, 0);
    begins_.assign(thresholds_.size(), std::vector<uint32_t>(1, 0));
    ranked_.assign(thresholds_.size(), {});
  }

  // An entry of `code` counts at every threshold that it reaches; the sums are left to CloseTick.
  void Count(uint32_t entry, uint8_t code) {
    uint8_t& count = counts_[reached_[code] * page_count_ + entry / kPageEntries];
    count = static_cast<uint8_t>(count + 1);
  }

  void CloseTick() {
    for (const uint32_t entry : layered_) {
      Count(entry, layered_code_[entry]);
      layered_code_[entry] = 0;
    }
    layered_.clear();
    for (size_t t = thresholds_.size(); t-- > 0;) {
      // Row t + 1 becomes the density at threshold t: its own count and that of all higher ones.
      uint8_t* row = counts_.data() + (t + 1) * page_count_;
      if (t + 1 < thresholds_.size()) {
        const uint8_t* higher = row + page_count_;
        for (size_t page = 0; page < page_count_; ++page) {
          row[page] = static_cast<uint8_t>(row[page] + higher[page]);
        }
      }
      const auto depth = static_cast<int32_t>(
          std::min<int64_t>(depths_[thresholds_[t]], static_cast<int64_t>(page_count_)));
      RankDensestPages({row, page_count_}, depth, ranked_[t]);
      begins_[t].push_back(static_cast<uint32_t>(ranked_[t].size()));
    }
    std::fill(counts_.begin(), counts_.end(), uint8_t{0});
    ++open_tick_;
  }

  // Moves the histogram from the digest's frame to the blobs, with its running sums.
  absl::Status KeepHistogram(ProfileDigest* digest) {
    ProfileDemand& frame = digest->frame;
    const auto positions = static_cast<size_t>(frame.position_count);
    const auto pages = static_cast<size_t>(frame.page_count);
    std::vector<uint32_t> sums(pages * (positions + 1), 0);
    digest->totals.assign(positions + 1, {});
    for (size_t w = 0; w < positions; ++w) {
      SelectionCount total = digest->totals[w];
      for (uint32_t i = frame.touched_begin[w]; i < frame.touched_begin[w + 1]; ++i) {
        const PageIndex page = frame.touched_pages[i];
        const int64_t count = frame.touched_selections[i];
        sums[page * (positions + 1) + w + 1] = frame.touched_selections[i];
        total += {count, page < frame.prompt_page_count ? count : 0};
      }
      digest->totals[w + 1] = total;
    }
    for (size_t page = 0; page < pages; ++page) {
      uint32_t* row = sums.data() + page * (positions + 1);
      for (size_t w = 0; w < positions; ++w) row[w + 1] += row[w];
    }
    TIERSCOPE_ASSIGN_OR_RETURN(digest->touched_begin, Put(frame.touched_begin));
    TIERSCOPE_ASSIGN_OR_RETURN(digest->touched_pages, Put(frame.touched_pages));
    TIERSCOPE_ASSIGN_OR_RETURN(digest->touched_selections, Put(frame.touched_selections));
    TIERSCOPE_ASSIGN_OR_RETURN(digest->sums, Put(sums));
    for (std::vector<uint32_t>* list :
         {&frame.touched_begin, &frame.touched_selections, &frame.want_begin}) {
      *list = {};
    }
    frame.touched_pages = {};
    frame.want_pages = {};
    frame.selections = {};
    frame.inactive = {};
    return absl::OkStatus();
  }

  DistilledTrace& trace_;
  std::map<int32_t, int64_t> depths_;  // threshold code -> pages to rank
  ProfileHeader header_;
  std::optional<ProfileDistiller> histogram_;

  std::vector<int32_t> thresholds_;  // rising
  size_t reached_[256] = {};         // by code: how many thresholds it reaches
  size_t page_count_ = 0;
  int32_t position_count_ = 0;
  int32_t open_tick_ = 0;
  std::vector<uint8_t> counts_;        // [thresholds reached][page] of the open tick
  std::vector<uint8_t> layered_code_;  // [entry] highest code over the layers of the open tick
  std::vector<uint32_t> layered_;      // entries with one
  std::vector<std::vector<uint32_t>> begins_;   // [threshold]
  std::vector<std::vector<PageIndex>> ranked_;  // [threshold]
};

absl::StatusOr<DistilledTrace> DistilledTrace::Read(const std::string& path,
                                                    std::span<const DemandSpec> specs,
                                                    int64_t memory_bytes_max,
                                                    const std::string& spill_folder) {
  DistilledTrace trace(path, memory_bytes_max, spill_folder);
  DigestingVisitor visitor(specs, trace);
  TIERSCOPE_RETURN_IF_ERROR(ReadAttentionTrace(path, visitor));
  if (trace.profiles_.empty()) return NoProfile(path);
  trace.frame_.trace_name = std::filesystem::path(path).filename().string();
  return trace;
}

}  // namespace tierscope

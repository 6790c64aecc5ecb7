#include "sim/demand/multi_distil.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"

namespace tierscope {
namespace {

int32_t CountAtLeast(std::span<const uint8_t> density, int32_t least) {
  int32_t count = 0;
  for (const uint8_t d : density) count += d >= least;
  return count;
}

// The largest density that `depth` pages reach; 1 where fewer have any. Densities are 0..64.
int32_t CutoffFor(std::span<const uint8_t> density, int32_t depth) {
  int32_t reached = 1, too_high = kPageEntries + 1;
  while (too_high - reached > 1) {
    const int32_t middle = (reached + too_high) / 2;
    (CountAtLeast(density, middle) >= depth ? reached : too_high) = middle;
  }
  return reached;
}

// Pages of at least that density, in rising order, eight at a time: a byte of 0..64 plus
// 128 - least has its top bit set exactly where it is large enough.
void PagesAtLeast(std::span<const uint8_t> density, int32_t least, std::vector<PageIndex>& pages) {
  constexpr uint64_t kOnes = 0x0101010101010101ULL;
  const uint64_t bias = static_cast<uint64_t>(128 - least) * kOnes;
  pages.clear();
  size_t page = 0;
  for (; page + 8 <= density.size(); page += 8) {
    uint64_t eight;
    std::memcpy(&eight, density.data() + page, 8);
    for (uint64_t found = (eight + bias) & (kOnes << 7); found != 0; found &= found - 1) {
      pages.push_back(
          static_cast<PageIndex>(page + static_cast<size_t>(__builtin_ctzll(found)) / 8));
    }
  }
  for (; page < density.size(); ++page) {
    if (density[page] >= least) pages.push_back(static_cast<PageIndex>(page));
  }
}

// Pages in the order in which KMAX takes them: by falling density, then by page; `depth` of them at
// most, none of density 0. Appends to `ranked`; `scratch` is anybody's. The cost of a threshold.
void RankDensestPages(std::span<const uint8_t> density, int32_t depth,
                      std::vector<PageIndex>& scratch, std::vector<PageIndex>& ranked) {
  PagesAtLeast(density, CutoffFor(density, depth), scratch);
  int32_t bins[kDensityBins] = {};
  for (const PageIndex page : scratch) ++bins[density[page]];
  int32_t place[kDensityBins];  // where the pages of each density begin
  int32_t above = 0;
  for (int32_t d = kPageEntries; d >= 0; --d) {
    place[d] = above;
    above += bins[d];
  }
  const size_t begin = ranked.size();
  ranked.resize(begin + scratch.size());
  for (const PageIndex page : scratch) {
    ranked[begin + static_cast<size_t>(place[density[page]]++)] = page;
  }
  // What is over are ties at the cutoff, the highest pages of them.
  ranked.resize(begin + std::min(scratch.size(), static_cast<size_t>(depth)));
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
      RankDensestPages({row, page_count_}, depth, scratch_, ranked_[t]);
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
  std::vector<PageIndex> scratch_;
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

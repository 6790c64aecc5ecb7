// The demand of one spec from what DistilledTrace kept. Compiled with vectorisation: the sums over
// lags are where the time goes.
#include <algorithm>

#include "sim/base/status_macros.h"
#include "sim/demand/multi_distil.h"
#include "traces/attention_trace.h"

namespace tierscope {
namespace {

ForcedPages ForcedAt(const ProfileDigest& digest, const DemandSpec& spec, int32_t position) {
  return ForcedPagesOf(HistoryEntries(digest.header, position * digest.frame.stride_steps),
                       spec.sink_entries, spec.recency_entries);
}

// Adds to hits[0..lag_count] what one page was selected in the sub-windows position ..
// position + lag - 1. `sums`: of the page, [position_count + 1]; past the profile's end it goes on
// at its start.
void AddHits(const uint32_t* sums, int32_t position_count, int32_t position, int32_t lag_count,
             uint32_t* hits) {
  const uint32_t before = sums[position];
  const int32_t first = std::min(lag_count, position_count - position);
  const uint32_t* from = sums + position;
  for (int32_t lag = 0; lag <= first; ++lag) hits[lag] += from[lag] - before;
  uint32_t wrapped = sums[position_count] - before;
  for (int32_t lag = first; lag < lag_count;) {
    const int32_t count = std::min(lag_count - lag, position_count);
    uint32_t* to = hits + lag;
    for (int32_t w = 1; w <= count; ++w) to[w] += wrapped + sums[w];
    wrapped += sums[position_count];
    lag += count;
  }
}

// Selections in the `lag` sub-windows from `position`, from running totals that wrap.
SelectionCount TotalOver(const std::vector<SelectionCount>& totals, int32_t position, int32_t lag) {
  const auto positions = static_cast<int32_t>(totals.size()) - 1;
  const int32_t end = position + lag;
  SelectionCount total =
      totals[static_cast<size_t>(end % positions)] - totals[static_cast<size_t>(position)];
  for (int32_t round = 0; round < end / positions; ++round) total += totals.back();
  return total;
}

template <typename T>
absl::Status CopyBlob(const BlobStore& blobs, size_t number, std::vector<T>* to) {
  std::vector<char> scratch;
  TIERSCOPE_ASSIGN_OR_RETURN(const std::span<const T> values, blobs.Get<T>(number, scratch));
  to->assign(values.begin(), values.end());
  return absl::OkStatus();
}

}  // namespace

absl::Status DistilledTrace::TakeWantLists(const ProfileDigest& digest, const DemandSpec& spec,
                                           ProfileDemand* demand) const {
  const auto& [begin_number, pages_number] = digest.rankings.at(spec.threshold_code);
  std::vector<char> begin_scratch, pages_scratch;
  TIERSCOPE_ASSIGN_OR_RETURN(const std::span<const uint32_t> begin,
                             blobs_.Get<uint32_t>(begin_number, begin_scratch));
  TIERSCOPE_ASSIGN_OR_RETURN(const std::span<const PageIndex> ranked,
                             blobs_.Get<PageIndex>(pages_number, pages_scratch));
  std::vector<uint64_t> taken(static_cast<size_t>(demand->page_count) / 64 + 1);
  demand->want_begin.assign(1, 0);
  for (int32_t position = 0; position < demand->position_count; ++position) {
    const ForcedPages forced = ForcedAt(digest, spec, position);
    const auto take = [&taken](int32_t page) {
      taken[static_cast<size_t>(page) / 64] |= uint64_t{1} << (page % 64);
    };
    for (int32_t page = 0; page < forced.sink_end; ++page) take(page);
    for (int32_t page = forced.recency_begin; page < forced.page_count; ++page) take(page);
    int32_t left = spec.page_kmax;
    const auto p = static_cast<size_t>(position);
    for (uint32_t i = begin[p]; i < begin[p + 1] && left > 0; ++i) {
      const int32_t page = ranked[i];
      if (page < forced.sink_end || page >= forced.recency_begin) continue;
      take(page);
      --left;
    }
    for (size_t word = 0; word < taken.size(); ++word) {
      for (uint64_t bits = taken[word]; bits != 0; bits &= bits - 1) {
        demand->want_pages.push_back(
            static_cast<PageIndex>(word * 64 + static_cast<size_t>(__builtin_ctzll(bits))));
      }
      taken[word] = 0;
    }
    demand->want_begin.push_back(static_cast<uint32_t>(demand->want_pages.size()));
  }
  return absl::OkStatus();
}

absl::Status DistilledTrace::SumMisses(const ProfileDigest& digest, ProfileDemand* demand) const {
  std::vector<char> scratch;
  TIERSCOPE_ASSIGN_OR_RETURN(const std::span<const uint32_t> sums,
                             blobs_.Get<uint32_t>(digest.sums, scratch));
  const int32_t positions = demand->position_count;
  const int32_t lags = demand->lag_count;
  const auto row = static_cast<size_t>(lags) + 1;
  demand->selections.resize(static_cast<size_t>(positions) * row);
  demand->inactive.resize(demand->selections.size());
  std::vector<uint32_t> prompt_hits(row), other_hits(row);
  for (int32_t position = 0; position < positions; ++position) {
    std::fill(prompt_hits.begin(), prompt_hits.end(), 0u);
    std::fill(other_hits.begin(), other_hits.end(), 0u);
    const auto add = [&](int32_t page) {
      const uint32_t* of_page =
          sums.data() + static_cast<size_t>(page) * static_cast<size_t>(positions + 1);
      if (of_page[positions] == 0) return;  // never selected
      std::vector<uint32_t>& hits = page < demand->prompt_page_count ? prompt_hits : other_hits;
      AddHits(of_page, positions, position, lags, hits.data());
    };
    // The pages in HBM, or those that are not: whichever are fewer.
    const int32_t formed = demand->formed_page[static_cast<size_t>(position)];
    const std::span<const PageIndex> wanted = demand->WantList(position);
    const bool count_missed = wanted.size() > static_cast<size_t>(formed) / 2;
    if (count_missed) {
      auto next = wanted.begin();
      for (int32_t page = 0; page < formed; ++page) {
        while (next != wanted.end() && *next < page) ++next;
        if (next == wanted.end() || *next != page) add(page);
      }
    } else {
      for (const PageIndex page : wanted) {
        if (page < formed) add(page);
      }
      for (int32_t page = formed; page < demand->page_count; ++page) add(page);
    }
    for (int32_t lag = 0; lag <= lags; ++lag) {
      const auto l = static_cast<size_t>(lag);
      const size_t at = static_cast<size_t>(position) * row + l;
      const SelectionCount total = TotalOver(digest.totals, position, lag);
      const SelectionCount counted{int64_t{prompt_hits[l]} + other_hits[l], prompt_hits[l]};
      demand->selections[at] = total;
      demand->inactive[at] = count_missed ? counted : total - counted;
    }
  }
  return absl::OkStatus();
}

// Other policies than lsa need no more of a trace than its histogram; their own code builds the
// demand from it.
absl::StatusOr<ProfileDemand> DistilledTrace::ReplayHistogram(const ProfileDigest& digest,
                                                              int32_t profile_index,
                                                              const DemandSpec& spec) const {
  ProfileDistiller distiller(spec);
  TIERSCOPE_RETURN_IF_ERROR(distiller.Begin(digest.header, profile_index));
  std::vector<char> scratch[3];
  TIERSCOPE_ASSIGN_OR_RETURN(const std::span<const uint32_t> begin,
                             blobs_.Get<uint32_t>(digest.touched_begin, scratch[0]));
  TIERSCOPE_ASSIGN_OR_RETURN(const std::span<const PageIndex> pages,
                             blobs_.Get<PageIndex>(digest.touched_pages, scratch[1]));
  TIERSCOPE_ASSIGN_OR_RETURN(const std::span<const uint32_t> selections,
                             blobs_.Get<uint32_t>(digest.touched_selections, scratch[2]));
  std::vector<uint32_t> entries;
  std::vector<uint8_t> votes;
  for (int32_t w = 0; w < digest.frame.position_count; ++w) {
    entries.clear();
    votes.clear();
    const auto p = static_cast<size_t>(w);
    for (uint32_t i = begin[p]; i < begin[p + 1]; ++i) {
      for (uint32_t left = selections[i]; left > 0; left -= votes.back()) {
        entries.push_back(uint32_t{pages[i]} * kPageEntries);
        votes.push_back(static_cast<uint8_t>(std::min(left, 255u)));
      }
    }
    distiller.Select(w * digest.frame.stride_steps + 1, entries, votes);
  }
  return distiller.Finish();
}

absl::StatusOr<ProfileDemand> DistilledTrace::DemandOf(const ProfileDigest& digest,
                                                       int32_t profile_index,
                                                       const DemandSpec& spec) const {
  if (spec.policy != WantPolicy::kLsa) return ReplayHistogram(digest, profile_index, spec);
  TIERSCOPE_RETURN_IF_ERROR(CheckAnswerable(digest.header, spec));
  ProfileDemand demand = digest.frame;
  demand.lag_count = LagCount(spec, demand.stride_steps);
  TIERSCOPE_RETURN_IF_ERROR(CopyBlob(blobs_, digest.touched_begin, &demand.touched_begin));
  TIERSCOPE_RETURN_IF_ERROR(CopyBlob(blobs_, digest.touched_pages, &demand.touched_pages));
  TIERSCOPE_RETURN_IF_ERROR(
      CopyBlob(blobs_, digest.touched_selections, &demand.touched_selections));
  TIERSCOPE_RETURN_IF_ERROR(TakeWantLists(digest, spec, &demand));
  TIERSCOPE_RETURN_IF_ERROR(SumMisses(digest, &demand));
  return demand;
}

absl::StatusOr<WindowDemand> DistilledTrace::Demand(const DemandSpec& spec) const {
  const bool shared = spec.policy == WantPolicy::kLsa || spec.policy == WantPolicy::kRecency ||
                      spec.policy == WantPolicy::kRandom || spec.policy == WantPolicy::kOracle;
  // Sums are of 32 bits; a profile beyond them is distilled by itself.
  const bool countable =
      std::all_of(profiles_.begin(), profiles_.end(), [&spec](const ProfileDigest& digest) {
        const int64_t rounds =
            LagCount(spec, digest.frame.stride_steps) / digest.frame.position_count + 2;
        return digest.totals.back().all < (int64_t{1} << 32) / rounds;
      });
  const bool scored = std::none_of(profiles_.begin(), profiles_.end(), [](const ProfileDigest& p) {
    return p.header.no_scores();  // decisions answer one spec and share nothing
  });
  if (!shared || !countable || !scored) return DistilTrace(path_, spec);
  WindowDemand demand = frame_;
  for (const ProfileDigest& digest : profiles_) {
    const auto index = static_cast<int32_t>(demand.profiles.size());
    TIERSCOPE_ASSIGN_OR_RETURN(ProfileDemand profile, DemandOf(digest, index, spec));
    demand.profiles.push_back(std::move(profile));
  }
  return demand;
}

}  // namespace tierscope

// Page selection by density. Under `lsa`: the densest KMAX pages of a tick, beside the forced ones.
// Under `flashmemory`: exactly KMAX pages, the forced ones among them, empty pages where no others
// are left. Compiled for host and device, so that simulator, reference and kernel take the same
// decision to the last tie.
//
// The decision needs only the 65-bin histogram of page densities (a page holds 64 entries): every
// page denser than a cutoff is taken, and of the pages at the cutoff the first few by page id.
// FlashMemory leaves its ties to torch.topk, which promises no order: the lower id is our choice.
#ifndef TIERSCOPE_SIM_POLICY_PAGE_SELECTION_H_
#define TIERSCOPE_SIM_POLICY_PAGE_SELECTION_H_

#include <cstddef>
#include <cstdint>

#ifdef __CUDACC__
#define TIERSCOPE_HOST_DEVICE __host__ __device__
#else
#define TIERSCOPE_HOST_DEVICE
#endif

namespace tierscope {

inline constexpr int32_t kPageEntries = 64;
inline constexpr int32_t kDensityBins = kPageEntries + 1;

// Which pages exist at a tick and which are taken whatever their scores: pages [0, sink_end) and
// [recency_begin, page_count). Invariant: 0 <= sink_end <= recency_begin <= page_count.
struct ForcedPages {
  int32_t page_count;
  int32_t sink_end;
  int32_t recency_begin;
};

// The pages of the oldest `sink_entries` and the newest `recency_entries` of a history of
// `entry_count` entries. The newest page is forced even when recency_entries is 0: it is still
// open.
TIERSCOPE_HOST_DEVICE inline ForcedPages ForcedPagesOf(int64_t entry_count, int64_t sink_entries,
                                                       int64_t recency_entries) {
  const auto pages = static_cast<int32_t>((entry_count + kPageEntries - 1) / kPageEntries);
  const int64_t oldest_recent = entry_count > recency_entries ? entry_count - recency_entries : 0;
  auto recency_begin = static_cast<int32_t>(oldest_recent / kPageEntries);
  if (pages > 0 && recency_begin > pages - 1) recency_begin = pages - 1;
  auto sink_end = static_cast<int32_t>((sink_entries + kPageEntries - 1) / kPageEntries);
  if (sink_end > recency_begin) sink_end = recency_begin;
  return {pages, sink_end, recency_begin};
}

// Pages with density above `density` are taken, and the first `ties` pages at it.
struct DensityCutoff {
  int32_t density;
  int32_t ties;
};

// The cutoff that takes min(kmax, pages with density >= density_min) pages; density_min is 0 or 1.
// `bins[d]` counts the candidate pages of density d, d = 0..64.
TIERSCOPE_HOST_DEVICE inline DensityCutoff FindDensityCutoff(const int32_t* bins, int32_t kmax,
                                                             int32_t density_min = 1) {
  int32_t left = kmax;
  for (int32_t density = kPageEntries; density >= density_min; --density) {
    if (bins[density] >= left) return {density, left};
    left -= bins[density];
  }
  return {density_min - 1, 0};
}

// Writes the taken pages to `pages` in rising order and returns how many: the forced pages and at
// most `kmax` others with density of density_min or more, the densest first, ties to the lower page
// id. density: [page_count], 0..64. pages: room for page_count. Cost: two passes over the pages.
template <typename Page>
int32_t SelectDensestPages(const uint8_t* density, const ForcedPages& forced, int32_t kmax,
                           Page* pages, int32_t density_min = 1) {
  int32_t bins[kDensityBins] = {};
  for (int32_t page = forced.sink_end; page < forced.recency_begin; ++page) ++bins[density[page]];
  const DensityCutoff cutoff = FindDensityCutoff(bins, kmax, density_min);
  int32_t taken = 0;
  int32_t ties = 0;
  for (int32_t page = 0; page < forced.sink_end; ++page) pages[taken++] = static_cast<Page>(page);
  for (int32_t page = forced.sink_end; page < forced.recency_begin; ++page) {
    const int32_t d = density[page];
    const bool take = d > cutoff.density || (d == cutoff.density && ties++ < cutoff.ties);
    if (take) pages[taken++] = static_cast<Page>(page);
  }
  for (int32_t page = forced.recency_begin; page < forced.page_count; ++page) {
    pages[taken++] = static_cast<Page>(page);
  }
  return taken;
}

// The forced pages that fit into `kmax`, the newest first and then the oldest.
TIERSCOPE_HOST_DEVICE inline ForcedPages ForcedWithin(const ForcedPages& forced, int32_t kmax) {
  const int32_t recent = forced.page_count - forced.recency_begin;
  const int32_t recent_taken = recent < kmax ? recent : kmax;
  const int32_t sink_room = kmax - recent_taken;
  return {forced.page_count, forced.sink_end < sink_room ? forced.sink_end : sink_room,
          forced.page_count - recent_taken};
}

// Policy `flashmemory`: exactly min(kmax, page_count) pages in rising order, the forced ones first
// of all, then the densest, pages of density 0 filling up. Arguments as of SelectDensestPages.
template <typename Page>
int32_t SelectExactlyKmaxPages(const uint8_t* density, const ForcedPages& forced, int32_t kmax,
                               Page* pages) {
  const ForcedPages within = ForcedWithin(forced, kmax);
  const int32_t left = kmax - within.sink_end - (within.page_count - within.recency_begin);
  return SelectDensestPages(density, within, left, pages, /*density_min=*/0);
}

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_POLICY_PAGE_SELECTION_H_

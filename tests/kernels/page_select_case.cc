#include <algorithm>

#include "kernels/page_select.h"
#include "kernels/paged.h"
#include "tests/kernels/kernel_case.h"

namespace tierscope::testing {
namespace {

struct SelectBatch {
  int32_t pages_max;
  std::vector<int32_t> entry_counts;
  std::vector<uint8_t> density;
  std::vector<int32_t> held_blocks;
};

// Ragged requests: none, one entry, exactly a page, anything. A few densities, so that ties decide;
// past a request's end, full density and a block.
SelectBatch DrawBatch(Rng& rng, int32_t pages_max, int requests) {
  SelectBatch batch{pages_max, {0, 1, 64, 65, 64 * pages_max}, {}, {}};
  while (static_cast<int>(batch.entry_counts.size()) < requests) {
    batch.entry_counts.push_back(
        static_cast<int32_t>(rng.NextBelow(static_cast<uint64_t>(64 * pages_max))));
  }
  for (const int32_t entries : batch.entry_counts) {
    const uint64_t spread = 1 + rng.NextBelow(65);
    const uint64_t held_of_4 = rng.NextBelow(5);
    for (int32_t page = 0; page < pages_max; ++page) {
      const bool exists = page < PagesOfEntries(entries);
      batch.density.push_back(static_cast<uint8_t>(exists ? rng.NextBelow(spread) : 64));
      const bool held = !exists || rng.NextBelow(4) < held_of_4;
      batch.held_blocks.push_back(held ? static_cast<int32_t>(rng.NextBelow(1000)) : -1);
    }
  }
  return batch;
}

std::string CompareList(const char* name, size_t request, int32_t count, const int32_t* got,
                        const int32_t* want) {
  if (std::equal(got, got + count, want)) return "";
  return std::string(name) + " of request " + std::to_string(request) + " differs";
}

struct Lists {
  explicit Lists(size_t places, size_t requests)
      : selected(places), recall(places), evict(places), counts(requests * kSelectCounts) {}
  std::vector<int32_t> selected, recall, evict, counts;
};

std::string CompareLists(const Lists& got, const Lists& want, int32_t pages_max) {
  if (got.counts != want.counts) return "counts differ";
  for (size_t r = 0; r * kSelectCounts < want.counts.size(); ++r) {
    const size_t row = r * static_cast<size_t>(pages_max);
    const int32_t* counts = want.counts.data() + r * kSelectCounts;
    for (const std::string& difference :
         {CompareList("selected", r, counts[kSelectedPages], &got.selected[row],
                      &want.selected[row]),
          CompareList("recall", r, counts[kRecalledPages], &got.recall[row], &want.recall[row]),
          CompareList("evict", r, counts[kEvictedPages], &got.evict[row], &want.evict[row])}) {
      if (!difference.empty()) return difference;
    }
  }
  return "";
}

std::string CompareOnce(const SelectBatch& batch, PageSelectParams params) {
  const size_t places = batch.density.size();
  const DeviceArray<uint8_t> density(batch.density);
  const DeviceArray<int32_t> entry_counts(batch.entry_counts), held(batch.held_blocks);
  const DeviceArray<int32_t> selected(places), recall(places), evict(places);
  const DeviceArray<int32_t> counts(batch.entry_counts.size() * kSelectCounts);
  Lists want(places, batch.entry_counts.size());

  params.request_count = static_cast<int32_t>(batch.entry_counts.size());
  params.pages_max = batch.pages_max;
  PageSelectParams host = params;
  host.density = batch.density.data();
  host.entry_counts = batch.entry_counts.data();
  host.held_blocks = batch.held_blocks.data();
  host.selected = want.selected.data();
  host.recall = want.recall.data();
  host.evict = want.evict.data();
  host.counts = want.counts.data();
  PageSelectReference(host);

  params.density = density.data();
  params.entry_counts = entry_counts.data();
  params.held_blocks = held.data();
  params.selected = selected.data();
  params.recall = recall.data();
  params.evict = evict.data();
  params.counts = counts.data();
  for (const DeviceArray<int32_t>* output : {&selected, &recall, &evict, &counts}) output->Poison();
  if (const KernelStatus s = LaunchPageSelect(params, nullptr); !s.ok()) return TextOf(s);
  if (const KernelStatus s = FinishDevice(); !s.ok()) return TextOf(s);
  Lists got(0, 0);
  got.selected = selected.Download();
  got.recall = recall.Download();
  got.evict = evict.Download();
  got.counts = counts.Download();
  return CompareLists(got, want, batch.pages_max);
}

}  // namespace

std::string RunPageSelectCase(uint64_t seed, CaseSize size) {
  Rng rng(seed, 2);
  const int rounds = size == CaseSize::kSmall ? 6 : 100;
  const int requests = size == CaseSize::kSmall ? 7 : 76;
  for (int round = 0; round < rounds; ++round) {
    const auto pages_max =
        static_cast<int32_t>(round == 0 ? kSelectPagesMax : 16 * (1 + rng.NextBelow(20)));
    PageSelectParams params;
    params.kmax = static_cast<int32_t>(1 + rng.NextBelow(static_cast<uint64_t>(pages_max)));
    params.reserve_blocks = kSelectPagesMax;
    params.sink_entries = static_cast<int64_t>(rng.NextBelow(3) * 64);
    params.recency_entries = static_cast<int64_t>(rng.NextBelow(2) * 2048 + rng.NextBelow(64));
    const std::string problem = CompareOnce(DrawBatch(rng, pages_max, requests), params);
    if (!problem.empty()) return "round " + std::to_string(round) + ": " + problem;
  }
  return "";
}

}  // namespace tierscope::testing

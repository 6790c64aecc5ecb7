#include <algorithm>
#include <limits>

#include "kernels/paged.h"
#include "kernels/top_entries.h"
#include "tests/kernels/kernel_case.h"

namespace tierscope::testing {
namespace {

// Scores of one request: spread out, few values (ties), all equal, nearly equal (the digits that
// follow the first decide), or with NaN and infinities among them.
float DrawScore(Rng& rng, int kind) {
  const auto x = static_cast<float>(rng.NextNormal());
  switch (kind) {
    case 0:
      return x;
    case 1:
      return static_cast<float>(rng.NextBelow(3)) - 1.0f;
    case 2:
      return 0.25f;
    case 3:
      return 1.0f + 1e-4f * x;
    default:
      return rng.NextBelow(10) == 0   ? std::numeric_limits<float>::quiet_NaN()
             : rng.NextBelow(10) == 0 ? -std::numeric_limits<float>::infinity()
                                      : 100.0f * x;
  }
}

struct TopBatch {
  TopBatch(Rng& rng, int32_t top_k, const std::vector<int32_t>& entries) : entry_counts(entries) {
    pages_max = std::max(1, PagesOfEntries(*std::max_element(entries.begin(), entries.end())));
    const size_t places = entries.size() * static_cast<size_t>(pages_max);
    logits.assign(places * kPageEntries, 1e30f);  // past a request's end: better than all
    for (size_t r = 0; r < entries.size(); ++r) {
      const auto first = static_cast<long>(r) * pages_max * kPageEntries;
      std::generate_n(logits.begin() + first, entries[r],
                      [&] { return DrawScore(rng, static_cast<int>(r % 5)); });
    }
    for (size_t i = 0; i < places; ++i) {
      pages.push_back(static_cast<int32_t>(2 * i));
      blocks.push_back(rng.NextBelow(8) == 0 ? -1 : static_cast<int32_t>(rng.NextBelow(100000)));
    }
    params.request_count = static_cast<int32_t>(entries.size());
    params.pages_max = pages_max;
    params.top_k = top_k;
  }
  int32_t pages_max;
  std::vector<int32_t> entry_counts, pages, blocks;
  std::vector<float> logits;
  TopEntriesParams params;
};

std::string CompareOnce(Rng& rng, int32_t top_k, const std::vector<int32_t>& entries) {
  const TopBatch batch(rng, top_k, entries);
  const DeviceArray<float> logits(batch.logits);
  const DeviceArray<int32_t> entry_counts(batch.entry_counts), pages(batch.pages),
      blocks(batch.blocks);
  const size_t places = entries.size() * static_cast<size_t>(top_k);
  const DeviceArray<int32_t> out_entries(places), out_cells(places);
  std::vector<int32_t> want_entries(places), want_cells(places);

  TopEntriesParams params = batch.params;
  params.logits = batch.logits.data();
  params.entry_counts = batch.entry_counts.data();
  params.pages = batch.pages.data();
  params.blocks = batch.blocks.data();
  params.entries = want_entries.data();
  params.cells = want_cells.data();
  TopEntriesReference(params);

  params.logits = logits.data();
  params.entry_counts = entry_counts.data();
  params.pages = pages.data();
  params.blocks = blocks.data();
  params.entries = out_entries.data();
  params.cells = out_cells.data();
  out_entries.Poison();
  out_cells.Poison();
  if (const KernelStatus s = LaunchTopEntries(params, nullptr); !s.ok()) return TextOf(s);
  if (const KernelStatus s = FinishDevice(); !s.ok()) return TextOf(s);
  if (out_entries.Download() != want_entries) return "entries differ";
  if (out_cells.Download() != want_cells) return "cells differ";
  return "";
}

}  // namespace

std::string RunTopEntriesCase(uint64_t seed, CaseSize size) {
  Rng rng(seed, 3);
  const bool small = size == CaseSize::kSmall;
  // A request with more equal scores than the block keeps candidates (4,096) reads global memory
  // again.
  std::vector<int32_t> entries{0, 3, small ? 5000 : 90000, 700, 515};
  if (!small) {
    for (int r = 0; r < 30; ++r) entries.push_back(static_cast<int32_t>(rng.NextBelow(64 * 500)));
    entries.push_back(262144);
  }
  for (const int32_t top_k : {512, 1, 33}) {
    const std::string problem = CompareOnce(rng, top_k, entries);
    if (!problem.empty()) return "top " + std::to_string(top_k) + ": " + problem;
  }
  return "";
}

}  // namespace tierscope::testing

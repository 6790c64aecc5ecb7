// Selection, top-k and gathers: what the references do, a request (or a slice of moves) a task.
// Only the top-k differs: it partitions where the reference sorts.
#include <algorithm>
#include <functional>
#include <vector>

#include "tbb/blocked_range.h"
#include "tbb/parallel_for.h"

#include "kernels/cpu_kernels.h"
#include "kernels/radix_select.h"

namespace tierscope {
namespace {

// The positions of the top_k largest logits, rising.
std::vector<uint32_t> TopPositions(const float* logits, int32_t count, int32_t top_k) {
  std::vector<uint64_t> keys(static_cast<size_t>(count));
  for (uint32_t i = 0; i < keys.size(); ++i) keys[i] = SelectionKey(logits[i], i);
  const size_t taken = std::min(keys.size(), static_cast<size_t>(top_k));
  if (taken < keys.size()) {
    std::nth_element(keys.begin(), keys.begin() + static_cast<long>(taken), keys.end(),
                     std::greater<>());
  }
  std::vector<uint32_t> positions;
  for (size_t i = 0; i < taken; ++i)
    positions.push_back(0xFFFFFFFFu - static_cast<uint32_t>(keys[i]));
  std::sort(positions.begin(), positions.end());
  return positions;
}

void WriteTop(const TopEntriesParams& params, int64_t request) {
  const float* logits = params.logits + request * params.pages_max * kPageEntries;
  const std::vector<uint32_t> positions =
      TopPositions(logits, params.entry_counts[request], params.top_k);
  int32_t* cells = params.cells + request * params.top_k;
  int32_t* entries = params.entries == nullptr ? nullptr : params.entries + request * params.top_k;
  std::fill(cells, cells + params.top_k, -1);
  if (entries) std::fill(entries, entries + params.top_k, -1);
  for (size_t i = 0; i < positions.size(); ++i) {
    const int64_t place = request * params.pages_max + positions[i] / kPageEntries;
    const auto row = static_cast<int32_t>(positions[i] % kPageEntries);
    cells[i] = CellOf(params.blocks[place], row);
    if (entries) entries[i] = params.pages[place] * kPageEntries + row;
  }
}

PageSelectParams OneRequest(PageSelectParams params, int64_t request) {
  const int64_t row = request * params.pages_max;
  params.request_count = 1;
  params.density += row;
  params.entry_counts += request;
  params.held_blocks += row;
  params.selected += row;
  params.recall += row;
  params.evict += row;
  params.counts += request * kSelectCounts;
  return params;
}

}  // namespace

KernelStatus PageSelectOnCpu(const PageSelectParams& params) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckPageSelect(params));
  tbb::parallel_for(0, params.request_count,
                    [&](int request) { PageSelectReference(OneRequest(params, request)); });
  return {};
}

KernelStatus TopEntriesOnCpu(const TopEntriesParams& params) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckTopEntries(params));
  tbb::parallel_for(0, params.request_count, [&](int request) { WriteTop(params, request); });
  return {};
}

KernelStatus PageGatherOnCpu(const PageGatherParams& params) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckPageGather(params));
  tbb::parallel_for(0, params.move_count, [&](int move) {
    PageGatherParams one = params;
    one.source_pages += move;
    one.target_pages += move;
    one.move_count = 1;
    PageGatherReference(one);
  });
  return {};
}

KernelStatus EntryGatherOnCpu(const EntryGatherParams& params) {
  TIERSCOPE_KERNEL_RETURN_IF_ERROR(CheckEntryGather(params));
  tbb::parallel_for(tbb::blocked_range<int32_t>(0, params.move_count, 256), [&](const auto& range) {
    EntryGatherParams slice = params;
    slice.source_cells += range.begin();
    slice.target_cells += range.begin();
    slice.move_count = range.end() - range.begin();
    EntryGatherReference(slice);
  });
  return {};
}

}  // namespace tierscope

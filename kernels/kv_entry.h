// Which row of which pool an attention reads as its i-th entry. Host and device.
#ifndef TIERSCOPE_KERNELS_KV_ENTRY_H_
#define TIERSCOPE_KERNELS_KV_ENTRY_H_

#include <cstdint>

#include "kernels/attention.h"
#include "kernels/paged.h"

namespace tierscope {

struct KvRow {
  const uint8_t* values;  // 576 B; null: no entry
  const uint8_t* scales;  // 8 B
};

TIERSCOPE_HOST_DEVICE inline KvRow KvRowOf(const KvPool& pool, int32_t cell) {
  if (cell < 0) return {nullptr, nullptr};
  const uint8_t* page = pool.entries + cell / kPageEntries * pool.page_bytes;
  const int32_t row = cell % kPageEntries;
  return {page + row * kKvRowBytes, page + kKvValuePlaneBytes + row * kKvScaleBytes};
}

// Places of a request's own entries: the window's follow them.
TIERSCOPE_HOST_DEVICE inline int32_t OwnEntryCount(const AttentionParams& p, int32_t request) {
  return p.cells != nullptr ? p.cells_max : p.entry_counts[request];
}
TIERSCOPE_HOST_DEVICE inline int32_t WindowEntryCount(const AttentionParams& p) {
  return p.window_cells != nullptr ? p.window_max : 0;
}

// The entry at place i, 0 <= i; past the end there is none.
TIERSCOPE_HOST_DEVICE inline KvRow KvEntryAt(const AttentionParams& p, int32_t request, int32_t i) {
  const int64_t r = request;
  const int32_t own = OwnEntryCount(p, request);
  if (i < own) {
    if (p.cells != nullptr) return KvRowOf(p.pool, p.cells[r * p.cells_max + i]);
    const int32_t page = p.pages[r * p.pages_max + i / kPageEntries];
    return KvRowOf(p.pool, page * kPageEntries + i % kPageEntries);
  }
  if (i - own >= WindowEntryCount(p)) return {nullptr, nullptr};
  return KvRowOf(p.window_pool, p.window_cells[r * p.window_max + (i - own)]);
}

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_KV_ENTRY_H_

// Where things lie: index keys, KV entries and their pages, and how work over ragged requests is
// cut. Host and device.
//
// A page of index keys of one layer: 64 keys of 128 fp8, then 64 fp32 scales: 8,448 B.
// A page of KV of one layer: 64 rows of 576 B (448 fp8, 64 bf16), then 64 rows of 8 B (7 ue8m0
// scales, one byte of padding): 37,376 B, every plane 64 B-aligned. A block of the reserve, and a
// page of the cold pool, holds all layers of a page one after the other (page-major), so that a
// page is one copy. A cell is an entry of a reserve: block * 64 + row.
#ifndef TIERSCOPE_KERNELS_PAGED_H_
#define TIERSCOPE_KERNELS_PAGED_H_

#include <cstdint>

#include "sim/policy/page_selection.h"

namespace tierscope {

inline constexpr int32_t kIndexDim = 128;
inline constexpr int64_t kIndexKeyPlaneBytes = int64_t{kPageEntries} * kIndexDim;
inline constexpr int64_t kIndexPageBytes = kIndexKeyPlaneBytes + kPageEntries * 4;

inline constexpr int32_t kKvDim = 512;
inline constexpr int32_t kKvFp8Dim = 448;
inline constexpr int32_t kKvScaleGroup = 64;  // fp8 values of one ue8m0 scale
inline constexpr int32_t kKvRowBytes = 576;
inline constexpr int32_t kKvScaleBytes = 8;
inline constexpr int64_t kKvValuePlaneBytes = int64_t{kPageEntries} * kKvRowBytes;
inline constexpr int64_t kKvPageLayerBytes = kKvValuePlaneBytes + kPageEntries * kKvScaleBytes;

static_assert(kIndexPageBytes == 8448 && kKvPageLayerBytes == 37376);

TIERSCOPE_HOST_DEVICE inline int32_t CeilDiv(int32_t a, int32_t b) { return (a + b - 1) / b; }
TIERSCOPE_HOST_DEVICE inline int32_t PagesOfEntries(int32_t entry_count) {
  return CeilDiv(entry_count, kPageEntries);
}

// Items [begin, end) of `item_count` for the `part`-th of `part_count`: sizes differ by one at
// most.
struct WorkRange {
  int32_t begin;
  int32_t end;
};
TIERSCOPE_HOST_DEVICE inline WorkRange WorkRangeOf(int32_t item_count, int32_t part,
                                                   int32_t part_count) {
  const int64_t count = item_count;
  return {static_cast<int32_t>(count * part / part_count),
          static_cast<int32_t>(count * (part + 1) / part_count)};
}

// Walks the tiles of a ragged batch, `tile_pages` pages of one request each (the last of a request
// may be shorter), in the order of requests.
struct TileWalk {
  const int32_t* entry_counts;  // [request_count]
  int32_t request_count;
  int32_t tile_pages;
  int32_t request = 0;
  int32_t first_tile = 0;  // of `request`

  TIERSCOPE_HOST_DEVICE int32_t TilesOf(int32_t r) const {
    return CeilDiv(PagesOfEntries(entry_counts[r]), tile_pages);
  }
  TIERSCOPE_HOST_DEVICE int32_t TilesTotal() const {
    int32_t tiles = 0;
    for (int32_t r = 0; r < request_count; ++r) tiles += TilesOf(r);
    return tiles;
  }
  // Moves on to the request of `tile`, which must not lie before the last one asked for; its first
  // page.
  TIERSCOPE_HOST_DEVICE int32_t SeekFirstPage(int32_t tile) {
    while (tile >= first_tile + TilesOf(request)) first_tile += TilesOf(request++);
    return (tile - first_tile) * tile_pages;
  }
};

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_PAGED_H_

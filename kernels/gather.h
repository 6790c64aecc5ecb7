// Zero-copy gather: an SM reads pinned host memory (or another device's) and writes the reserve, or
// the other way. For pieces too small for the copy engine, and for pages when the copy engine is
// busy. Meant for a low-priority stream and few blocks, so that decode keeps the other SMs.
#ifndef TIERSCOPE_KERNELS_GATHER_H_
#define TIERSCOPE_KERNELS_GATHER_H_

#include <cstdint>

#include "kernels/kernel_status.h"
#include "kernels/page_copy.h"

namespace tierscope {

inline constexpr int32_t kGatherBlocksMax = 64;

// Whole pages of all layers, page-major on both sides (page_copy.h).
struct PageGatherParams {
  const uint8_t* source = nullptr;        // [source pages][page_bytes], 64 B-aligned
  uint8_t* target = nullptr;              // [target pages][page_bytes], 64 B-aligned
  int64_t page_bytes = 0;                 // a multiple of 64
  const int32_t* source_pages = nullptr;  // [move_count] readable by the device
  const int32_t* target_pages = nullptr;  // [move_count]
  int32_t move_count = 0;
  int32_t blocks_max = 8;  // thread blocks, so at most as many SMs; 1..kGatherBlocksMax
};

// Single entries of one layer: 576 B of values and 8 B of scales each, from their two planes. A
// cell is page * 64 + row; page p of a pool starts p * page_bytes behind its pointer, which points
// at the layer.
struct EntryGatherParams {
  const uint8_t* source = nullptr;  // 64 B-aligned
  uint8_t* target = nullptr;        // 64 B-aligned
  int64_t source_page_bytes = 0;    // multiples of 64, at least 37,376
  int64_t target_page_bytes = 0;
  const int32_t* source_cells = nullptr;  // [move_count] readable by the device; negative: skipped
  const int32_t* target_cells = nullptr;  // [move_count]
  int32_t move_count = 0;
  int32_t blocks_max = 8;
};

KernelStatus CheckPageGather(const PageGatherParams& params);
KernelStatus CheckEntryGather(const EntryGatherParams& params);
KernelStatus LaunchPageGather(const PageGatherParams& params, CUstream_st* stream);
KernelStatus LaunchEntryGather(const EntryGatherParams& params, CUstream_st* stream);
// The same on host memory.
void PageGatherReference(const PageGatherParams& params);
void EntryGatherReference(const EntryGatherParams& params);

}  // namespace tierscope

#endif  // TIERSCOPE_KERNELS_GATHER_H_

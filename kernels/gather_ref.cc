#include <cstring>

#include "kernels/gather.h"
#include "kernels/paged.h"

namespace tierscope {

void PageGatherReference(const PageGatherParams& params) {
  for (int32_t i = 0; i < params.move_count; ++i) {
    std::memcpy(params.target + params.target_pages[i] * params.page_bytes,
                params.source + params.source_pages[i] * params.page_bytes,
                static_cast<size_t>(params.page_bytes));
  }
}

void EntryGatherReference(const EntryGatherParams& params) {
  for (int32_t i = 0; i < params.move_count; ++i) {
    const int32_t from = params.source_cells[i];
    const int32_t to = params.target_cells[i];
    if (from < 0 || to < 0) continue;
    const uint8_t* source = params.source + from / kPageEntries * params.source_page_bytes;
    uint8_t* target = params.target + to / kPageEntries * params.target_page_bytes;
    std::memcpy(target + to % kPageEntries * kKvRowBytes,
                source + from % kPageEntries * kKvRowBytes, kKvRowBytes);
    std::memcpy(target + kKvValuePlaneBytes + to % kPageEntries * kKvScaleBytes,
                source + kKvValuePlaneBytes + from % kPageEntries * kKvScaleBytes, kKvScaleBytes);
  }
}

}  // namespace tierscope

// Memory promised and used by the requests of a replica at one instant. Bytes follow from it with
// MemoryPlan. Counts of one rank; plain data.
#ifndef TIERSCOPE_SIM_ENGINE_MEMORY_USE_H_
#define TIERSCOPE_SIM_ENGINE_MEMORY_USE_H_

#include <cstdint>

namespace tierscope {

struct MemoryUse {
  int64_t requests_admitted = 0;
  int64_t tokens_reserved = 0;
  int64_t tokens_in_use = 0;
  int64_t host_pages_reserved = 0;
  int64_t host_pages_in_use = 0;
  int64_t swap_bytes_reserved = 0;
  int64_t swap_bytes_in_use = 0;
  int64_t blocks_held = 0;
  int64_t prefix_blocks = 0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_MEMORY_USE_H_

// What the requests' promises and use come to in bytes, pool by pool: the one place where the
// footprint's arithmetic stands, for the peak of a run and for any instant of it. Pure.
#ifndef TIERSCOPE_SIM_ENGINE_MEMORY_POOLS_H_
#define TIERSCOPE_SIM_ENGINE_MEMORY_POOLS_H_

#include <cstdint>
#include <vector>

#include "sim/engine/memory_plan.h"
#include "sim/engine/memory_use.h"

namespace tierscope {

struct PoolUse {
  const char* tier;  // "hbm" (one rank) or "host" (the node)
  const char* pool;
  int64_t allocated_bytes;
  int64_t in_use_bytes;
  int64_t capacity_bytes;  // of the tier
};

// `prefix_block_bytes_node`: of one block of the prefix store, 0 without one. The same pools in the
// same order for any use, but "swap space", which is there where some is reserved.
std::vector<PoolUse> PoolsOf(const MemoryPlan& plan, const MemoryUse& use,
                             int64_t prefix_block_bytes_node);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_MEMORY_POOLS_H_

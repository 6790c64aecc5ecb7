// Replays a sequence of block ids through an eviction policy: how often a cache of a given capacity
// would have held the block already. Uses the policies of sim/policy, the same that decide for the
// page reserve, and Belady's MIN as the bound of them all. One access per id in order, every block
// of unit size, inserted on a miss. Pure functions. Memory O(block_count), for MIN O(accesses)
// more; time O(accesses).
#ifndef TIERSCOPE_SIM_ENGINE_CACHE_REPLAY_H_
#define TIERSCOPE_SIM_ENGINE_CACHE_REPLAY_H_

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace tierscope {

enum class CachePolicy { kLru, kFifo, kClock, kSieve, kS3Fifo, kBelady };

inline constexpr int64_t kCacheCapacityInfinite = std::numeric_limits<int64_t>::max();

// Every policy, comma-separated: "lru, fifo, ...".
std::string CachePolicyNames();

// A name of CachePolicyNames. Error: another name, with the list of known ones.
absl::StatusOr<CachePolicy> ParseCachePolicy(absl::string_view name);

// A whole number of blocks above 0, or "infinite". Error: anything else.
absl::StatusOr<int64_t> ParseCacheCapacity(absl::string_view text);

// Accesses that find their block, of `block_ids` in order, in a cache of `capacity_blocks` > 0.
// Preconditions: ids in [0, block_count), block_count below 2^31, fewer than 2^32 accesses.
int64_t CountCacheHits(CachePolicy policy, int64_t capacity_blocks,
                       absl::Span<const uint32_t> block_ids, int64_t block_count);

// The same at each of `capacities`, in their order. LRU at several takes one pass for all of them
// (stack_distance.h); the other policies take one a capacity.
std::vector<int64_t> CountCacheHitsAtEach(CachePolicy policy, absl::Span<const int64_t> capacities,
                                          absl::Span<const uint32_t> block_ids,
                                          int64_t block_count);

// Distinct ids among `block_ids`. Precondition: ids in [0, block_count).
int64_t CountDistinctBlocks(absl::Span<const uint32_t> block_ids, int64_t block_count);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_CACHE_REPLAY_H_

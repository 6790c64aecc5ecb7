// LRU at many capacities in one pass. An LRU cache holds the blocks used last, so an access hits in
// every cache of at least its stack distance: the number of distinct blocks since the access to the
// same block before, itself counted (Mattson, Gecsei, Slutz and Traiger, "Evaluation techniques for
// storage hierarchies", IBM Systems Journal 9(2), 1970, section on LRU stack processing). Pure.
//
// One bit per access, set while it is the last to its block, and counts of the bits: the distance
// is the number of bits from the access before. Time O(accesses x log(accesses / 512)) whatever the
// number of capacities; memory accesses / 6 bytes and 4 x block_count.
#ifndef TIERSCOPE_SIM_ENGINE_STACK_DISTANCE_H_
#define TIERSCOPE_SIM_ENGINE_STACK_DISTANCE_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace tierscope {

// Hits of LRU at each of `capacities` > 0, in their order; any order, repeats allowed.
// Preconditions as for CountCacheHits.
std::vector<int64_t> CountLruHits(absl::Span<const int64_t> capacities,
                                  absl::Span<const uint32_t> block_ids, int64_t block_count);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_STACK_DISTANCE_H_

// Replays accesses to objects of different sizes through an eviction policy with a capacity in
// bytes; cache_replay.h is the same for blocks of one size. A missed object enters after as many
// victims as it needs to fit; one larger than the whole capacity bypasses: a miss that evicts
// nothing. An object occupies what it had on entering until it leaves, whatever later accesses
// state. Pure functions. Memory O(objects), for MIN O(accesses) more; time O(accesses).
#ifndef TIERSCOPE_SIM_ENGINE_OBJECT_REPLAY_H_
#define TIERSCOPE_SIM_ENGINE_OBJECT_REPLAY_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "sim/engine/cache_replay.h"

namespace tierscope {

struct ObjectHits {
  int64_t hits = 0;
  int64_t missed_bytes = 0;  // of the accesses that miss, as they state them
  friend bool operator==(const ObjectHits&, const ObjectHits&) = default;
};

// A whole number above 0 and B, KiB, MiB, GiB or TiB; or "infinite". Error: anything else.
absl::StatusOr<int64_t> ParseCacheBytes(absl::string_view text);

// With sizes belady still evicts the farthest next use, but is no bound any more; s3fifo's queues
// have their shares in bytes. Preconditions: spans of equal length below 2^32, ids in [0,
// object_count), object_count below 2^31, capacity above 0.
ObjectHits CountObjectHits(CachePolicy policy, int64_t capacity_bytes,
                           absl::Span<const uint32_t> object_ids,
                           absl::Span<const uint32_t> object_bytes, int64_t object_count);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_OBJECT_REPLAY_H_

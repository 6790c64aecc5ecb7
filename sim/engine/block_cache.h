// A bounded set of blocks under an eviction policy of sim/policy. A pinned block is no victim.
// Plain bookkeeping without a clock; one owner. Memory O(block_count + capacity); a call costs
// O(1), a Place amortised over the pinned blocks it passes, which go back behind the newest.
#ifndef TIERSCOPE_SIM_ENGINE_BLOCK_CACHE_H_
#define TIERSCOPE_SIM_ENGINE_BLOCK_CACHE_H_

#include <cstdint>
#include <variant>
#include <vector>

#include "scenarios/scenario.pb.h"
#include "sim/policy/clock.h"
#include "sim/policy/eviction.h"
#include "sim/policy/s3fifo.h"
#include "sim/policy/sieve.h"

namespace tierscope {

class BlockCache {
 public:
  static constexpr int32_t kNone = -1;

  // Blocks are [0, block_count), at most `capacity` (>= 0) are in at a time.
  BlockCache(int64_t capacity, int64_t block_count, PrefixTiers::Eviction eviction);

  bool Holds(uint32_t block) const { return slot_of_[block] != kNone; }
  int64_t used() const { return capacity() - static_cast<int64_t>(free_.size()); }
  int64_t pins() const { return pins_; }  // Pin less Unpin, of all blocks
  int64_t capacity() const { return static_cast<int64_t>(slots_.size()); }

  // The block was used again. Precondition of this and the next three: it is in, and has entered.
  void Hit(uint32_t block);
  void Pin(uint32_t block);
  void Unpin(uint32_t block);
  void Remove(uint32_t block);  // it is not pinned

  // Puts a block in that is not, pinned once. The policy's victim, if one had to go, is in
  // `evicted` (else kNone). False: all are pinned. The policy learns of the block when Enter is
  // called, before its last Unpin, so that the order of a batch is the caller's.
  bool Place(uint32_t block, int64_t* evicted);
  void Enter(uint32_t block);

 private:
  struct Slot {
    uint32_t block = 0;
    int32_t pins = 0;
  };
  int32_t TakeSlot(int64_t* evicted);
  Slot& At(int32_t slot) { return slots_[static_cast<size_t>(slot)]; }

  std::variant<LruEviction, FifoEviction, ClockEviction, S3FifoEviction, SieveEviction> eviction_;
  std::vector<Slot> slots_;
  std::vector<int32_t> slot_of_;  // [block], kNone = not in
  std::vector<int32_t> free_;     // the next at the back
  std::vector<int32_t> passed_;   // pinned slots that a search passed
  int64_t evictable_ = 0;
  int64_t pins_ = 0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_BLOCK_CACHE_H_

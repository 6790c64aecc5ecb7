// One admitted request and the account of what its selections hit and missed.
#ifndef TIERSCOPE_SIM_ENGINE_REQUEST_STATE_H_
#define TIERSCOPE_SIM_ENGINE_REQUEST_STATE_H_

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/time.h"
#include "sim/demand/assignment.h"
#include "sim/demand/demand.h"
#include "sim/engine/counters.h"
#include "sim/engine/workload_source.h"

namespace tierscope {

class CoverageTally;

// Where an admitted or preempted request stands.
enum class Stage : uint8_t {
  kPreempted,  // out of memory, in a queue
  kIngest,     // its KV comes over the network
  kPrefill,    // the replica prefills it (COLOCATED_CHUNKED)
  kSwapIn,     // what was swapped out comes back
  kLoad,       // HBM's part of a reused prefix comes from the host
  kJoining,    // enters the batch at the next boundary
  kDecoding,   // in the batch, or between its step 0 and its first tick
  kCold,       // waits for its first publish since it was admitted
};

// What a request reuses of the prefix store.
struct PrefixHold {
  int32_t blocks = 0;  // leading blocks that matched, pinned
  int64_t pages = 0;   // whole ones of them that need no prefill
};

struct RequestState {
  bool alive = false;
  bool in_batch = false;
  int32_t generation = 0;  // of the slot: tells a finished request's events from the next one's
  int64_t id = 0;          // order of admission
  Arrival arrival;
  Stage stage = Stage::kPreempted;
  SimTime stage_since;
  bool cold = true;             // holds no pages: its next tick takes it out of the batch
  bool swapped = false;         // its HBM-only state lies in the host
  SimDuration queued;           // ready to admitted, again after every preemption
  int64_t number = 0;           // order of arrival
  int64_t prefill_left = 0;     // COLOCATED_CHUNKED: tokens that no chunk has run yet
  SimTime joined;               // the batch, last
  int32_t blocks_promised = 0;  // LRU_PROTECTED: blocks it may pin; OPTIMISTIC: is about to
  int64_t swap_bytes_reserved = 0;
  SimTime first_token;
  int64_t steps_completed = 0;     // own steps, as of leaving the batch; see Replica::Completed
  int32_t first_window_steps = 0;  // own steps from the first tick to the second
  int64_t base_step = 0;  // in the batch: replica step at which own step 0 would have stood
  int64_t tokens_reserved = 0;
  int64_t host_pages_reserved = 0;
  int64_t host_pages = 0;  // those in the prefix store included
  PrefixHold prefix;
  int32_t prefix_blocks = 0;  // leading blocks that it pins in the store, its own included
  int64_t store_pages = 0;    // whole pages of them, which it does not own

  const ProfileDemand* demand = nullptr;  // null under `full`
  ProfileStart start;
  // A request shorter than its profile owns only the profile's newest pages: those from here on.
  PageIndex first_page = 0;
  // With a decode region (FlashMemory): the profile's pages from `decode_page` on live in it, and
  // those from `overflow_page` on found it full. Past the last page without one.
  int32_t decode_page = kPagesPerProfileMax + 1;
  int32_t overflow_page = kPagesPerProfileMax + 1;
  int64_t entries_lost = 0;  // counted so far
  int64_t active_pages = 0;  // of the published set; what level 2 scores
  // Windows count in sub-windows since own step 0 (demand.h).
  int64_t active_window = -1;   // tick of the active set, -1 = nothing published yet
  int64_t pending_window = -1;  // publish NEXT_TICK: the set that waits for the next tick
  int64_t wanted_window = -1;   // tick whose list the reserve was told last
  // Steps since step 0 whose selections are counted. A step is the unit of all accounting; within a
  // sub-window selections are taken as spread evenly over its steps.
  int64_t accounted_steps = 0;
  struct LostPage {
    PageIndex page;
    int64_t from_step;        // steps since step 0 before which it was still there
    bool overflowed = false;  // it never found room: inactive, not evicted
  };
  std::vector<LostPage> lost;  // pages of the active set that are no longer held

  // Another request takes the slot: all but the generation, which moves on, begins anew, and what
  // `lost` has grown to stays.
  void Renew();
  int64_t context_tokens() const { return arrival.context_tokens; }
  int64_t output_tokens() const { return arrival.output_tokens; }
  int32_t PositionOf(int64_t window) const {
    return static_cast<int32_t>((start.position + window) % demand->position_count);
  }
  // Sets first_page from the lengths of request and profile.
  void ClipToOwnHistory();
  // The request's own pages of a tick's want list.
  std::span<const PageIndex> WantList(int64_t window) const;
  // Sets decode_page and overflow_page for a region of so many entries.
  void PlaceDecodeRegion(int64_t region_entries);
  // Of a want list the pages that take a block: those before the decode region.
  std::span<const PageIndex> BlockPages(std::span<const PageIndex> list) const;
  // Entries formed since admission that found the decode region full, after `steps` own steps.
  int64_t EntriesOverflowed(int64_t steps, int64_t region_entries) const;
  // Whether the active set holds `page`: wanted by its tick, or formed since.
  bool IsActive(PageIndex page) const;
  bool FormedSinceTick(PageIndex page) const;  // that of the active set
  // Forgets the lost pages but those that formed after the active set's tick: active without being
  // in its list, they can have lost their block before it was published.
  void KeepLostSinceTick();
  // Position of the profile's page that is open after own step `step`.
  PageIndex OpenPageAfter(int64_t step) const;
  // Steps until a new page opens, counted from own step `step`.
  int64_t StepsToNextPage(int64_t step) const;
  // Counts the selections of steps [accounted_steps, steps) since step 0 under the active set.
  // `tally` is told the same.
  void Account(int64_t steps, Counters& counters, CoverageTally* tally = nullptr);

 private:
  // Selections of `page` in steps [begin, end) since step 0, in units of 1 / stride.
  SelectionCount SelectionsOfPage(PageIndex page, int64_t begin, int64_t end) const;
  SelectionCount MissesOfLost(const LostPage& page, int64_t begin, int64_t end) const;
  void AccountClipped(int64_t steps, Counters& counters) const;
  // Own steps since the active set's tick; since step 0 where none is published.
  int64_t SinceTick(int64_t steps) const {
    return steps - std::max<int64_t>(0, active_window) * demand->stride_steps;
  }
  void TellLost(const LostPage& page, int64_t begin, int64_t end, CoverageTally& tally) const;
  void AccountLost(int64_t steps, Counters& counters, CoverageTally* tally);
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_REQUEST_STATE_H_

// Invariants of a run, kept beside it from other sources than the figures they check. All are
// identities over integers, so a violation is a bug and its count says by how much.
//
//   requests   arrived = finished + rejected + those found in the stages' own containers
//   Little     integral of requests in the system over time = sum of their times in the system,
//              those of unfinished requests up to the end; the same for the decode batch
//   memory     bytes in use stay within what is promised, and that within the machine, at every
//              change
//   tokens     tokens counted by steps = tokens that the requests have
//   recall     bytes that landed = blocks that the reserve gave to wanted pages x a page's bytes
//   time       it never goes back; decode + idle time = run time
//
// One owner. Cost: a few additions per arrival, join and leave, two comparisons per step.
#ifndef TIERSCOPE_SIM_ENGINE_CONSERVATION_H_
#define TIERSCOPE_SIM_ENGINE_CONSERVATION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/time.h"

namespace tierscope {

struct InvariantViolation {
  std::string what;
  int64_t count = 0;  // how often, or by how much
};

// What is there when the run ends, counted from the containers.
struct RunEnd {
  SimTime end;
  int64_t arrived = 0, finished = 0, rejected = 0;
  int64_t unfinished = 0;         // found in the stages' containers
  __int128 unfinished_ns = 0;     // sum of (end - arrival) over them
  int64_t unfinished_tokens = 0;  // that they have produced
  int64_t in_batch = 0;
  __int128 in_batch_ns = 0;    // sum of (end - joined) over them
  int64_t tokens_counted = 0;  // by steps, warm-up included
  SimDuration decode;          // by steps, warm-up included
  SimDuration idle;
  SimDuration tail;  // since the last boundary or since the batch fell idle
  int64_t blocks_leaked = 0, blocks_in_use_peak = 0, blocks = 0;
  int64_t blocks_recalled = 0;  // by the reserve, warm-up included, less those still on the way
  int64_t page_bytes = 0;       // that a recall moves for one
  int64_t fetch_bytes = 0, entries_fetched = 0, entry_bytes = 0;
  int64_t prefix_pins = 0;        // of the prefix store
  int64_t prefix_pins_known = 0;  // that requests in the system account for
};

class Conservation {
 public:
  explicit Conservation(bool enabled) : enabled_(enabled) {}

  // A request enters the system, or leaves it for good with `tokens` produced.
  void Arrive(SimTime now) {
    if (enabled_) system_.Change(now, 1);
  }
  void Leave(SimTime now, SimTime arrival, int64_t tokens) {
    if (!enabled_) return;
    system_.Change(now, -1);
    system_ns_ += (now - arrival).ns;
    tokens_ += tokens;
  }
  // A request enters or leaves the decode batch.
  void Join(SimTime now) {
    if (enabled_) batch_.Change(now, 1);
  }
  void LeaveBatch(SimTime now, SimTime joined) {
    if (!enabled_) return;
    batch_.Change(now, -1);
    batch_ns_ += (now - joined).ns;
  }
  // Bytes of one rank's HBM or of the host at a change.
  void Hbm(int64_t in_use, int64_t promised, int64_t capacity) {
    hbm_over_ += enabled_ && (in_use > promised || promised > capacity) ? 1 : 0;
  }
  void Host(int64_t in_use, int64_t promised, int64_t capacity) {
    host_over_ += enabled_ && (in_use > promised || promised > capacity) ? 1 : 0;
  }
  // The last byte of a recall is in HBM.
  void Landed(int64_t bytes) { landed_bytes_ += bytes; }
  // The clock moves to `now`.
  void Clock(SimTime now) {
    backward_ += enabled_ && now < last_ ? 1 : 0;
    last_ = now;
  }

  // Those that do not hold; empty in a sound run.
  std::vector<InvariantViolation> Check(const RunEnd& run) const;

 private:
  // A count and its integral over time, as exact integers.
  struct Level {
    int64_t count = 0;
    __int128 area = 0;
    SimTime last;
    void Change(SimTime now, int64_t by) {
      area += static_cast<__int128>((now - last).ns) * count;
      last = now;
      count += by;
    }
    __int128 AreaUntil(SimTime end) const {
      return area + static_cast<__int128>((end - last).ns) * count;
    }
  };

  bool enabled_;
  Level system_, batch_;
  __int128 system_ns_ = 0, batch_ns_ = 0;  // of requests that have left
  int64_t tokens_ = 0;
  int64_t landed_bytes_ = 0;
  int64_t hbm_over_ = 0, host_over_ = 0, backward_ = 0;
  SimTime last_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_CONSERVATION_H_

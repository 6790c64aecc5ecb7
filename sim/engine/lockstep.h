// What the attention groups of one model instance share: with dp_attention each group holds KV of
// its own requests, and all make every batch step together, because experts run over the tokens of
// all. Without it an instance is one group. Owned by the fleet.
#ifndef TIERSCOPE_SIM_ENGINE_LOCKSTEP_H_
#define TIERSCOPE_SIM_ENGINE_LOCKSTEP_H_

#include <array>
#include <cstdint>
#include <vector>

#include "sim/base/time.h"
#include "sim/engine/counters.h"

namespace tierscope {

class Replica;

// Tokens that a request gains by batch steps: exactly steps x (1 + expected accepted drafts),
// rounded down, counted from the instance's first step. So all requests of a batch gain alike in
// one step, and over steps their mean is the expected value; what is left out is that some requests
// are luckier than others. Drawn per request, a step would cost time for every request, and a
// comparison of two settings would compare their luck.
struct TokenClock {
  int64_t accepted = 0;  // expected accepted drafts of a step, in 2^-32

  // sum over i = 1..draft_tokens of acceptance^i: draft i counts if all before it did.
  static TokenClock Of(int32_t draft_tokens, double acceptance);
  int64_t At(int64_t steps) const {
    return steps + static_cast<int64_t>((static_cast<__int128>(steps) * accepted) >> 32);
  }
};

struct Lockstep {
  std::vector<Replica*> groups;
  TokenClock clock;

  int64_t steps = 0;   // batch steps so far
  int64_t tokens = 0;  // clock.At(steps)
  bool stepping = false;
  SimTime step_end;  // of the step in progress
  bool idle = true;
  bool boundary_requested = false;
  SimTime boundary;  // when the last step ended or the batch stopped being empty
  std::array<SimDuration, kStallCauseCount> step_stall;  // of the step that is not yet counted
  int32_t prefill_free = 0;                              // instances of the prefill pool

  // Invariants and watchdog.
  SimTime idle_since;
  SimDuration idle_total;
  SimDuration decode;        // warm-up included
  int64_t work_pending = 0;  // events in the queue that are no arrivals
  SimTime progress_at;
  int64_t progress_mark = 0;
  SimTime progress_check;
  SimDuration activity_longest;

  Replica& lead() const { return *groups.front(); }
  int64_t tokens_of_step() const { return clock.At(steps + 1) - tokens; }
  void LongestActivity(SimDuration d) {
    if (d > activity_longest) activity_longest = d;
  }
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_LOCKSTEP_H_

// What a run shows while it goes on: spans and counters for a timeline. Null costs nothing.
#ifndef TIERSCOPE_SIM_ENGINE_OBSERVER_H_
#define TIERSCOPE_SIM_ENGINE_OBSERVER_H_

#include <cstdint>

#include "sim/base/time.h"

namespace tierscope {

class Observer {
 public:
  virtual ~Observer() = default;
  // Every million events or so.
  virtual void Progress(SimTime now) = 0;
  virtual void WarmupEnded(SimTime now) = 0;
  // One batch step, from its first compute on; `interference` of `length` is due to the side-band.
  virtual void Step(SimTime begin, SimDuration length, SimDuration interference,
                    int64_t requests) = 0;
  // Decode waited at a boundary; `cause` is a name of stall_ms_by_cause or "level1" for all of a
  // synchronous job.
  virtual void Wait(SimTime begin, SimTime end, const char* cause) = 0;
  virtual void Level1(int64_t job, SimTime begin, SimTime scored, int64_t requests) = 0;
  virtual void Recall(int64_t job, SimTime begin, SimTime end, int64_t pages) = 0;
  virtual void Publish(int64_t job, SimTime now) = 0;
  virtual void Resident(SimTime now, int64_t reserve_blocks_held) = 0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_OBSERVER_H_

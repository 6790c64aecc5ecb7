// What a run shows while it goes on: spans and counters for a timeline, and the semantic events of
// each request, from which a test can decide everything again. Null costs nothing.
#ifndef TIERSCOPE_SIM_ENGINE_OBSERVER_H_
#define TIERSCOPE_SIM_ENGINE_OBSERVER_H_

#include <array>
#include <cstdint>

#include "sim/base/time.h"
#include "sim/engine/counters.h"
#include "sim/model/step_work.h"

namespace tierscope {

struct Counters;   // sim/engine/counters.h
struct MemoryUse;  // sim/engine/memory_use.h

// Something that happens to one request. Times are in order; events of one instant come in the
// order in which the engine decides them.
struct RequestEvent {
  // The first seven are in the digest, under these numbers.
  enum Kind : uint8_t {
    kAdmit = 1,  // value: the profile; again after a preemption
    kTick,       // launched into a level-1 job; value: the own step after which it stands
    kRecall,  // its want list has its blocks, after the kEvict of its victims; value: missing pages
    kPublish,  // its pages are there; value: the tick's sub-window since own step 0
    kEvict,    // it lost the block of a page; value: the page
    kFinish,
    kPreempt,
    kJoin,   // the batch, from the next step on
    kLeave,  // the batch: it waits for its first pages, is preempted, or finishes
    kGrow,   // a page opens, after the kEvict of its victim; value: the page
  };
  Kind kind;
  SimTime time;
  int64_t request;  // order of admission
  int64_t steps;    // own steps completed
  int64_t value;    // 0 where nothing is said above
};

struct StepDetail {
  SimTime boundary;  // where the step before ended; waits lie between it and `begin`
  SimTime begin;
  SimDuration length;  // from `begin` on
  BatchWork work;
  int64_t active_pages = 0;                                       // of the batch
  std::array<SimDuration, kStallCauseCount> stall_by_cause = {};  // interference included
};

struct JobDetail {
  int64_t job = 0;   // from 1
  int64_t step = 0;  // batch step after which it was launched, from 0; -1: before all
  SimTime launched, scored, recalled, published;
  Level1Work work;
  bool scores = false;  // by the memory indexer
  int64_t pages_wanted = 0;
  int64_t pages_recalled = 0;
  int64_t bytes_recalled = 0;
};

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
  // More of the step that the call of Step before it told of.
  virtual void Detail(const StepDetail& /*step*/) {}
  // All of a level-1 job, when it has published.
  virtual void JobDone(const JobDetail& /*job*/) {}
  // Sealed pages have reached the host.
  virtual void WrittenBack(SimTime /*begin*/, SimTime /*end*/, int64_t /*bytes*/) {}
  // A batch step is over: what is counted since the start or the warm-up's end, this step included,
  // and the memory before finished requests give theirs back. Called for leapt steps too.
  virtual void StepEnded(SimTime /*end*/, SimDuration /*length*/, const Counters& /*counters*/,
                         const MemoryUse& /*memory*/) {}
  // Recalled pages had the host link.
  virtual void Transfer(int64_t /*job*/, SimTime /*begin*/, SimTime /*end*/, int64_t /*bytes*/) {}
  // The run is over, and every account is settled.
  virtual void Finished(SimTime /*end*/, const Counters& /*counters*/) {}
  virtual void OnRequest(const RequestEvent& /*event*/) {}
  // Several groups: the request that arrived as `number`-th of all goes to `group`. The other
  // events are the first group's alone.
  virtual void Routed(SimTime /*now*/, int64_t /*number*/, int32_t /*group*/) {}
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_OBSERVER_H_

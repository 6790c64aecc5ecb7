// All replicas of a scenario on one clock: the event queue, arrivals and their routing, and the
// watchdog. Replicas meet nowhere but there: GPUs, host DRAM, links and prefill instances of each
// are its own, so N of them that get the same requests do the same N times. With engine.replicas 1
// and dp_attention 1 it is one Replica.
//
// Owns the replicas, in one array: the dp_attention groups of replica 0, then of replica 1, ...
#ifndef TIERSCOPE_SIM_ENGINE_FLEET_H_
#define TIERSCOPE_SIM_ENGINE_FLEET_H_

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "scenarios/scenario.pb.h"
#include "sim/engine/arrivals.h"
#include "sim/engine/event_queue.h"
#include "sim/engine/lockstep.h"
#include "sim/engine/memory_plan.h"
#include "sim/engine/observer.h"
#include "sim/engine/replica.h"
#include "sim/engine/replica_options.h"
#include "sim/engine/router.h"

namespace tierscope {

class Fleet {
 public:
  // `scenario` is resolved and valid; `demand` is null exactly under policy FULL; `trace` and
  // `observer` may be null. All outlive the fleet. The observer sees the requests of the first
  // group, and where all requests are routed.
  Fleet(const Scenario& scenario, const MemoryPlan& plan, const WindowDemand* demand,
        const RequestTrace* trace, Observer* observer, const ReplicaOptions& options = {});

  // The outcomes of all groups as one (MergeOutcomes).
  ReplicaOutcome Run();

 private:
  // The group that the event is for, an arrival routed to it.
  Replica& Dispatch(const Event& event, SimTime now);
  int32_t Route(const Arrival& arrival, SimTime now);
  bool Sabotage(const Event& event);
  bool Stuck(Lockstep& instance, SimTime now);
  std::string StuckReport(const Lockstep& instance, SimTime now, const char* why) const;
  std::string BeyondTheClock(SimTime now);

  const ReplicaOptions options_;
  const int64_t groups_of_node_;
  Observer* observer_;
  const bool ends_with_work_;  // not at engine.simulated_s
  const SimTime horizon_;      // the last instant that is simulated
  EventQueue queue_;
  Arrivals arrivals_;
  Router router_;
  std::vector<Lockstep> instances_;
  std::deque<Replica> groups_;
  std::vector<GroupLoad> loads_;
  int64_t routed_ = 0;

  int64_t events_at_instant_ = 0;
  int64_t arrived_at_instant_ = 0;
  int64_t faults_seen_ = 0;
  std::string stuck_;
};

// One outcome of those of all groups, in their order: counts add up, peaks of a rank are the
// fullest rank's, of the host the fullest node's (its groups' peaks together), and `warmup_end` is
// the last.
ReplicaOutcome MergeOutcomes(std::vector<ReplicaOutcome> groups, int64_t groups_of_node);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_FLEET_H_

// Turns a scenario's workload into arrivals: closed loop, open loop or a replayed request trace.
#ifndef TIERSCOPE_SIM_ENGINE_WORKLOAD_SOURCE_H_
#define TIERSCOPE_SIM_ENGINE_WORKLOAD_SOURCE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "scenarios/scenario.pb.h"
#include "sim/base/rng.h"
#include "sim/base/time.h"
#include "traces/request_trace.h"

namespace tierscope {

struct Arrival {
  SimTime time;
  int64_t context_tokens = 0;
  int64_t output_tokens = 0;
  int32_t user = -1;         // who sends it: a closed loop's user
  int64_t trace_index = -1;  // of a request trace
};

// Deterministic in the scenario's seed. One owner.
class WorkloadSource {
 public:
  // The scenario is resolved and valid; `trace` is null or outlives the source.
  WorkloadSource(const Scenario& scenario, const RequestTrace* trace);

  // Arrivals known without waiting for a request to finish, in time order; nothing when they end.
  std::optional<Arrival> Next();

  // Closed loop: what the user sends after its request finished at `now`. Nothing in an open loop
  // or when the workload has ended.
  std::optional<Arrival> AfterFinish(int32_t user, SimTime now);

 private:
  bool closed() const { return workload_.arrivals() == Workload::CLOSED_LOOP; }
  bool LimitReached() const {
    return workload_.request_limit() > 0 && sent_ >= workload_.request_limit();
  }
  SimDuration DrawGap();
  Arrival Shape(SimTime time, int32_t user);
  std::optional<Arrival> FromTrace(size_t index, SimTime time, int32_t user);
  std::optional<Arrival> NextOfUser(int32_t user, SimTime now);
  void RampOutput(Arrival& arrival) const;
  void ScheduleTrace();

  const Workload workload_;
  const RequestTrace* trace_;
  Rng rng_;
  double class_weight_total_ = 0.0;
  int64_t sent_ = 0;
  SimTime last_;
  int32_t users_started_ = 0;

  // Open loop over a trace: when each request arrives, and in which order.
  std::vector<SimTime> trace_times_;
  std::vector<uint32_t> trace_order_;
  size_t trace_next_ = 0;
  // Closed loop over a trace: the requests of each conversation, and where each user stands.
  std::vector<std::vector<uint32_t>> conversations_;
  size_t conversation_next_ = 0;
  struct Place {
    size_t conversation = 0;
    size_t request = 0;
  };
  std::vector<Place> places_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_WORKLOAD_SOURCE_H_

// Requests on their way to the replicas: the workload's arrivals and, in a closed loop, users that
// will send their next request. Puts them into the event queue; owned by the fleet.
#ifndef TIERSCOPE_SIM_ENGINE_ARRIVALS_H_
#define TIERSCOPE_SIM_ENGINE_ARRIVALS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "scenarios/scenario.pb.h"
#include "sim/engine/event_queue.h"
#include "sim/engine/workload_source.h"
#include "traces/request_trace.h"

namespace tierscope {

class Arrivals {
 public:
  // `phase` is that of an arrival in the queue, which outlives this.
  Arrivals(const Scenario& scenario, const RequestTrace* trace, uint8_t phase, EventQueue& queue)
      : source_(scenario, trace), phase_(phase), queue_(queue) {}

  // Puts the next arrival that is known by itself into the queue, if there is one.
  void Pull();
  // The request of an arrival event; the one after it goes into the queue.
  Arrival Take(const Event& event);
  // Whether the event's request was known by itself, not a user's return.
  static bool OfSource(const Event& event) { return event.subject == kNextOfSource; }
  // A closed loop's user sends its next request, now or after thinking.
  void SendNext(int32_t user, SimTime now);

 private:
  static constexpr int32_t kNextOfSource = -1;  // subject: next_, not a returning user

  WorkloadSource source_;
  const uint8_t phase_;
  EventQueue& queue_;
  std::optional<Arrival> next_;
  std::vector<Arrival> returning_;  // users on their way; subject of their arrival event
  std::vector<int32_t> returning_free_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_ARRIVALS_H_

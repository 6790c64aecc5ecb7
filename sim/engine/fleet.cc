#include "sim/engine/fleet.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace tierscope {
namespace {

constexpr int64_t kProgressMask = (int64_t{1} << 20) - 1;
// Far above what a sound run does at one instant: a few events a request, arrivals apart.
constexpr int64_t kEventsAtInstantMax = int64_t{1} << 22;
constexpr int64_t kEventsPerArrival = 64;
// Between two tokens of anybody lie a prefill, a transfer of the KV, a swap, a level-1 job and a
// step at most; each lasts no longer than the longest so far, sharing included.
constexpr int64_t kActivitiesMax = 16;
constexpr SimDuration kProgressSlack{60'000'000'000};
constexpr size_t kReportLines = 12;

int64_t InSystem(const Lockstep& instance) {
  int64_t requests = 0;
  for (const Replica* group : instance.groups) requests += group->InSystem();
  return requests;
}

}  // namespace

Fleet::Fleet(const Scenario& scenario, const MemoryPlan& plan, const WindowDemand* demand,
             const RequestTrace* trace, Observer* observer, const ReplicaOptions& options)
    : options_(options),
      groups_of_node_(plan.groups_of_node),
      observer_(observer),
      ends_with_work_(scenario.engine().simulated_s() == 0),
      horizon_(ends_with_work_ ? kClockEnd
                               : SimTime{} + DurationFromSeconds(scenario.engine().simulated_s())),
      arrivals_(scenario, trace, Replica::kArrival, queue_),
      router_(scenario.engine()),
      instances_(static_cast<size_t>(scenario.engine().replicas())),
      loads_(static_cast<size_t>(plan.groups)) {
  const Engine& engine = scenario.engine();
  for (Lockstep& instance : instances_) {
    instance.clock = TokenClock::Of(engine.mtp().draft_tokens(), engine.mtp().acceptance());
    instance.prefill_free = engine.prefill_instances();
    for (int32_t group = 0; group < engine.dp_attention(); ++group) {
      const auto index = static_cast<int32_t>(groups_.size());
      groups_.emplace_back(scenario, plan, demand, trace, index == 0 ? observer : nullptr, options,
                           index, queue_, arrivals_, instance);
    }
  }
}

ReplicaOutcome Fleet::Run() {
  SimTime now;
  int64_t events = 0;
  for (Replica& group : groups_) group.Start();
  arrivals_.Pull();
  Lockstep* touched = &instances_.front();
  while (!Stuck(*touched, now) && !queue_.empty() && queue_.next().key <= horizon_.ns) {
    const SimTime next{queue_.next().key};
    if (next > now) events_at_instant_ = arrived_at_instant_ = 0;
    now = next;
    if ((++events & kProgressMask) == 0 && observer_ != nullptr) observer_->Progress(now);
    const Event event = queue_.Pop();
    if (event.phase() != Replica::kArrival) {
      touched = &groups_[static_cast<size_t>(event.owner())].lockstep();
      --touched->work_pending;
    }
    if (options_.fault.kind != Fault::kNone && Sabotage(event)) continue;
    touched = &Dispatch(event, now).lockstep();
  }
  if (ends_with_work_ && stuck_.empty()) stuck_ = BeyondTheClock(now);
  const SimTime end = ends_with_work_ || !stuck_.empty() ? now : horizon_;
  std::vector<ReplicaOutcome> outcomes;
  for (Replica& group : groups_) outcomes.push_back(group.Outcome(end));
  ReplicaOutcome all = MergeOutcomes(std::move(outcomes), groups_of_node_);
  all.events += events;
  all.stuck = stuck_;
  return all;
}

Replica& Fleet::Dispatch(const Event& event, SimTime now) {
  if (event.phase() != Replica::kArrival) {
    Replica& group = groups_[static_cast<size_t>(event.owner())];
    group.Handle(event);
    return group;
  }
  if (Arrivals::OfSource(event)) ++arrived_at_instant_;
  const Arrival arrival = arrivals_.Take(event);
  Replica& group = groups_[static_cast<size_t>(Route(arrival, now))];
  group.OnArrival(arrival, now);
  return group;
}

int32_t Fleet::Route(const Arrival& arrival, SimTime now) {
  if (groups_.size() == 1) return 0;
  for (size_t i = 0; i < loads_.size(); ++i) {
    loads_[i] = groups_[i].LoadFor(arrival, router_.looks_at_prefixes());
  }
  const int32_t group = router_.Route(loads_);
  if (observer_ != nullptr) observer_->Routed(now, routed_++, group);
  return group;
}

// For tests: damages the event as the fault says. True: it is not to be handled.
bool Fleet::Sabotage(const Event& event) {
  const Fault& fault = options_.fault;
  if (event.phase() != fault.phase || ++faults_seen_ < fault.nth) return false;
  switch (fault.kind) {
    case Fault::kNone:
      return false;
    case Fault::kDrop:
      return faults_seen_ == fault.nth;
    case Fault::kPostpone:
    case Fault::kRepeat: {
      const int64_t later = fault.kind == Fault::kPostpone ? 1'000'000'000 : 0;
      if (fault.phase == Replica::kArrival) {
        queue_.Push(event.key + later, event.phase(), event.subject, event.stamp);
      } else {
        groups_[static_cast<size_t>(event.owner())].Push(event.key + later,
                                                         static_cast<Replica::Phase>(event.phase()),
                                                         event.subject, event.stamp);
      }
      return true;
    }
  }
  return false;
}

// Whether nothing that is under way can ever end what requests of the instance wait for. Looked at
// for the instance whose event was handled last, since nothing else changes it. Cost: a few
// comparisons an event.
bool Fleet::Stuck(Lockstep& instance, SimTime now) {
  const char* why = nullptr;
  if (instance.work_pending == 0 && InSystem(instance) > 0) {
    why = "nothing is under way and requests wait";
  } else if (++events_at_instant_ > kEventsAtInstantMax + kEventsPerArrival * arrived_at_instant_) {
    why = "time stands still: steps take no time or events repeat";
  } else if (now > instance.progress_check) {
    int64_t mark = 0;
    for (const Replica* group : instance.groups) mark += group->progress_mark();
    const SimDuration bound =
        kProgressSlack + std::min(instance.activity_longest, kLongest) * kActivitiesMax;
    if (mark != instance.progress_mark || InSystem(instance) == 0) {
      instance.progress_mark = mark;
      instance.progress_at = now;
    } else if (now - instance.progress_at > bound) {
      why = "no request makes progress";
    }
    instance.progress_check = now + bound;
  }
  if (why != nullptr) stuck_ = StuckReport(instance, now, why);
  return why != nullptr;
}

std::string Fleet::StuckReport(const Lockstep& instance, SimTime now, const char* why) const {
  std::vector<std::string> lines;
  int64_t count = 0;
  for (const Replica* group : instance.groups) count += group->ReportWaits(kReportLines, &lines);
  if (count > static_cast<int64_t>(lines.size())) {
    lines.push_back(absl::StrCat("  and ", count - static_cast<int64_t>(lines.size()), " more"));
  }
  return absl::StrCat("the simulation is stuck at ", absl::StrFormat("%.6f s", ToSeconds(now)),
                      ": ", why, "; waiting:\n", absl::StrJoin(lines, "\n"));
}

// What a run to the end of its work has left that no run's clock comes to; empty when nothing.
std::string Fleet::BeyondTheClock(SimTime now) {
  while (!queue_.empty()) {
    const Event event = queue_.Pop();
    const bool arrives = event.phase() == Replica::kArrival;
    if (!arrives && groups_[static_cast<size_t>(event.owner())].IsStale(event)) continue;
    const Activity activity = arrives ? Activity{"the next arrival",
                                                 "workload.requests_per_s, workload.think_s, the "
                                                 "times of the request trace"}
                                      : Replica::ActivityOf(event);
    return absl::StrCat(
        "the simulation's clock ends at ", absl::StrFormat("%.0f s", ToSeconds(kClockEnd)),
        " (4.6 years), and ", activity.what,
        " lies beyond: ", absl::StrFormat("%.6g s", ToSeconds(SimTime{event.key})),
        " or later, the event before it at ", absl::StrFormat("%.6f s", ToSeconds(now)),
        "; look at ", activity.fields, ", or give engine.simulated_s");
  }
  return "";
}

}  // namespace tierscope

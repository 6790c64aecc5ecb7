// Watches a run: progress on stderr while it lasts, and timeline.json over a stretch after the
// warm-up.
#ifndef TIERSCOPE_CLI_RUN_OBSERVER_H_
#define TIERSCOPE_CLI_RUN_OBSERVER_H_

#include <chrono>
#include <string>

#include "reports/timeline.h"
#include "sim/engine/observer.h"

namespace tierscope::cli {

class RunObserver : public Observer {
 public:
  // `horizon` 0: the run ends with its workload, and progress has no ETA. `timeline` is null, or
  // open and outlives the observer; it shows `timeline_length` from the end of the warm-up on.
  RunObserver(std::string name, SimDuration horizon, TimelineWriter* timeline,
              SimDuration timeline_length);

  void Progress(SimTime now) override;
  void WarmupEnded(SimTime now) override;
  void Step(SimTime begin, SimDuration length, SimDuration interference, int64_t requests) override;
  void Wait(SimTime begin, SimTime end, const char* cause) override;
  void Level1(int64_t job, SimTime begin, SimTime scored, int64_t requests) override;
  void Recall(int64_t job, SimTime begin, SimTime end, int64_t pages) override;
  void Publish(int64_t job, SimTime now) override;
  void Resident(SimTime now, int64_t reserve_blocks_held) override;

 private:
  using Clock = std::chrono::steady_clock;
  bool Shows(SimTime begin) const { return begin >= from_ && begin < until_; }

  std::string name_;
  SimDuration horizon_;
  Clock::time_point begun_;
  Clock::time_point next_report_;
  bool terminal_;

  TimelineWriter* timeline_;
  SimDuration timeline_length_;
  SimTime from_ = kSimTimeNever;  // what the timeline shows; nothing before the warm-up ends
  SimTime until_ = kSimTimeNever;
};

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_RUN_OBSERVER_H_

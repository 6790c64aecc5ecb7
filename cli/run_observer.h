// Watches a run: progress on stderr while it lasts, timeline.json over a stretch of it, and the
// series of series.json over all of it.
#ifndef TIERSCOPE_CLI_RUN_OBSERVER_H_
#define TIERSCOPE_CLI_RUN_OBSERVER_H_

#include <chrono>
#include <string>

#include "cli/timeline_window.h"

#include "reports/timeline.h"
#include "sim/engine/coverage_tally.h"
#include "sim/engine/memory_plan.h"
#include "sim/engine/observer.h"
#include "sim/engine/run_series.h"

namespace tierscope::cli {

class RunObserver : public Observer {
 public:
  // `horizon` 0: the run ends with its workload, and progress has no ETA. `timeline` is null, or
  // open and outlives the observer, as `plan` and `coverage` do.
  RunObserver(std::string name, SimDuration horizon, const MemoryPlan* plan,
              CoverageTally* coverage, TimelineWriter* timeline, const TimelineWindow& window);

  void Progress(SimTime now) override;
  void WarmupEnded(SimTime now) override;
  void Step(SimTime begin, SimDuration length, SimDuration interference, int64_t requests) override;
  void Wait(SimTime begin, SimTime end, const char* cause) override;
  void Level1(int64_t job, SimTime begin, SimTime scored, int64_t requests) override;
  void Recall(int64_t job, SimTime begin, SimTime end, int64_t pages) override;
  void Publish(int64_t job, SimTime now) override;
  void Resident(SimTime now, int64_t reserve_blocks_held) override;
  void StepEnded(SimTime end, SimDuration length, const Counters& counters,
                 const MemoryUse& memory) override;
  void Transfer(int64_t job, SimTime begin, SimTime end, int64_t bytes) override;
  void Finished(SimTime end, const Counters& counters) override;

  const RunSeries& series() const { return series_; }

 private:
  using Clock = std::chrono::steady_clock;
  bool Shows(SimTime begin) const { return begin >= from_ && begin < until_; }

  std::string name_;
  SimDuration horizon_;
  Clock::time_point begun_;
  Clock::time_point next_report_;
  bool terminal_;

  void ShowMemory(SimTime now, const MemoryUse& memory);

  const MemoryPlan* plan_;
  CoverageTally* coverage_;
  RunSeries series_;

  TimelineWriter* timeline_;
  TimelineWindow window_;
  int64_t hbm_shown_ = -1;  // the counters' last values
  int64_t host_shown_ = -1;
  SimTime from_ = kSimTimeNever;  // what the timeline shows; nothing before it is known
  SimTime until_ = kSimTimeNever;
};

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_RUN_OBSERVER_H_

// Writes what a run shows to timeline.json: a stretch of engine.timeline_s after the warm-up.
#ifndef TIERSCOPE_CLI_TIMELINE_OBSERVER_H_
#define TIERSCOPE_CLI_TIMELINE_OBSERVER_H_

#include "reports/timeline.h"
#include "sim/engine/observer.h"

namespace tierscope::cli {

class TimelineObserver : public Observer {
 public:
  // `writer` is open and outlives the observer.
  TimelineObserver(TimelineWriter& writer, SimDuration length) : writer_(writer), length_(length) {}

  void WarmupEnded(SimTime now) override;
  void Step(SimTime begin, SimDuration length, SimDuration interference, int64_t requests) override;
  void Wait(SimTime begin, SimTime end, const char* cause) override;
  void Level1(int64_t job, SimTime begin, SimTime scored, int64_t requests) override;
  void Recall(int64_t job, SimTime begin, SimTime end, int64_t pages) override;
  void Publish(int64_t job, SimTime now) override;
  void Resident(SimTime now, int64_t reserve_blocks_held) override;

 private:
  bool Shows(SimTime begin) const { return begin >= from_ && begin < until_; }

  TimelineWriter& writer_;
  SimDuration length_;
  SimTime from_ = kSimTimeNever;
  SimTime until_ = kSimTimeNever;
};

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_TIMELINE_OBSERVER_H_

#include "cli/timeline_observer.h"

#include "absl/strings/str_cat.h"

namespace tierscope::cli {

void TimelineObserver::WarmupEnded(SimTime now) {
  from_ = now;
  until_ = now + length_;
}

void TimelineObserver::Step(SimTime begin, SimDuration length, SimDuration interference,
                            int64_t requests) {
  if (!Shows(begin)) return;
  writer_.Complete(Track::kDecode, "step", begin, length,
                   {{"requests", requests}, {"interference_us", ToSeconds(interference) * 1e6}});
}

void TimelineObserver::Wait(SimTime begin, SimTime end, const char* cause) {
  if (!Shows(begin)) return;
  writer_.Complete(Track::kDecode, absl::StrCat("stall: ", cause), begin, end - begin);
}

void TimelineObserver::Level1(int64_t job, SimTime begin, SimTime scored, int64_t requests) {
  if (!Shows(begin)) return;
  writer_.Complete(Track::kLevel1, "score and select", begin, scored - begin,
                   {{"job", job}, {"requests", requests}});
  writer_.Flow(FlowPoint::kStart, job, Track::kLevel1, begin);
}

void TimelineObserver::Recall(int64_t job, SimTime begin, SimTime end, int64_t pages) {
  if (!Shows(begin)) return;
  writer_.Complete(Track::kRecall, "recall", begin, end - begin, {{"job", job}, {"pages", pages}});
  writer_.Flow(FlowPoint::kStep, job, Track::kRecall, begin);
}

void TimelineObserver::Publish(int64_t job, SimTime now) {
  if (!Shows(now)) return;
  writer_.Complete(Track::kLevel1, "publish", now, SimDuration{0}, {{"job", job}});
  writer_.Flow(FlowPoint::kEnd, job, Track::kLevel1, now);
}

void TimelineObserver::Resident(SimTime now, int64_t reserve_blocks_held) {
  if (!Shows(now)) return;
  writer_.Counter("reserve blocks held", now, static_cast<double>(reserve_blocks_held));
}

}  // namespace tierscope::cli

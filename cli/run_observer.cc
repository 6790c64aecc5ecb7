#include "cli/run_observer.h"

#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tierscope::cli {

RunObserver::RunObserver(std::string name, SimDuration horizon, TimelineWriter* timeline,
                         SimDuration timeline_length)
    : name_(std::move(name)),
      horizon_(horizon),
      begun_(Clock::now()),
      next_report_(begun_ + std::chrono::seconds(2)),
      terminal_(isatty(STDERR_FILENO) != 0),
      timeline_(timeline),
      timeline_length_(timeline_length) {}

// Nothing in the first two seconds; then twice a second on a terminal, every ten seconds elsewhere.
void RunObserver::Progress(SimTime now) {
  const Clock::time_point wall = Clock::now();
  if (wall < next_report_) return;
  next_report_ = wall + (terminal_ ? std::chrono::milliseconds(500) : std::chrono::seconds(10));
  const double passed_s = std::chrono::duration<double>(wall - begun_).count();
  const double rate = ToSeconds(now) / passed_s;
  std::string line =
      absl::StrFormat("%s: %.0f s simulated, %.0fx real time", name_, ToSeconds(now), rate);
  if (horizon_.ns > 0) {
    absl::StrAppendFormat(&line, ", %.0f s to go", (ToSeconds(horizon_) - ToSeconds(now)) / rate);
  }
  std::fprintf(stderr, terminal_ ? "\r%s " : "%s\n", line.c_str());
}

void RunObserver::WarmupEnded(SimTime now) {
  if (timeline_ == nullptr) return;
  from_ = now;
  until_ = now + timeline_length_;
}

void RunObserver::Step(SimTime begin, SimDuration length, SimDuration interference,
                       int64_t requests) {
  if (!Shows(begin)) return;
  timeline_->Complete(Track::kDecode, "step", begin, length,
                      {{"requests", requests}, {"interference_us", ToSeconds(interference) * 1e6}});
}

void RunObserver::Wait(SimTime begin, SimTime end, const char* cause) {
  if (!Shows(begin)) return;
  timeline_->Complete(Track::kDecode, absl::StrCat("stall: ", cause), begin, end - begin);
}

void RunObserver::Level1(int64_t job, SimTime begin, SimTime scored, int64_t requests) {
  if (!Shows(begin)) return;
  timeline_->Complete(Track::kLevel1, "score and select", begin, scored - begin,
                      {{"job", job}, {"requests", requests}});
  timeline_->Flow(FlowPoint::kStart, job, Track::kLevel1, begin);
}

void RunObserver::Recall(int64_t job, SimTime begin, SimTime end, int64_t pages) {
  if (!Shows(begin)) return;
  timeline_->Complete(Track::kRecall, "recall", begin, end - begin,
                      {{"job", job}, {"pages", pages}});
  timeline_->Flow(FlowPoint::kStep, job, Track::kRecall, begin);
}

void RunObserver::Publish(int64_t job, SimTime now) {
  if (!Shows(now)) return;
  timeline_->Complete(Track::kLevel1, "publish", now, SimDuration{0}, {{"job", job}});
  timeline_->Flow(FlowPoint::kEnd, job, Track::kLevel1, now);
}

void RunObserver::Resident(SimTime now, int64_t reserve_blocks_held) {
  if (!Shows(now)) return;
  timeline_->Counter("reserve blocks held", now, static_cast<double>(reserve_blocks_held));
}

}  // namespace tierscope::cli

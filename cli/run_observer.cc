#include "cli/run_observer.h"

#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "sim/engine/memory_pools.h"

namespace tierscope::cli {

RunObserver::RunObserver(std::string name, SimDuration horizon, const MemoryPlan* plan,
                         CoverageTally* coverage, TimelineWriter* timeline,
                         const TimelineWindow& window)
    : name_(std::move(name)),
      horizon_(horizon),
      begun_(Clock::now()),
      next_report_(begun_ + std::chrono::seconds(2)),
      terminal_(isatty(STDERR_FILENO) != 0),
      plan_(plan),
      coverage_(coverage),
      timeline_(timeline),
      window_(window) {
  if (timeline_ == nullptr || !window_.begin) return;
  from_ = *window_.begin;
  until_ = window_.end;
}

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
  series_.WarmupEnded(now);
  coverage_->Clear();
  if (timeline_ == nullptr || window_.begin) return;
  from_ = now;
  until_ = now + window_.length;
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

void RunObserver::StepEnded(SimTime end, SimDuration length, const Counters& counters,
                            const MemoryUse& memory) {
  series_.StepEnded(end, length, counters, memory);
  if (Shows(end)) ShowMemory(end, memory);
}

// Bytes that hold live data, when they change.
void RunObserver::ShowMemory(SimTime now, const MemoryUse& memory) {
  int64_t hbm = 0, host = 0;
  for (const PoolUse& pool : PoolsOf(*plan_, memory, 0)) {
    (absl::string_view(pool.tier) == "hbm" ? hbm : host) += pool.in_use_bytes;
  }
  if (hbm != hbm_shown_) timeline_->Counter("HBM in use, bytes", now, static_cast<double>(hbm));
  if (host != host_shown_) timeline_->Counter("host in use, bytes", now, static_cast<double>(host));
  hbm_shown_ = hbm;
  host_shown_ = host;
}

void RunObserver::Transfer(int64_t /*job*/, SimTime begin, SimTime end, int64_t bytes) {
  if (!Shows(begin)) return;
  const double seconds = ToSeconds(end - begin);
  timeline_->Counter("host link, bytes/s", begin,
                     seconds > 0 ? static_cast<double>(bytes) / seconds : 0.0);
  timeline_->Counter("host link, bytes/s", end, 0.0);
}

void RunObserver::Finished(SimTime end, const Counters& counters) {
  series_.Finished(end, counters);
}

}  // namespace tierscope::cli

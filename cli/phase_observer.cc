#include "cli/phase_observer.h"

#include <algorithm>

#include "sim/model/footprint.h"

namespace tierscope::cli {
namespace {

int64_t Rounded(double ns) { return DurationFromNs(ns + 0.5).ns; }

// Where the table keeps the waits of a cause; nothing for interference, which is no wait.
struct CauseOfWait {
  StallCause cause;
  Phase phase;
};
constexpr CauseOfWait kWaits[] = {
    {StallCause::kIndex, Phase::kWaitIndex},    {StallCause::kQueue, Phase::kWaitQueue},
    {StallCause::kEviction, Phase::kWaitQueue}, {StallCause::kTransfer, Phase::kWaitTransfer},
    {StallCause::kJoin, Phase::kWaitJoin},      {StallCause::kAdmission, Phase::kWaitAdmission},
};

}  // namespace

PhaseObserver::PhaseObserver(const Scenario& scenario, const MemoryPlan* plan,
                             CoverageTally* coverage, TimelineWriter* timeline,
                             const TimelineWindow& window, PhaseLogWriter* log)
    : RunObserver(scenario.name(), DurationFromSeconds(scenario.engine().simulated_s()), plan,
                  coverage, timeline, window),
      model_(scenario),
      page_bytes_(PageMirrorBytes(scenario.model(), scenario.policy())),
      log_(log) {}

void PhaseObserver::Append(PhaseSpan span, Phase phase, int64_t begin_ns, int64_t duration_ns) {
  span.phase = phase;
  span.begin_ns = std::max<int64_t>(0, begin_ns - first_ns_);
  span.duration_ns = duration_ns;
  log_->Append(span);
}

void PhaseObserver::Detail(const StepDetail& step) {
  if (log_ == nullptr) return;
  if (++step_ == 0) first_ns_ = step.boundary.ns;
  PhaseSpan span;
  span.step = step_;
  span.pages = step.active_pages;
  Append(span, Phase::kStep, step.boundary.ns, (step.begin - step.boundary).ns + step.length.ns);
  span.pages = 0;
  int64_t at = step.boundary.ns;
  for (const CauseOfWait& wait : kWaits) {
    const SimDuration stall = step.stall_by_cause[static_cast<size_t>(wait.cause)];
    if (stall.ns > 0) Append(span, wait.phase, at, stall.ns);
    at += stall.ns;
  }
  const StepParts parts = model_.Phases(step.work);
  const double stretch =
      parts.total_ns() > 0.0 ? static_cast<double>(step.length.ns) / parts.total_ns() : 0.0;
  at = step.begin.ns;
  for (const auto& [phase, part_ns] : {std::pair{Phase::kBallast, parts.ballast_ns},
                                       std::pair{Phase::kNativeScore, parts.native_score_ns},
                                       std::pair{Phase::kNativeTopK, parts.native_top_k_ns},
                                       std::pair{Phase::kCsaAttention, parts.csa_attention_ns},
                                       std::pair{Phase::kHcaAttention, parts.hca_attention_ns},
                                       std::pair{Phase::kSwaAttention, parts.swa_attention_ns},
                                       std::pair{Phase::kEngine, parts.engine_ns}}) {
    const int64_t ns = Rounded(part_ns * stretch);
    if (ns > 0) Append(span, phase, at, ns);
    at += ns;
  }
  // It lasts until the decode stream takes it up.
  for (PhaseSpan& publish : publish_) {
    publish.step = step_;
    publish.duration_ns = std::max<int64_t>(0, step.begin.ns - first_ns_ - publish.begin_ns);
    log_->Append(publish);
  }
  publish_.clear();
}

void PhaseObserver::JobDone(const JobDetail& job) {
  if (log_ == nullptr) return;
  PhaseSpan span;
  span.step = job.step;
  span.tick = job.job - 1;
  const Level1Parts parts = model_.PartsOfLevel1(job.work, job.scores);
  const double compute_ns = static_cast<double>((job.scored - job.launched).ns);
  const double both_ns = parts.score_ns + parts.select_ns;
  const int64_t score_ns = both_ns > 0.0 ? Rounded(compute_ns * parts.score_ns / both_ns) : 0;
  const int64_t select_ns = (job.scored - job.launched).ns - score_ns;
  if (score_ns > 0) Append(span, Phase::kScore, job.launched.ns, score_ns);
  span.pages = job.pages_wanted;
  Append(span, Phase::kSelect, job.launched.ns + score_ns, select_ns);
  span.pages = job.pages_recalled;
  span.bytes = job.bytes_recalled;
  if (span.pages > 0) {
    Append(span, Phase::kRecall, job.scored.ns, (job.recalled - job.scored).ns);
  }
  span.pages = span.bytes = 0;
  span.step = -1;
  span.phase = Phase::kPublish;
  span.begin_ns = std::max<int64_t>(0, job.recalled.ns - first_ns_);
  publish_.push_back(span);
}

void PhaseObserver::WrittenBack(SimTime begin, SimTime end, int64_t bytes) {
  if (log_ == nullptr) return;
  PhaseSpan span;
  span.step = step_;
  span.bytes = bytes;
  span.pages = bytes / std::max<int64_t>(1, page_bytes_);
  Append(span, Phase::kWriteback, begin.ns, (end - begin).ns);
}

}  // namespace tierscope::cli

// Level 1 beside the decode stream: score, select, recall, publish; and the transfers it causes.
#include <algorithm>

#include "sim/base/check.h"
#include "sim/base/units.h"
#include "sim/engine/replica.h"

namespace tierscope {
namespace {

// Exact for a factor of 1.
SimDuration Times(SimDuration d, double factor) {
  return factor == 1.0 ? d : DurationFromNs(static_cast<double>(d.ns) * factor);
}
SimDuration Over(SimDuration d, double factor) { return Times(d, 1.0 / factor); }

}  // namespace

// One job for all requests whose tick is due at this boundary.
void Replica::LaunchJob(SimTime now) {
  job_.in_flight = true;
  job_.landed = false;
  job_.number += 1;
  job_.launched = now;
  job_.step = lockstep_.steps - 1;
  job_.ticks.clear();
  job_.entries = job_.entries_first = job_.pages = job_.pages_first = job_.pages_wanted = 0;
  // In order of admission, which is also the order that BELADY expects.
  std::sort(due_.begin(), due_.end(), [this](int32_t a, int32_t b) { return At(a).id < At(b).id; });
  for (int32_t slot : due_) {
    RequestState& request = At(slot);
    const int64_t step = Completed(request) - 1;
    const bool first = request.cold;
    const int64_t entries =
        (request.context_tokens() + step + 1) * kPageEntries / plan_.page_tokens;
    job_.ticks.push_back({slot, request.generation, step / request.demand->stride_steps, first});
    job_.entries += entries;
    if (first) job_.entries_first += entries;
    if (request.pending_window >= 0) {
      Activate(slot, request.pending_window);
      request.pending_window = -1;
    }
    Record(RequestEvent::kTick, now, request, step);
    if (!first) {
      ScheduleTick(slot, policy_.tau_steps());
    } else if (decodes_cold()) {
      ScheduleSteps(slot, now);
    } else {
      ++cold_recalls_;
      SetStage(slot, Stage::kCold, now);
      if (!sync() && request.in_batch) Leave(slot, now);
    }
  }
  due_.clear();
  const bool scores = UsesIndexer(policy_.kind());
  if (scores) {
    const double flop = step_model_.Level1Flop(job_.entries);
    counters_.flop += flop;
    counters_.flop_replicated += flop;
  }
  job_.recall_alone = SimDuration{};
  job_.computed = job_.scored = now;
  if (!ticks_at_once()) {
    const Level1Work work = {static_cast<int32_t>(job_.ticks.size()), job_.entries};
    const SimDuration compute = step_model_.Level1(work, scores);
    job_.computed = now + (decodes_beside_job() ? Times(compute, beside_.score.slowdown) : compute);
    if (!step_model_.Covers(work)) ++counters_.jobs_extrapolated;
    job_.scored = job_.computed + step_model_.Level1Fixed();
  }
  lockstep_.LongestActivity(job_.scored - now);
  Push(job_.scored.ns, kLevel1Scored, 0);
}

// Scores are there: pages are selected, blocks change hands, and the recall starts.
void Replica::OnScored(SimTime now) {
  for (const TickRef& tick : job_.ticks) {
    RequestState& request = At(tick.slot);
    if (!request.alive || request.generation != tick.generation) continue;
    const auto pages = request.WantList(tick.window);
    request.wanted_window = tick.window;
    if (residency_.wants_next_uses()) TellNextUses(tick);
    int32_t missing = 0;
    if (plan_.has_reserve) missing = residency_.Want(tick.slot, request.BlockPages(pages));
    if (!plan_.has_cold_pool) missing = 0;  // its KV was in HBM: it takes its blocks there
    PromiseBlocks(tick.slot, tick.first ? 1 : 0);
    counters_.pages_wanted += static_cast<int64_t>(pages.size());
    job_.pages_wanted += static_cast<int64_t>(pages.size());
    job_.pages += missing;
    if (tick.first) job_.pages_first += missing;
    HandleEvicted(now);
    Record(RequestEvent::kRecall, now, request, missing);
  }
  counters_.pages_recalled += job_.pages;
  if (observer_ != nullptr) {
    observer_->Level1(job_.number, job_.launched, now, static_cast<int64_t>(job_.ticks.size()));
  }
  job_.recalled = now;
  if (job_.pages == 0) return PublishAfter(now, SimDuration{});
  recall_waits_ = swapping_in_;
  if (!recall_waits_) StartRecall(now);
}

// At which batch step the request's coming ticks want each of its pages, for BELADY. All requests
// of the batch make one step a step, so that is known, but for a request that waits outside the
// batch for its first pages (told as if it did not) and for jobs that are late for their tick.
void Replica::TellNextUses(const TickRef& tick) {
  const RequestState& request = At(tick.slot);
  std::vector<int64_t>& next_uses = residency_.NextUsesOf(tick.slot);
  std::fill(next_uses.begin(), next_uses.end(), kNeverUsed);
  const int64_t tau = policy_.tau_steps();
  const int64_t stride = request.demand->stride_steps;
  const int64_t now_step = tick.window * stride;
  const int64_t first_window =
      request.first_window_steps > 0 ? request.first_window_steps : FirstWindow(request);
  const int64_t next_step = now_step + (tick.first ? first_window : tau);
  const int64_t batch_step = request.in_batch ? request.base_step + 1 : lockstep_.tokens - now_step;
  if (request.output_tokens() < next_step + 2) return;
  const int64_t ticks = (request.output_tokens() - 2 - next_step) / tau;
  for (int64_t k = ticks; k >= 0; --k) {
    const int64_t step = next_step + k * tau;
    for (PageIndex page : request.WantList(step / stride)) next_uses[page] = batch_step + step;
  }
}

void Replica::StartRecall(SimTime now) {
  recall_waits_ = false;
  job_.recall = recall_model_.Of(job_.pages);
  RecallWork& work = job_.recall;
  if (lockstep_.stepping && beside_.copy.slowdown > 1.0) {
    const double rate = static_cast<double>(work.link_bytes_per_s_max) / beside_.copy.slowdown;
    work.link_bytes_per_s_max = std::max<int64_t>(1, static_cast<int64_t>(rate));
  }
  counters_.recall_bytes += work.bytes;
  job_.recall_alone = work.Alone(dram_bytes_per_s_);
  if (lockstep_.stepping) {  // else nobody decodes beside it
    recall_write_pending_ += step_model_.HbmWrite(work.hbm_bytes);
    if (work.occupies_sms || beside_.measured) gather_pending_ += job_.recall_alone;
  }
  if (work.host_bytes == 0) return StartTransfer(now);
  StartFlow(Flow::kRecall, now, work.host_bytes, work.host_bytes_per_s_max);
}

void Replica::StartTransfer(SimTime now) {
  job_.on_link = true;
  job_.link_begin = now;
  StartFlow(Flow::kRecall, now, job_.recall.bytes, job_.recall.link_bytes_per_s_max);
}

// The CPU has gathered, or the last byte is in HBM.
void Replica::OnRecallFlowDone(SimTime now) {
  if (!job_.on_link) return StartTransfer(now);
  job_.on_link = false;
  job_.landed = true;
  conservation_.Landed(job_.recall.bytes);
  counters_.link_busy += now - std::max(counting_from_, job_.link_begin);
  job_.recalled = now + job_.recall.scatter;
  if (observer_ != nullptr) {
    observer_->Transfer(job_.number, job_.link_begin, now, job_.recall.bytes);
  }
  PublishAfter(now, job_.recall.scatter);
}

void Replica::PublishAfter(SimTime now, SimDuration d) {
  const SimDuration publish =
      publish_fixed_ +
      step_model_.Publish(job_.pages_wanted, static_cast<int32_t>(job_.ticks.size()));
  job_.recall_alone += publish;
  const SimDuration left = d + publish;
  if (left == SimDuration{}) return Publish(now);
  lockstep_.LongestActivity(left);
  Push((now + left).ns, kPublished, 0);
}

void Replica::Publish(SimTime now) {
  job_.in_flight = false;
  counters_.sideband_busy += now - std::max(counting_from_, job_.launched);
  for (const TickRef& tick : job_.ticks) PublishTick(tick, now);
  if (observer_ != nullptr) {
    if (job_.pages > 0) observer_->Recall(job_.number, job_.scored, now, job_.pages);
    observer_->Publish(job_.number, now);
    observer_->JobDone({job_.number,
                        job_.step,
                        job_.launched,
                        job_.scored,
                        job_.recalled,
                        now,
                        {static_cast<int32_t>(job_.ticks.size()), job_.entries},
                        UsesIndexer(policy_.kind()),
                        job_.pages_wanted,
                        job_.pages,
                        job_.pages > 0 ? job_.recall.bytes : 0});
    observer_->Resident(now, residency_.held_count());
  }
  if (wait_ == Wait::kJoin) EndWait(StallCause::kJoin, now);
  if (wait_ == Wait::kSync) EndSyncWait(now);
  RequestBoundary(now);
}

void Replica::PublishTick(const TickRef& tick, SimTime now) {
  if (tick.first && !decodes_cold()) --cold_recalls_;
  RequestState& request = At(tick.slot);
  if (!request.alive || request.generation != tick.generation) return;
  Record(RequestEvent::kPublish, now, request, tick.window);
  if (policy_.publish() == Policy::NEXT_TICK && !tick.first) {
    request.pending_window = tick.window;
    return;
  }
  Activate(tick.slot, tick.window);
  if (!tick.first) return;
  request.cold = false;
  if (decodes_cold()) return;
  if (request.in_batch) {
    SetStage(tick.slot, Stage::kDecoding, now);
    ScheduleSteps(tick.slot, now);
  } else {
    SetStage(tick.slot, Stage::kJoining, now);
    joining_.push_back(tick.slot);
  }
}

// Steps since step 0 that keep the old set when it changes now: the step in progress does, if it
// counts at all.
int64_t Replica::StepsBeforeChange(const RequestState& request) const {
  const bool one_more = lockstep_.stepping && request.in_batch && lockstep_.step_end <= horizon_;
  const int64_t next_step = Completed(request) + (one_more ? lockstep_.tokens_of_step() : 0);
  return std::clamp<int64_t>(next_step - 1, 0, request.output_tokens() - 1);
}

// The set of tick `window` becomes the active one.
void Replica::Activate(int32_t slot, int64_t window) {
  RequestState& request = At(slot);
  const int64_t steps = StepsBeforeChange(request);
  request.Account(steps, counters_, options_.coverage);
  request.active_window = window;
  request.KeepLostSinceTick();
  const auto pages = request.WantList(window);
  const auto blocks = request.BlockPages(pages);
  if (!plan_.protects_live) {
    for (PageIndex page : blocks) {
      if (!residency_.Holds(slot, page)) request.lost.push_back({page, steps});
    }
  }
  int64_t active = static_cast<int64_t>(pages.size());
  for (PageIndex page : pages.subspan(blocks.size())) {
    if (page < request.overflow_page) continue;
    request.lost.push_back({page, steps, /*overflowed=*/true});
    --active;
  }
  const int64_t change = active - request.active_pages;
  request.active_pages += change;
  if (!request.in_batch) return;
  batch_active_pages_ += change;
  batch_.scored_entries += change * kPageEntries;
}

// Pages that lost their block while their request still counts on them are missed from the next
// step on.
void Replica::HandleEvicted(SimTime now) {
  for (const EvictedPage& evicted : residency_.evicted()) {
    RequestState& request = At(evicted.slot);
    Record(RequestEvent::kEvict, now, request, evicted.page);
    // A protected reserve gives up no page of the list that it was told last, the active one as a
    // rule; then only those that formed since are looked at.
    const bool in_no_list = plan_.protects_live && request.wanted_window == request.active_window;
    if (in_no_list ? !request.FormedSinceTick(evicted.page) : !request.IsActive(evicted.page)) {
      continue;
    }
    request.lost.push_back({evicted.page, StepsBeforeChange(request)});
  }
  counters_.pages_evicted += static_cast<int64_t>(residency_.evicted().size());
  residency_.ClearEvicted();
}

// Splits a synchronous job's wait: scoring; transfer as on an idle link; what sharing added to it.
// The part of requests that had their first tick is the price of admission. The run's end can cut
// it.
void Replica::EndSyncWait(SimTime now) {
  wait_ = Wait::kNone;
  if (AnyBlocks()) return;  // a group that waits longer counts
  const auto share = [](SimDuration d, int64_t part, int64_t whole) {
    return whole == 0
               ? SimDuration{}
               : SimDuration{static_cast<int64_t>(static_cast<__int128>(d.ns) * part / whole)};
  };
  const SimTime scored = std::min(now, job_.scored);
  const SimDuration index = scored - job_.launched;
  const SimDuration recall = now - scored;
  const SimDuration transfer = std::min(recall, job_.recall_alone);
  const SimDuration queue = recall - transfer;
  const SimDuration index_first = share(index, job_.entries_first, job_.entries);
  const SimDuration transfer_first = share(transfer, job_.pages_first, job_.pages);
  const SimDuration queue_first = share(queue, job_.pages_first, job_.pages);
  CountStall(StallCause::kIndex, index - index_first);
  CountStall(StallCause::kTransfer, transfer - transfer_first);
  CountStall(StallCause::kQueue, queue - queue_first);
  CountStall(StallCause::kAdmission, index_first + transfer_first + queue_first);
  if (observer_ != nullptr) observer_->Wait(wait_begin_, now, "level1");
}

// By how much a step that starts now is longer than without a side-band: its overlap with level-1
// compute, the HBM time of recall writes since the last step, and the time of recalls that keep
// the device busy, of which it feels at most its own length, each times its factor; and the host's
// contention.
SimDuration Replica::Interference(SimTime now, SimDuration base) {
  SimDuration overlap;
  if (job_.in_flight && job_.computed > now) {
    overlap = std::min(base, Over(job_.computed - now, beside_.score.stretch));
  }
  const SimDuration copied = std::min(base, Over(gather_pending_, beside_.copy.stretch));
  const double ns = static_cast<double>(overlap.ns) * beside_.score.lengthening +
                    static_cast<double>(recall_write_pending_.ns) * beside_.recall_write +
                    static_cast<double>(copied.ns) * beside_.copy.lengthening;
  recall_write_pending_ = SimDuration{};
  gather_pending_ -= std::min(gather_pending_, Times(copied, beside_.copy.stretch));
  return host_contention_ + DurationFromNs(ns + 0.5);
}

void Replica::StartFlow(Flow flow, SimTime now, int64_t bytes, int64_t cap_bytes_per_s) {
  bandwidth_.Start(now, flow, bytes, cap_bytes_per_s);
  ScheduleFlows(now);
}

// Puts the completion of every flow whose time has moved into the queue; older events of it are
// stale.
void Replica::ScheduleFlows(SimTime now) {
  for (int i = 0; i < kFlowCount; ++i) {
    const auto at = static_cast<size_t>(i);
    const SimTime end = bandwidth_.CompletionTime(static_cast<Flow>(i));
    if (end == flow_end_[at]) continue;
    flow_end_[at] = end;
    flow_stamp_[at] += 1;
    if (end == kSimTimeNever) continue;
    lockstep_.LongestActivity(end - now);
    Push(end.ns, kFlowDone, i, flow_stamp_[at]);
  }
}

void Replica::OnFlowDone(const Event& event, SimTime now) {
  const auto at = static_cast<size_t>(event.subject);
  if (event.stamp != flow_stamp_[at]) return;
  const auto flow = static_cast<Flow>(event.subject);
  bandwidth_.Finish(now, flow);
  flow_end_[at] = kSimTimeNever;
  ScheduleFlows(now);
  switch (flow) {
    case Flow::kRecall:
      if (wait_ == Wait::kFetch) return OnFetched(now);
      if (swapping_in_) return OnSwapInDone(now);
      OnRecallFlowDone(now);
      return StartSwapIns(now);
    case Flow::kWriteback:
      if (observer_ != nullptr && !swapping_out_) {
        observer_->WrittenBack(writeback_begin_, now, writeback_flow_bytes_);
      }
      return swapping_out_ ? OnSwapOutDone(now) : StartWriteback(now);
    case Flow::kIngest:
      return OnIngestDone(now);
    case Flow::kNvme:
      return OnFetchDone(static_cast<int32_t>(LowerTier::kNvme), now);
    case Flow::kRemote:
      return OnFetchDone(static_cast<int32_t>(LowerTier::kRemote), now);
  }
}

void Replica::OnIngestDone(SimTime now) {
  const SlotRef ref = ingest_queue_.front();
  ingest_queue_.pop_front();
  if (Current(ref)) {
    KeepPrompt(ref.slot, now);
    SetStage(ref.slot, Stage::kJoining, now);
    joining_.push_back(ref.slot);
  }
  StartIngest(now);
  RequestBoundary(now);
}

// As soon as the way to the host is free: requests that are swapped out one by one, then all sealed
// pages together.
void Replica::StartWriteback(SimTime now) {
  if (bandwidth_.busy(Flow::kWriteback)) return;
  swapping_out_ = !swap_outs_.empty();
  if (!swapping_out_ && writeback_bytes_ == 0) return;
  const int64_t bytes = swapping_out_ ? std::max<int64_t>(1, swap_outs_.front()) : writeback_bytes_;
  if (!swapping_out_) writeback_bytes_ = 0;
  writeback_begin_ = now;
  writeback_flow_bytes_ = bytes;
  StartFlow(Flow::kWriteback, now, bytes, writeback_cap_bytes_per_s_);
}

}  // namespace tierscope

// Level 1 beside the decode stream: score, select, recall, publish; and the transfers it causes.
#include <algorithm>

#include "sim/base/check.h"
#include "sim/base/units.h"
#include "sim/engine/replica.h"

namespace tierscope {

// One job for all requests whose tick is due at this boundary.
void Replica::LaunchJob(SimTime now) {
  job_.in_flight = true;
  job_.number += 1;
  job_.launched = now;
  job_.ticks.clear();
  job_.entries = job_.entries_first = job_.pages = job_.pages_first = 0;
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
      Activate(slot, request.pending_window, request.pending_tick);
      request.pending_window = -1;
    }
    Record(kDigestTick, now, request.id, step);
    if (!first) {
      ScheduleTick(slot, step + policy_.tau_steps());
    } else {
      ++cold_recalls_;
      SetStage(slot, Stage::kCold, now);
      if (!sync() && request.in_batch) Leave(slot, now);
    }
  }
  due_.clear();
  const bool scores = policy_.kind() == Policy::LSA || policy_.kind() == Policy::ORACLE;
  if (scores) {
    const double flop = step_model_.Level1Flop(job_.entries);
    counters_.flop += flop;
    counters_.flop_replicated += flop;
  }
  job_.scored = now + step_model_.Level1(job_.entries, scores);
  activity_longest_ = std::max(activity_longest_, job_.scored - now);
  Push(job_.scored.ns, kLevel1Scored, 0);
}

// Scores are there: pages are selected, blocks change hands, and the recall starts.
void Replica::OnScored(SimTime now) {
  for (TickRef& tick : job_.ticks) {
    const RequestState& request = At(tick.slot);
    if (!request.alive || request.generation != tick.generation) continue;
    const auto pages = request.WantList(tick.window);
    const int32_t missing = residency_.Want(tick.slot, pages);
    tick.tick = residency_.tick();
    PromiseBlocks(tick.slot, tick.first ? 1 : 0);
    counters_.pages_wanted += static_cast<int64_t>(pages.size());
    job_.pages += missing;
    if (tick.first) job_.pages_first += missing;
    HandleEvicted(now);
    Record(kDigestRecall, now, request.id, missing);
  }
  counters_.pages_recalled += job_.pages;
  if (observer_ != nullptr) {
    observer_->Level1(job_.number, job_.launched, now, static_cast<int64_t>(job_.ticks.size()));
  }
  if (job_.pages == 0) return Publish(now);
  recall_waits_ = swapping_in_;
  if (!recall_waits_) StartRecall(now);
}

void Replica::StartRecall(SimTime now) {
  recall_waits_ = false;
  job_.recall_begin = now;
  const int64_t bytes = job_.pages * plan_.recall_page_bytes;
  const int64_t pieces = job_.pages * plan_.recall_pieces;
  const auto rate = static_cast<int64_t>(
      link_model_.BatchedCopyRate(plan_.recall_page_bytes / plan_.recall_pieces, pieces));
  const int64_t cap = std::max<int64_t>(1, std::min(rate, recall_cap_bytes_per_s_));
  counters_.recall_bytes += bytes;
  job_.recall_alone = TransferDuration(bytes, std::min(cap, dram_bytes_per_s_));
  if (stepping_)
    recall_write_pending_ += step_model_.HbmWrite(bytes);  // else nobody decodes beside it
  StartFlow(Flow::kRecall, now, bytes, cap);
}

void Replica::Publish(SimTime now) {
  job_.in_flight = false;
  counters_.sideband_busy += now - std::max(counting_from_, job_.launched);
  if (job_.pages > 0) counters_.link_busy += now - std::max(counting_from_, job_.recall_begin);
  for (const TickRef& tick : job_.ticks) PublishTick(tick, now);
  if (observer_ != nullptr) {
    if (job_.pages > 0) observer_->Recall(job_.number, job_.scored, now, job_.pages);
    observer_->Publish(job_.number, now);
    observer_->Resident(now, residency_.held_count());
  }
  if (wait_ == Wait::kJoin) EndWait(StallCause::kJoin, now);
  if (wait_ == Wait::kSync) EndSyncWait(now);
  RequestBoundary(now);
}

void Replica::PublishTick(const TickRef& tick, SimTime now) {
  if (tick.first) --cold_recalls_;
  RequestState& request = At(tick.slot);
  if (!request.alive || request.generation != tick.generation) return;
  Record(kDigestPublish, now, request.id, tick.window);
  if (policy_.publish() == Policy::NEXT_TICK && !tick.first) {
    request.pending_window = tick.window;
    request.pending_tick = tick.tick;
    return;
  }
  Activate(tick.slot, tick.window, tick.tick);
  if (!tick.first) return;
  request.cold = false;
  if (request.in_batch) {
    SetStage(tick.slot, Stage::kDecoding, now);
    ScheduleSteps(tick.slot, now);
  } else {
    SetStage(tick.slot, Stage::kJoining, now);
    joining_.push_back(tick.slot);
  }
}

// First sub-window that runs wholly under a set that changes now: the step in progress keeps the
// old one, and a change counts from the next boundary between sub-windows.
int64_t Replica::NextWindowBoundary(const RequestState& request) const {
  const int64_t next_step = Completed(request) + (stepping_ && request.in_batch ? 1 : 0);
  return CeilDiv(std::max<int64_t>(0, next_step - 1), request.demand->stride_steps);
}

// The set of tick `window` becomes the active one.
void Replica::Activate(int32_t slot, int64_t window, uint32_t tick) {
  RequestState& request = At(slot);
  const int64_t boundary = NextWindowBoundary(request);
  request.Account(boundary, counters_);
  request.accounted_window = std::max(request.accounted_window, boundary);
  request.active_window = window;
  request.active_tick = tick;
  request.lost.clear();
  const auto pages = request.WantList(window);
  if (!plan_.protects_live) {
    for (PageIndex page : pages) {
      if (!residency_.Holds(slot, page)) request.lost.push_back({page, boundary});
    }
  }
  const int64_t change = static_cast<int64_t>(pages.size()) - request.active_pages;
  request.active_pages += change;
  if (!request.in_batch) return;
  batch_active_pages_ += change;
  batch_.scored_entries += change * kPageEntries;
}

// Pages that lost their block while their request still counts on them are missed from the next
// sub-window on.
void Replica::HandleEvicted(SimTime now) {
  for (const EvictedPage& evicted : residency_.evicted()) {
    RequestState& request = At(evicted.slot);
    Record(kDigestEvict, now, request.id, evicted.page);
    // Wanted by no tick and never grown since the active one: not in the active set.
    if (evicted.wanted_at < request.active_tick && evicted.wanted_at > 0) continue;
    if (!request.IsActive(evicted.page)) continue;
    request.lost.push_back({evicted.page, NextWindowBoundary(request)});
  }
  counters_.pages_evicted += static_cast<int64_t>(residency_.evicted().size());
  residency_.ClearEvicted();
}

// Splits a synchronous job's wait: scoring; transfer as on an idle link; what sharing added to it.
// The part of requests that had their first tick is the price of admission.
void Replica::EndSyncWait(SimTime now) {
  const auto share = [](SimDuration d, int64_t part, int64_t whole) {
    return whole == 0
               ? SimDuration{}
               : SimDuration{static_cast<int64_t>(static_cast<__int128>(d.ns) * part / whole)};
  };
  const SimDuration index = job_.scored - job_.launched;
  const SimDuration recall = now - job_.scored;
  const SimDuration transfer = std::min(recall, job_.pages > 0 ? job_.recall_alone : SimDuration{});
  const SimDuration queue = recall - transfer;
  const SimDuration index_first = share(index, job_.entries_first, job_.entries);
  const SimDuration transfer_first = share(transfer, job_.pages_first, job_.pages);
  const SimDuration queue_first = share(queue, job_.pages_first, job_.pages);
  CountStall(StallCause::kIndex, index - index_first);
  CountStall(StallCause::kTransfer, transfer - transfer_first);
  CountStall(StallCause::kQueue, queue - queue_first);
  CountStall(StallCause::kAdmission, index_first + transfer_first + queue_first);
  wait_ = Wait::kNone;
  if (observer_ != nullptr) observer_->Wait(wait_begin_, now, "level1");
}

// By how much a step that starts now is longer than without a side-band: its overlap with level-1
// compute, and the HBM time of recall writes since the last step, each times its factor.
SimDuration Replica::Interference(SimTime now, SimDuration base) {
  SimDuration overlap;
  if (job_.in_flight && job_.scored > now) overlap = std::min(base, job_.scored - now);
  const double ns = static_cast<double>(overlap.ns) * engine_.level1_interference() +
                    static_cast<double>(recall_write_pending_.ns) * engine_.recall_interference();
  recall_write_pending_ = SimDuration{};
  return {static_cast<int64_t>(ns + 0.5)};
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
    activity_longest_ = std::max(activity_longest_, end - now);
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
      if (swapping_in_) return OnSwapInDone(now);
      Publish(now);
      return StartSwapIns(now);
    case Flow::kWriteback:
      return swapping_out_ ? OnSwapOutDone(now) : StartWriteback(now);
    case Flow::kIngest:
      return OnIngestDone(now);
  }
}

void Replica::OnIngestDone(SimTime now) {
  const SlotRef ref = ingest_queue_.front();
  ingest_queue_.pop_front();
  if (Current(ref)) {
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
  StartFlow(Flow::kWriteback, now, bytes, writeback_cap_bytes_per_s_);
}

}  // namespace tierscope

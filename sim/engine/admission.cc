// Arrivals, prefill, admission and the end of a request.
#include <algorithm>

#include "sim/base/check.h"
#include "sim/base/units.h"
#include "sim/engine/replica.h"
#include "sim/policy/tick_phase.h"

namespace tierscope {
void Replica::OnArrival(const Arrival& arrival, SimTime now) {
  conservation_.Clock(now);
  if (now > half_of_requests_) MarkHalfOfRequests();
  const bool alone = std::all_of(lockstep_.groups.begin(), lockstep_.groups.end(),
                                 [](const Replica* group) { return group->InSystem() == 0; });
  if (alone) lockstep_.progress_at = now;  // nobody could make any before
  const int64_t number = outcome_.arrived++;
  conservation_.Arrive(now);
  const bool nothing_to_decode = arrival.output_tokens == 0;
  if (nothing_to_decode || !FitsEmpty(arrival)) {  // over where it arrives
    ++(nothing_to_decode ? outcome_.finished : outcome_.rejected);
    counters_.completed += nothing_to_decode ? 1 : 0;
    conservation_.Leave(now, arrival.time, 0);
    return arrivals_.SendNext(arrival.user, now);
  }
  const int64_t tokens = arrival.context_tokens + arrival.output_tokens;
  outstanding_tokens_ += tokens;
  tokens_routed_ += tokens;
  Waiting waiting{arrival, now, number};
  if (!FetchPrefix(waiting, now)) EnterLine(waiting, now);
}

GroupLoad Replica::LoadFor(const Arrival& arrival, bool looks_at_prefix) const {
  GroupLoad load{outstanding_tokens_, InSystem()};
  if (looks_at_prefix) load.prefix_blocks = prefix_->Leading(prefix_->IdsOf(arrival.trace_index));
  return load;
}

void Replica::EnterLine(const Waiting& waiting, SimTime now) {
  if (engine_.prefill() == Engine::DISAGGREGATED) {
    prefill_queue_.push_back(waiting);
    return StartPrefills(now);
  }
  waiting_.push_back(waiting);
  RequestBoundary(now);
}

// The prefill pool is the instance's: first come, first served over its groups.
void Replica::StartPrefills(SimTime now) {
  while (lockstep_.prefill_free > 0) {
    Replica* next = nullptr;
    for (Replica* group : lockstep_.groups) {
      if (group->prefill_queue_.empty()) continue;
      const bool earlier = next == nullptr ||
                           group->prefill_queue_.front().ready < next->prefill_queue_.front().ready;
      if (earlier) next = group;
    }
    if (next == nullptr) return;
    next->StartPrefill(now);
  }
}

void Replica::StartPrefill(SimTime now) {
  --lockstep_.prefill_free;
  Waiting waiting = prefill_queue_.front();
  prefill_queue_.pop_front();
  MatchPrefix(waiting);
  CountPrefix(waiting, now);
  const int64_t generated = waiting.slot < 0 ? 0 : At(waiting.slot).steps_completed;
  const int64_t tokens = waiting.arrival.context_tokens + generated - PrefixTokens(waiting.prefix);
  const SimDuration length =
      DurationFromSeconds(static_cast<double>(tokens) / engine_.prefill_tokens_per_s());
  const auto index = static_cast<int32_t>(
      std::find_if(prefilling_.begin(), prefilling_.end(),
                   [](const std::optional<Waiting>& w) { return !w.has_value(); }) -
      prefilling_.begin());
  if (static_cast<size_t>(index) == prefilling_.size()) prefilling_.emplace_back();
  prefilling_[static_cast<size_t>(index)] = waiting;
  lockstep_.LongestActivity(length);
  Push((now + length).ns, kPrefillDone, index);
}

void Replica::OnPrefillDone(int32_t index, SimTime now) {
  Waiting waiting = *prefilling_[static_cast<size_t>(index)];
  prefilling_[static_cast<size_t>(index)].reset();
  ++lockstep_.prefill_free;
  waiting.ready = now;
  if (waiting.slot < 0) {
    waiting_.push_back(waiting);
  } else {
    InsertByAge(waiting_, waiting, *this);
  }
  StartPrefills(now);
  AdmitWaiting(now);
}

// Whether prompt and output fit a replica that has nobody else.
bool Replica::FitsEmpty(const Arrival& arrival) const {
  const int64_t output_tokens = plan_.OutputTokens(arrival.output_tokens);
  const int64_t need = arrival.context_tokens + output_tokens;
  if (!HbmFits(need, 1)) return false;
  const int64_t swap_bytes = swaps() ? plan_.SwapBytes(need) : 0;
  if (!tiered()) return HostFits(0, swap_bytes);
  const int64_t pages = plan_.HostPages(arrival.context_tokens, output_tokens);
  const bool pins = plan_.protects_live || plan_.decode_region_entries == 0;
  return pages <= plan_.host_pages_max && HostFits(pages, swap_bytes) &&
         (!pins || plan_.protects_live || 1 + plan_.live_pages_max <= plan_.reserve_blocks);
}

// Under admit FULL prompt and output. OPTIMISTIC: what is in use once the next step and the one
// after have run, in whole pages; a swap frees nothing in the host, so its room there is promised
// in full. A request that was swapped out has its host room already.
Replica::Promise Replica::PromiseFor(const Waiting& waiting) const {
  const int64_t need =
      waiting.arrival.context_tokens + plan_.OutputTokens(waiting.arrival.output_tokens);
  const int64_t generated = waiting.slot < 0 ? 0 : At(waiting.slot).steps_completed;
  Promise promise;
  promise.tokens = need;
  if (optimistic()) {
    const int64_t used = waiting.arrival.context_tokens + generated + 2;
    promise.tokens = std::min(need, CeilDiv(used, plan_.page_tokens) * plan_.page_tokens);
  }
  const bool has_host_room = waiting.slot >= 0 && swaps();
  if (swaps() && !has_host_room) promise.swap_bytes = plan_.SwapBytes(need);
  if (!tiered()) return promise;
  const int64_t host_tokens = swaps() ? need : promise.tokens;
  const int64_t context_tokens = waiting.arrival.context_tokens;
  promise.host_pages =
      has_host_room ? 0 : plan_.HostPages(context_tokens, host_tokens - context_tokens);
  promise.host_pages -= waiting.prefix.pages;
  const int64_t filling = plan_.decode_region_entries > 0 ? 0 : 1;
  promise.blocks =
      plan_.protects_live ? plan_.LivePages(context_tokens, grown_pages_max_) : filling;
  return promise;
}

// The first resource that has no room for the promise beside what is promised already.
Resource Replica::Lacking(const Promise& promise) const {
  if (!HbmFits(tokens_reserved_ + promise.tokens, admitted_ + 1)) return Resource::kHbm;
  if (!HostFits(host_pages_reserved_ + promise.host_pages,
                swap_bytes_reserved_ + promise.swap_bytes)) {
    return Resource::kHost;
  }
  if (promise.blocks > 0 && !BlocksFit(promise.blocks)) return Resource::kReserve;
  return Resource::kNone;
}

// What one more request lacks, whoever it is for the bounds on their number.
Resource Replica::Lacking(const Waiting& waiting) const {
  const bool users = max_concurrency_ > 0 && admitted_ >= max_concurrency_;
  const bool slots = plan_.request_slots > 0 && admitted_ >= plan_.request_slots;
  return users || slots ? Resource::kSlots : Lacking(PromiseFor(waiting));
}

bool Replica::HbmFits(int64_t tokens, int64_t requests) const {
  return tokens <= plan_.tokens_max &&
         plan_.PromisedBytes(requests, tokens) <= plan_.hbm_left_bytes;
}

bool Replica::HostFits(int64_t pages, int64_t swap_bytes) const {
  if (tiered() && pages > plan_.host_pages_max) return false;
  return swap_bytes == 0 ||
         pages * plan_.host_page_bytes_node + swap_bytes * plan_.ranks <= host_usable_bytes_;
}

// Whether `more` blocks of the reserve can be promised. Protected, every request has as many as it
// can ever pin; OPTIMISTIC: until its first want list, then what it pins and what a job is about
// to. Unprotected, each request pins the page it fills, and one want list must find its victims.
bool Replica::BlocksFit(int64_t more) const {
  if (promises_blocks()) {
    return residency_.pinned_count() + blocks_promised_ + more <= plan_.reserve_blocks;
  }
  if (plan_.protects_live) return blocks_promised_ + more <= plan_.reserve_blocks;
  return admitted_ + more + plan_.live_pages_max <= plan_.reserve_blocks;
}

// First come, first served: the head of the queue waits until it fits, and the rest behind it.
void Replica::AdmitWaiting(SimTime now) {
  CountAdmissionWait(now);
  head_lacks_ = Resource::kNone;
  while (!waiting_.empty()) {
    if (engine_.prefill() == Engine::COLOCATED_CHUNKED) MatchPrefix(waiting_.front());
    const Waiting waiting = waiting_.front();
    head_lacks_ = Lacking(waiting);
    if (head_lacks_ != Resource::kNone) return;
    waiting_.pop_front();
    Admit(waiting, PromiseFor(waiting), now);
  }
}

// Time since the last look at the queue's head goes to the resource that it lacked then.
void Replica::CountAdmissionWait(SimTime now) {
  counters_.admission_wait[static_cast<size_t>(head_lacks_)] += now - head_seen_;
  head_seen_ = now;
}

int32_t Replica::TakeSlot() {
  if (slots_free_.empty()) {
    slots_.emplace_back();
    return static_cast<int32_t>(slots_.size()) - 1;
  }
  const int32_t slot = slots_free_.back();
  slots_free_.pop_back();
  return slot;
}

void Replica::Admit(const Waiting& waiting, const Promise& promise, SimTime now) {
  const bool again = waiting.slot >= 0;
  const int32_t slot = again ? waiting.slot : TakeSlot();
  RequestState& request = At(slot);
  if (!again) {
    request.Renew();
    request.id = sequence_++;
    request.arrival = waiting.arrival;
    request.number = waiting.number;
  }
  if (engine_.prefill() == Engine::COLOCATED_CHUNKED) CountPrefix(waiting, now);
  request.alive = true;
  request.prefix = waiting.prefix;
  request.prefix_blocks = waiting.prefix.blocks;
  request.store_pages = waiting.prefix.pages;
  request.queued += now - waiting.ready;
  request.tokens_reserved = promise.tokens;
  request.host_pages_reserved += promise.host_pages;
  request.swap_bytes_reserved += promise.swap_bytes;
  tokens_reserved_ += promise.tokens;
  tokens_in_use_ += request.context_tokens() + request.steps_completed;
  host_pages_reserved_ += promise.host_pages;
  swap_bytes_reserved_ += promise.swap_bytes;
  ++admitted_;
  if (tiered()) {
    if (!again) BindProfile(slot);
    if (!again || !swaps()) host_pages_in_use_ += request.host_pages - request.store_pages;
    request.cold = ticks();
    if (plan_.has_reserve) residency_.Open(slot, request.demand->page_count, request.id);
    if (plan_.protects_live) SetPromisedBlocks(slot, promise.blocks);
  }
  RaisePeaks();
  Record(RequestEvent::kAdmit, now, request, request.start.profile.value);
  StartAdmitted(slot, now);
}

// The request's KV is there (prefill NONE), comes back from the host, comes over the network, or is
// made here; what it reuses of the prefix store is loaded first.
void Replica::StartAdmitted(int32_t slot, SimTime now) {
  RequestState& request = At(slot);
  if (request.swapped) {
    SetStage(slot, Stage::kSwapIn, now);
    swap_ins_.push_back({slot, request.generation});
    return StartSwapIns(now);
  }
  if (request.prefix.pages == 0) return StartOwnKv(slot, now);
  SetStage(slot, Stage::kLoad, now);
  swap_ins_.push_back({slot, request.generation});
  StartSwapIns(now);
}

// The request gets the KV that it does not reuse.
void Replica::StartOwnKv(int32_t slot, SimTime now) {
  RequestState& request = At(slot);
  switch (engine_.prefill()) {
    case Engine::NONE:
      SetStage(slot, Stage::kJoining, now);
      joining_.push_back(slot);
      return;
    case Engine::DISAGGREGATED:
      SetStage(slot, Stage::kIngest, now);
      ingest_queue_.push_back({slot, request.generation});
      return StartIngest(now);
    case Engine::COLOCATED_CHUNKED:
      SetStage(slot, Stage::kPrefill, now);
      return QueueChunks(slot);
  }
}

// Gives the request a recorded profile and its place in the cold pool.
void Replica::BindProfile(int32_t slot) {
  RequestState& request = At(slot);
  request.start = assigner_->Assign(request.context_tokens(), request.output_tokens() - 1);
  const auto profile = static_cast<size_t>(request.start.profile.value);
  request.demand = &demand_->profiles[profile];
  ReplicaOutcome::ProfileUse& use = outcome_.profile_use[profile];
  use.requests += 1;
  const int64_t recorded = request.demand->prompt_tokens;
  request.ClipToOwnHistory();
  const bool off = 2 * std::max(recorded, request.context_tokens()) >
                   3 * std::min(recorded, request.context_tokens());
  use.context_off += off ? 1 : 0;
  if (plan_.decode_region_entries > 0) request.PlaceDecodeRegion(plan_.decode_region_entries);
  request.host_pages = CeilDiv(request.context_tokens(), plan_.page_tokens);
}

void Replica::RaisePeaks() {
  Peaks& peaks = outcome_.peaks;
  peaks.tokens_reserved = std::max(peaks.tokens_reserved, tokens_reserved_);
  peaks.tokens_in_use = std::max(peaks.tokens_in_use, tokens_in_use_);
  peaks.host_pages_reserved = std::max(peaks.host_pages_reserved, host_pages_reserved_);
  peaks.host_pages_in_use = std::max(peaks.host_pages_in_use, host_pages_in_use_);
  peaks.requests_admitted = std::max(peaks.requests_admitted, admitted_);
  peaks.swap_bytes_reserved = std::max(peaks.swap_bytes_reserved, swap_bytes_reserved_);
  peaks.swap_bytes_in_use = std::max(peaks.swap_bytes_in_use, swap_bytes_in_use_);
  CheckMemory();
  CheckHostMemory();
}

// KV of the next admitted request comes over the network, one request at a time.
void Replica::StartIngest(SimTime now) {
  if (ingest_queue_.empty() || bandwidth_.busy(Flow::kIngest)) return;
  const RequestState& request = At(ingest_queue_.front().slot);
  const int64_t bytes = plan_.FullKvBytes(request.context_tokens() + request.steps_completed) -
                        plan_.FullKvBytes(PrefixTokens(request.prefix));
  StartFlow(Flow::kIngest, now, std::max<int64_t>(1, bytes), ingest_cap_bytes_per_s_);
}

void Replica::Join(int32_t slot, SimTime now) {
  RequestState& request = At(slot);
  request.base_step = lockstep_.tokens - request.steps_completed;
  request.in_batch = true;
  request.joined = now;
  SetStage(slot, Stage::kDecoding, now);
  conservation_.Join(now);
  batch_.requests += 1;
  outcome_.peaks.requests_decoding = std::max(outcome_.peaks.requests_decoding, batch_.requests);
  batch_.context_tokens += request.context_tokens() + request.steps_completed;
  batch_.scored_entries += request.active_pages * kPageEntries;
  batch_active_pages_ += request.active_pages;
  Tell(RequestEvent::kJoin, now, request);
  if (request.steps_completed == 0) {
    step_queue_.Push(lockstep_.tokens + 1, kFirstStepDone, slot, request.generation);
  } else if (!tiered() || !request.cold) {  // else its first tick is due now
    ScheduleSteps(slot, now);
  }
}

void Replica::Leave(int32_t slot, SimTime now) {
  RequestState& request = At(slot);
  conservation_.LeaveBatch(now, request.joined);
  request.steps_completed = Completed(request);
  request.in_batch = false;
  batch_.requests -= 1;
  batch_.context_tokens -= request.context_tokens() + request.steps_completed;
  batch_.scored_entries -= request.active_pages * kPageEntries;
  batch_active_pages_ -= request.active_pages;
  Tell(RequestEvent::kLeave, now, request);
}

// Own steps from the first tick to the second: tau, or less so that ticks meet or spread
// (Policy.phase).
int32_t Replica::FirstWindow(const RequestState& request) const {
  const int64_t tau = policy_.tau_steps();
  if (policy_.phase() == Policy::OWN_STEPS) return static_cast<int32_t>(tau);
  const int64_t stride = request.demand->stride_steps;
  const bool staggered = policy_.phase() == Policy::STAGGERED;
  const int64_t place = staggered ? StaggeredPlace(tau, stride, request.id) : 0;
  return static_cast<int32_t>(FirstWindowSteps(tau, stride, place, lockstep_.steps));
}

// Puts the request's recurring work into the step queue, after its first token (full) or its first
// publish.
void Replica::ScheduleSteps(int32_t slot, SimTime now) {
  RequestState& request = At(slot);
  step_queue_.Push(request.base_step + request.output_tokens(), kFinished, slot,
                   request.generation);
  ScheduleGrowth(slot);
  if (!tiered()) return;
  if (plan_.decode_region_entries == 0) {
    if (ticks()) OpenPage(slot, now);
    SchedulePageFull(slot);
  }
  if (!ticks()) return;
  PromiseBlocks(slot, 0);
  // The first tick stood at own step `tick`, off the grid of sub-windows only after a preemption.
  const int64_t tick = Completed(request) - 1;
  request.first_window_steps = FirstWindow(request);
  ScheduleTick(slot, request.first_window_steps - tick % request.demand->stride_steps);
}

void Replica::SchedulePageFull(int32_t slot) {
  const RequestState& request = At(slot);
  const int64_t step = Completed(request);
  step_queue_.Push(lockstep_.tokens + request.StepsToNextPage(step), kPageFull, slot,
                   request.generation);
}

// The request's next tick is due after `steps` more batch steps, unless it ends before or with
// them.
void Replica::ScheduleTick(int32_t slot, int64_t steps) {
  const RequestState& request = At(slot);
  const int64_t tokens = lockstep_.clock.At(lockstep_.steps + steps);
  if (tokens - request.base_step >= request.output_tokens()) return;
  step_queue_.Push(tokens, kTickDue, slot, request.generation);
}

void Replica::Finish(int32_t slot, SimTime now) {
  RequestState& request = At(slot);
  if (request.in_batch) DropSurplus(request, request.output_tokens());
  if (tiered()) {
    if (ticks()) SettleAccount(request);
    const int64_t last_step = int64_t{request.start.position} * request.demand->stride_steps +
                              request.output_tokens() - 1;
    outcome_.profile_use[static_cast<size_t>(request.start.profile.value)].wraps +=
        (last_step - 1) / request.demand->step_count();
    host_pages_in_use_ -= request.host_pages - request.store_pages;
    host_pages_reserved_ -= request.host_pages_reserved;
    if (plan_.has_reserve) residency_.Close(slot);
  }
  if (request.in_batch) Leave(slot, now);
  SetPromisedBlocks(slot, 0);
  tokens_reserved_ -= request.tokens_reserved;
  tokens_in_use_ -= request.context_tokens() + request.output_tokens();
  swap_bytes_reserved_ -= request.swap_bytes_reserved;
  --admitted_;
  RecordFinished(request, now);
  LeavePrefix(slot, now);
  Record(RequestEvent::kFinish, now, request);
  request.alive = false;
  slots_free_.push_back(slot);
  outstanding_tokens_ -= request.context_tokens() + request.output_tokens();
  arrivals_.SendNext(request.arrival.user, now);
}

void Replica::RecordFinished(const RequestState& request, SimTime now) {
  if (now > half_of_requests_) MarkHalfOfRequests();
  conservation_.Leave(now, request.arrival.time, request.output_tokens());
  ++outcome_.finished;
  ++counters_.completed;
  const int64_t ttft = (request.first_token - request.arrival.time).ns;
  counters_.ttft_ns.Add(ttft);
  counters_.queue_ns.Add(request.queued.ns);
  counters_.latency_ns.Add((now - request.arrival.time).ns);
  int64_t tpot = 0;
  if (request.output_tokens() > 1) {
    tpot = (now - request.first_token).ns / (request.output_tokens() - 1);
    counters_.tpot_ns.Add(tpot);
  }
  if (slo_ == nullptr) return;
  const bool ttft_met = !slo_->has_ttft_ms() || static_cast<double>(ttft) <= slo_->ttft_ms() * 1e6;
  const bool tpot_met = !slo_->has_tpot_ms() || static_cast<double>(tpot) <= slo_->tpot_ms() * 1e6;
  if (ttft_met && tpot_met) ++counters_.slo_met;
}

}  // namespace tierscope

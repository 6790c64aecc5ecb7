// Arrivals, prefill, admission and the end of a request.
#include <algorithm>

#include "sim/base/check.h"
#include "sim/base/units.h"
#include "sim/engine/replica.h"

namespace tierscope {
namespace {

constexpr int32_t kNextOfSource =
    -1;  // subject of an arrival event: next_arrival_, not a returning user

}  // namespace

void Replica::PullArrival() {
  next_arrival_ = source_.Next();
  if (next_arrival_) queue_.Push(next_arrival_->time.ns, kArrival, kNextOfSource);
}

void Replica::OnArrivalEvent(const Event& event, SimTime now) {
  if (event.subject == kNextOfSource) {
    const Arrival arrival = *next_arrival_;
    PullArrival();
    OnArrival(arrival, now);
    return;
  }
  const auto index = static_cast<size_t>(event.subject);
  const Arrival arrival = returning_[index];
  returning_free_.push_back(event.subject);
  OnArrival(arrival, now);
}

// A closed loop's user sends its next request, now or after thinking.
void Replica::SendNext(int32_t user, SimTime now) {
  const std::optional<Arrival> next = source_.AfterFinish(user, now);
  if (!next) return;
  int32_t index;
  if (returning_free_.empty()) {
    index = static_cast<int32_t>(returning_.size());
    returning_.push_back(*next);
  } else {
    index = returning_free_.back();
    returning_free_.pop_back();
    returning_[static_cast<size_t>(index)] = *next;
  }
  queue_.Push(next->time.ns, kArrival, index);
}

void Replica::OnArrival(const Arrival& arrival, SimTime now) {
  ++outcome_.arrived;
  if (arrival.output_tokens == 0) {  // nothing to decode: over where it arrives
    ++outcome_.finished;
    ++counters_.completed;
    return SendNext(arrival.user, now);
  }
  if (!Fits(arrival, 0, 0, 0)) {  // would not fit an empty replica
    ++outcome_.rejected;
    return SendNext(arrival.user, now);
  }
  if (engine_.prefill() == Engine::DISAGGREGATED) {
    prefill_queue_.push_back({arrival, now});
    return StartPrefills(now);
  }
  waiting_.push_back({arrival, now});
  RequestBoundary(now);
}

void Replica::StartPrefills(SimTime now) {
  while (prefill_free_ > 0 && !prefill_queue_.empty()) {
    --prefill_free_;
    const Waiting waiting = prefill_queue_.front();
    prefill_queue_.pop_front();
    const SimDuration length = DurationFromSeconds(
        static_cast<double>(waiting.arrival.context_tokens) / engine_.prefill_tokens_per_s());
    const auto index = static_cast<int32_t>(
        std::find_if(prefilling_.begin(), prefilling_.end(),
                     [](const std::optional<Waiting>& w) { return !w.has_value(); }) -
        prefilling_.begin());
    if (static_cast<size_t>(index) == prefilling_.size()) prefilling_.emplace_back();
    prefilling_[static_cast<size_t>(index)] = waiting;
    queue_.Push((now + length).ns, kPrefillDone, index);
  }
}

void Replica::OnPrefillDone(int32_t index, SimTime now) {
  const Arrival arrival = prefilling_[static_cast<size_t>(index)]->arrival;
  prefilling_[static_cast<size_t>(index)].reset();
  ++prefill_free_;
  waiting_.push_back({arrival, now});
  StartPrefills(now);
  AdmitWaiting(now);
}

// Whether the arrival's prompt and output fit beside what is promised already.
bool Replica::Fits(const Arrival& arrival, int64_t tokens, int64_t host_pages,
                   int64_t requests) const {
  const int64_t need = arrival.context_tokens + arrival.output_tokens;
  if (tokens + need > plan_.tokens_max) return false;
  if (!tiered()) return true;
  if (host_pages + plan_.HostPages(arrival.context_tokens, arrival.output_tokens) >
      plan_.host_pages_max)
    return false;
  if (plan_.request_slots > 0 && requests + 1 > plan_.request_slots) return false;
  if (plan_.protects_live) return (requests + 1) * plan_.live_pages_max <= plan_.reserve_blocks;
  if (plan_.decode_region_entries > 0) return true;  // nothing is pinned
  // Unprotected, each request pins the page it fills, and one want list must find its victims.
  return requests + 1 + plan_.live_pages_max <= plan_.reserve_blocks;
}

// First come, first served: the head of the queue waits until it fits, and the rest behind it.
void Replica::AdmitWaiting(SimTime now) {
  while (!waiting_.empty()) {
    const Waiting waiting = waiting_.front();
    if (max_concurrency_ > 0 && admitted_ >= max_concurrency_) return;
    if (!Fits(waiting.arrival, tokens_reserved_, host_pages_reserved_, admitted_)) return;
    waiting_.pop_front();
    Admit(waiting, now);
  }
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

// Reserves memory for prompt and output. The KV is there (prefill NONE) or comes over the network.
void Replica::Admit(const Waiting& waiting, SimTime now) {
  const int32_t slot = TakeSlot();
  RequestState& request = At(slot);
  const int32_t generation = request.generation + 1;
  request = RequestState();
  request.generation = generation;
  request.alive = true;
  request.id = sequence_++;
  request.arrival = waiting.arrival;
  request.ready = waiting.ready;
  request.admitted = now;
  request.tokens_reserved = request.context_tokens() + request.output_tokens();
  tokens_reserved_ += request.tokens_reserved;
  tokens_in_use_ += request.context_tokens();
  ++admitted_;
  if (tiered()) BindProfile(slot);
  RaisePeaks();
  Record(kDigestAdmit, now, request.id, request.start.profile.value);
  if (engine_.prefill() == Engine::DISAGGREGATED) {
    ingest_queue_.push_back(slot);
    StartIngest(now);
  } else {
    joining_.push_back(slot);
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
  request.host_pages_reserved = plan_.HostPages(request.context_tokens(), request.output_tokens());
  request.host_pages = CeilDiv(request.context_tokens(), plan_.page_tokens);
  host_pages_reserved_ += request.host_pages_reserved;
  host_pages_in_use_ += request.host_pages;
  residency_.Open(slot, request.demand->page_count, request.id);
}

void Replica::RaisePeaks() {
  Peaks& peaks = outcome_.peaks;
  peaks.tokens_reserved = std::max(peaks.tokens_reserved, tokens_reserved_);
  peaks.tokens_in_use = std::max(peaks.tokens_in_use, tokens_in_use_);
  peaks.host_pages_reserved = std::max(peaks.host_pages_reserved, host_pages_reserved_);
  peaks.host_pages_in_use = std::max(peaks.host_pages_in_use, host_pages_in_use_);
  peaks.requests_admitted = std::max(peaks.requests_admitted, admitted_);
}

// KV of the next admitted request comes over the network, one request at a time.
void Replica::StartIngest(SimTime now) {
  if (ingest_queue_.empty() || bandwidth_.busy(Flow::kIngest)) return;
  const int64_t tokens = At(ingest_queue_.front()).context_tokens();
  const int64_t bytes = plan_.FullKvBytes(tokens);
  StartFlow(Flow::kIngest, now, std::max<int64_t>(1, bytes), ingest_cap_bytes_per_s_);
}

void Replica::Join(int32_t slot, SimTime now) {
  RequestState& request = At(slot);
  request.base_step = steps_ - request.steps_completed;
  request.in_batch = true;
  batch_.requests += 1;
  batch_.context_tokens += request.context_tokens() + request.steps_completed;
  batch_.scored_entries += request.active_pages * kPageEntries;
  batch_active_pages_ += request.active_pages;
  if (request.steps_completed == 0) {
    step_queue_.Push(steps_ + 1, kFirstStepDone, slot, request.generation);
  } else {
    ScheduleSteps(slot, now);
  }
}

void Replica::Leave(int32_t slot) {
  RequestState& request = At(slot);
  request.steps_completed = Completed(request);
  request.in_batch = false;
  batch_.requests -= 1;
  batch_.context_tokens -= request.context_tokens() + request.steps_completed;
  batch_.scored_entries -= request.active_pages * kPageEntries;
  batch_active_pages_ -= request.active_pages;
}

// Own steps from the first tick to the second: tau, or less so that ticks meet or spread
// (Policy.phase).
int32_t Replica::FirstWindow(const RequestState& request) const {
  const int64_t tau = policy_.tau_steps();
  if (policy_.phase() == Policy::OWN_STEPS) return static_cast<int32_t>(tau);
  const int64_t stride = request.demand->stride_steps;
  const int64_t slot = policy_.phase() == Policy::STAGGERED ? request.id % (tau / stride) : 0;
  const int64_t distance = ((slot * stride - steps_) % tau + tau) % tau;
  const int64_t window = CeilDiv(distance, stride) * stride;
  return static_cast<int32_t>(window == 0 ? tau : window);
}

// Puts the request's recurring work into the step queue, after its first token (full) or its first
// publish.
void Replica::ScheduleSteps(int32_t slot, SimTime now) {
  RequestState& request = At(slot);
  step_queue_.Push(request.base_step + request.output_tokens(), kFinished, slot,
                   request.generation);
  if (!tiered()) return;
  if (plan_.decode_region_entries == 0) {
    OpenPage(slot, now);
    SchedulePageFull(slot);
  }
  request.first_window_steps = FirstWindow(request);
  ScheduleTick(slot, request.first_window_steps);
}

void Replica::SchedulePageFull(int32_t slot) {
  const RequestState& request = At(slot);
  const int64_t step = Completed(request);
  step_queue_.Push(steps_ + request.StepsToNextPage(step), kPageFull, slot, request.generation);
}

// A tick happens after own step `own_step` has run, unless the request ends with it.
void Replica::ScheduleTick(int32_t slot, int64_t own_step) {
  const RequestState& request = At(slot);
  if (own_step + 1 >= request.output_tokens()) return;
  step_queue_.Push(request.base_step + own_step + 1, kTickDue, slot, request.generation);
}

void Replica::Finish(int32_t slot, SimTime now) {
  RequestState& request = At(slot);
  if (tiered()) {
    SettleAccount(request);
    const int64_t last_step = int64_t{request.start.position} * request.demand->stride_steps +
                              request.output_tokens() - 1;
    outcome_.profile_use[static_cast<size_t>(request.start.profile.value)].wraps +=
        (last_step - 1) / request.demand->step_count();
    host_pages_in_use_ -= request.host_pages;
    host_pages_reserved_ -= request.host_pages_reserved;
    residency_.Close(slot);
  }
  Leave(slot);
  tokens_reserved_ -= request.tokens_reserved;
  tokens_in_use_ -= request.context_tokens() + request.output_tokens();
  --admitted_;
  RecordFinished(request, now);
  Record(kDigestFinish, now, request.id, 0);
  request.alive = false;
  slots_free_.push_back(slot);
  SendNext(request.arrival.user, now);
}

void Replica::RecordFinished(const RequestState& request, SimTime now) {
  ++outcome_.finished;
  ++counters_.completed;
  const int64_t ttft = (request.first_token - request.arrival.time).ns;
  counters_.ttft_ns.push_back(ttft);
  counters_.queue_ns.push_back((request.admitted - request.ready).ns);
  counters_.latency_ns.push_back((now - request.arrival.time).ns);
  int64_t tpot = 0;
  if (request.output_tokens() > 1) {
    tpot = (now - request.first_token).ns / (request.output_tokens() - 1);
    counters_.tpot_ns.push_back(tpot);
  }
  if (slo_ == nullptr) return;
  const bool ttft_met = !slo_->has_ttft_ms() || static_cast<double>(ttft) <= slo_->ttft_ms() * 1e6;
  const bool tpot_met = !slo_->has_tpot_ms() || static_cast<double>(tpot) <= slo_->tpot_ms() * 1e6;
  if (ttft_met && tpot_met) ++counters_.slo_met;
}

}  // namespace tierscope

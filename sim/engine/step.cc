// The batch step: how long it takes, leaping, what it and the waits before it count as, and what is
// counted from when.
#include <algorithm>

#include "sim/base/units.h"
#include "sim/engine/replica.h"
#include "sim/engine/scored_entries.h"

namespace tierscope {

BatchWork Replica::StepWork() const {
  BatchWork work = batch_;
  work.scored_entries = ScoredEntries(policy_.kind(), batch_.scored_entries,
                                      work.context_tokens * kPageEntries / plan_.page_tokens);
  return work;
}

Replica::StepLength Replica::LengthOfStep(SimTime now) {
  if (lockstep_.groups.size() > 1) return LengthOfJointStep(now);
  SimDuration base = batch_.requests > 0 ? step_model_.Step(StepWork()) : SimDuration{};
  if (!chunk_queue_.empty()) base += TakeChunk();
  const SimDuration beside = FetchBeside(base);
  return {base + beside, Interference(now, base)};
}

// All groups wait for the slowest: without side-bands that with the longest part of its own, and
// with them perhaps another.
Replica::StepLength Replica::LengthOfJointStep(SimTime now) {
  int32_t requests = 0, fullest = 0;
  SimDuration longest;
  for (Replica* group : lockstep_.groups) {
    group->step_part_ = step_model_.GroupPart(group->StepWork());
    longest = std::max(longest, group->step_part_);
    requests += group->batch_.requests;
    fullest = std::max(fullest, group->batch_.requests);
  }
  const SimDuration base = step_model_.JointPart(requests, fullest) + longest;
  SimDuration lengthened;
  for (Replica* group : lockstep_.groups) {
    lengthened = std::max(lengthened, group->step_part_ + group->Interference(now, base));
  }
  return {base, lengthened - longest};
}

// Runs steps until one waits, ends with, or is overtaken by, an event.
void Replica::StartStep(SimTime now) {
  while (!FetchMisses(now)) {
    const std::optional<SimTime> end = RunStep(now);
    if (!end) return;
    now = *end;
  }
}

// The end of the step that begins now, where nothing else happens by then: the arithmetic of a step
// alone. Else the end goes through the queue, and nothing comes back.
std::optional<SimTime> Replica::RunStep(SimTime now) {
  const auto [base, lengthening] = LengthOfStep(now);
  CountStall(StallCause::kInterference, lengthening);
  const SimTime end = now + base + lengthening;
  if (observer_ != nullptr) {
    observer_->Step(now, end - now, lengthening, RequestsOfAllGroups());
    observer_->Detail({lockstep_.boundary, now, end - now, StepWork(), batch_active_pages_,
                       lockstep_.step_stall});
  }
  if (beside_.measured && !step_model_.Covers(StepWork())) ++counters_.steps_extrapolated;
  if (!MayLeap(end)) {
    lockstep_.stepping = true;
    lockstep_.step_end = end;
    lockstep_.LongestActivity(end - now);
    Push(end.ns, kStepEnd, 0);
    return std::nullopt;
  }
  CountStep(end);
  ++outcome_.steps_leapt;
  return end;
}

// Nothing happens before, at, or because of the end of a step that begins now.
bool Replica::MayLeap(SimTime end) const {
  if (!options_.leap || end > horizon_ || lockstep_.steps + 1 == warmup_steps_) return false;
  if (fetch_.boundary_due || (!queue_.empty() && queue_.next().key <= end.ns)) return false;
  const int64_t tokens = lockstep_.clock.At(lockstep_.steps + 1);
  return std::all_of(
      lockstep_.groups.begin(), lockstep_.groups.end(), [tokens](const Replica* group) {
        return group->chunk_queue_.empty() &&
               (group->step_queue_.empty() || group->step_queue_.next().key > tokens);
      });
}

int64_t Replica::RequestsOfAllGroups() const {
  int64_t requests = 0;
  for (const Replica* group : lockstep_.groups) requests += group->batch_.requests;
  return requests;
}

// A step of all groups ends: what it did to their batches, memory and counters. The lead counts
// what they share.
void Replica::CountStep(SimTime end) {
  const int64_t tokens = lockstep_.tokens_of_step();
  ++lockstep_.steps;
  lockstep_.tokens += tokens;
  const SimDuration length = end - lockstep_.boundary;
  lockstep_.boundary = end;
  lockstep_.decode += length;
  if (end > half_of_steps_) {
    for (Replica* group : lockstep_.groups) group->MarkHalfOfSteps();
  }
  if (RequestsOfAllGroups() > 0) {
    CountDecodeStep(length, tokens);
  } else {
    counters_.prefill_only += length;
  }
  lockstep_.step_stall.fill(SimDuration{});
  for (Replica* group : lockstep_.groups) group->GainTokens(tokens);
  if (observer_ != nullptr) observer_->StepEnded(end, length, counters_, MemoryNow());
}

MemoryUse Replica::MemoryNow() const {
  return {.requests_admitted = admitted_,
          .tokens_reserved = tokens_reserved_,
          .tokens_in_use = tokens_in_use_,
          .host_pages_reserved = host_pages_reserved_,
          .host_pages_in_use = host_pages_in_use_,
          .swap_bytes_reserved = swap_bytes_reserved_,
          .swap_bytes_in_use = swap_bytes_in_use_,
          .blocks_held = residency_.held_count(),
          .prefix_blocks = prefix_ ? prefix_->host_blocks() : 0};
}

void Replica::CountDecodeStep(SimDuration length, int64_t tokens) {
  counters_.steps += 1;
  counters_.decode += length;
  counters_.seconds.Add(counters_.decode, RequestsOfAllGroups() * tokens);
  counters_.step_ns.Add(length.ns);
  counters_.step_longest = std::max(counters_.step_longest, length);
  for (size_t cause = 0; cause < lockstep_.step_stall.size(); ++cause) {
    counters_.stall[cause] += lockstep_.step_stall[cause];
  }
  int32_t fullest = 0;
  for (Replica* group : lockstep_.groups) {
    fullest = std::max(fullest, group->batch_.requests);
    group->CountBatch(length, tokens);
  }
  counters_.fullest_group_steps += fullest;
}

void Replica::CountBatch(SimDuration length, int64_t tokens) {
  counters_.output_tokens += batch_.requests * tokens;
  counters_.decode_tokens += batch_.requests * tokens;
  counters_.request_steps += batch_.requests;
  counters_.request_ns += static_cast<__int128>(length.ns) * batch_.requests;
  counters_.active_page_steps += batch_active_pages_;
  counters_.context_token_steps += batch_.context_tokens;
  const BatchWork work = StepWork();
  counters_.flop += step_model_.StepFlop(work);
  counters_.flop_replicated += step_model_.ReplicatedStepFlop(work);
  if (fetches()) CountFetch();
}

// The group's decoding requests have `tokens` more each.
void Replica::GainTokens(int64_t tokens) {
  batch_.context_tokens += batch_.requests * tokens;
  tokens_in_use_ += batch_.requests * tokens;
  outcome_.peaks.tokens_in_use = std::max(outcome_.peaks.tokens_in_use, tokens_in_use_);
  CheckMemory();
}

// The last step gave the request more tokens than it takes: those count for nothing.
void Replica::DropSurplus(RequestState& request, int64_t tokens) {
  const int64_t surplus = Completed(request) - tokens;
  if (surplus == 0) return;
  request.base_step += surplus;
  batch_.context_tokens -= surplus;
  tokens_in_use_ -= surplus;
  counters_.output_tokens -= surplus;
  counters_.decode_tokens -= surplus;
  lockstep_.lead().counters_.seconds.tokens_open -= surplus;
}

// Ends the wait at the present boundary. Waits of several groups begin at one boundary, and the
// last to end counts, under its `cause`.
void Replica::EndWait(StallCause cause, SimTime now) {
  wait_ = Wait::kNone;
  if (AnyBlocks()) return;
  static constexpr const char* kNames[] = {"index",    "queue",     "transfer",    "join",
                                           "eviction", "admission", "interference"};
  CountStall(cause, now - wait_begin_);
  if (observer_ != nullptr) observer_->Wait(wait_begin_, now, kNames[static_cast<size_t>(cause)]);
}

void Replica::EndWarmup(SimTime now) {
  SettleAccounts();
  CountAdmissionWait(now);
  if (engine_.simulated_s() > 0) {
    half_of_requests_ = half_of_steps_ = now + SimDuration{(horizon_ - now).ns / 2};
    half_ = HalfTime();
  }
  tokens_before_ += counters_.output_tokens;
  counters_ = Counters();
  warmup_end_ = counting_from_ = now;
  if (observer_ != nullptr) observer_->WarmupEnded(now);
}

// What follows changes the number of requests after half time.
void Replica::MarkHalfOfRequests() {
  half_->arrived = outcome_.arrived;
  half_->in_system = InSystem();
  half_of_requests_ = kSimTimeNever;
}

// What follows is the first step that ends after half time.
void Replica::MarkHalfOfSteps() {
  half_->decode_tokens = counters_.decode_tokens;
  half_->decode = counters_.decode;
  half_of_steps_ = kSimTimeNever;
}

// At the end of the run, everything counted.
void Replica::FillHalves() {
  if (!half_) return;
  outcome_.halves = ReplicaOutcome::Halves();
  ReplicaOutcome::Halves& halves = *outcome_.halves;
  halves.arrived = outcome_.arrived - half_->arrived;
  halves.piled_up = InSystem() - half_->in_system;
  halves.first = {half_->decode_tokens, half_->decode};
  halves.second = {counters_.decode_tokens - half_->decode_tokens,
                   counters_.decode - half_->decode};
}

void Replica::EndCutWait(SimTime end) {
  switch (wait_) {
    case Wait::kNone:
    case Wait::kFetch:  // counts with its step
      break;
    case Wait::kJoin:
      EndWait(StallCause::kJoin, end);
      break;
    case Wait::kSync:
      EndSyncWait(end);
      break;
    case Wait::kColdRecall:
      EndWait(StallCause::kAdmission, end);
      break;
    case Wait::kSwapOut:
      EndWait(StallCause::kEviction, end);
      break;
  }
}

// The waits of a step that the run's end cuts, or that never began, count up to there; the step
// itself does not. Of groups that still wait the last one's cause counts. Of the lead, for all.
void Replica::CountCutWaits(SimTime end) {
  for (Replica* group : lockstep_.groups) group->EndCutWait(end);
  SimDuration waited;
  for (size_t cause = 0; cause < lockstep_.step_stall.size(); ++cause) {
    if (static_cast<StallCause>(cause) == StallCause::kInterference) continue;
    counters_.stall[cause] += lockstep_.step_stall[cause];
    waited += lockstep_.step_stall[cause];
  }
  if (waited == SimDuration{}) return;
  counters_.decode += waited;
  counters_.seconds.Add(counters_.decode, 0);
  lockstep_.decode += waited;
  lockstep_.boundary = lockstep_.boundary + waited;
  for (Replica* group : lockstep_.groups) {
    group->counters_.request_ns += static_cast<__int128>(waited.ns) * group->batch_.requests;
  }
}

void Replica::SettleAccounts() {
  if (!ticks()) return;
  for (RequestState& request : slots_) {
    if (request.alive) SettleAccount(request);
  }
}

// Counts the selections of all steps that the request has run.
void Replica::SettleAccount(RequestState& request) {
  request.Account(Completed(request) - 1, counters_, options_.coverage);
  if (plan_.decode_region_entries == 0) return;
  const int64_t lost = request.EntriesOverflowed(Completed(request), plan_.decode_region_entries);
  counters_.entries_lost += lost - request.entries_lost;
  request.entries_lost = lost;
}

}  // namespace tierscope

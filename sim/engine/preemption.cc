// Optimistic admission: promises grow with the requests, and the youngest is preempted when the
// next step would not fit. README.md beside this file has the order of things and why it is live.
#include <algorithm>

#include "sim/base/check.h"
#include "sim/base/units.h"
#include "sim/engine/replica.h"

namespace tierscope {

// The next token after those promised needs a page more.
void Replica::ScheduleGrowth(int32_t slot) {
  const RequestState& request = At(slot);
  const int64_t promised = request.tokens_reserved - request.context_tokens();
  if (!optimistic() || promised >= request.output_tokens()) return;
  step_queue_.Push(request.base_step + promised, kGrow, slot, request.generation);
}

void Replica::OnGrow(int32_t slot, SimTime now) {
  RequestState& request = At(slot);
  const int64_t need = request.context_tokens() + request.output_tokens();
  const int64_t tokens = std::min(need, request.tokens_reserved + plan_.page_tokens);
  Promise more;
  more.tokens = tokens - request.tokens_reserved;
  if (tiered() && !swaps()) {
    const int64_t generated = tokens - request.context_tokens();
    more.host_pages =
        plan_.HostPages(request.context_tokens(), generated) - request.host_pages_reserved;
  }
  while (Lacking(more) != Resource::kNone) {
    const int32_t victim = YoungestAdmitted();
    Preempt(victim, now);
    if (victim == slot) return;
  }
  request.tokens_reserved += more.tokens;
  request.host_pages_reserved += more.host_pages;
  tokens_reserved_ += more.tokens;
  host_pages_reserved_ += more.host_pages;
  RaisePeaks();
  ScheduleGrowth(slot);
}

// Under OPTIMISTIC the promise follows what the request is about to pin; under FULL it stands.
void Replica::PromiseBlocks(int32_t slot, int64_t blocks) {
  if (promises_blocks()) SetPromisedBlocks(slot, blocks);
}

void Replica::SetPromisedBlocks(int32_t slot, int64_t blocks) {
  RequestState& request = At(slot);
  blocks_promised_ += blocks - request.blocks_promised;
  request.blocks_promised = static_cast<int32_t>(blocks);
}

// A block for the page that `slot` opens. False: the request itself was preempted.
bool Replica::MakeRoomForPage(int32_t slot, SimTime now) {
  while (promises_blocks() && !BlocksFit(1) && admitted_ > 1) {
    const int32_t victim = YoungestAdmitted();
    Preempt(victim, now);
    if (victim == slot) return false;
  }
  return true;
}

// Blocks for the want lists of the due ticks, which the job takes once it has scored. May leave no
// tick due.
void Replica::MakeRoomForTicks(SimTime now) {
  if (!promises_blocks()) return;
  for (int32_t slot : due_) {
    const RequestState& request = At(slot);
    const int64_t window = (Completed(request) - 1) / request.demand->stride_steps;
    const int64_t more = residency_.PinnedChange(slot, request.WantList(window));
    PromiseBlocks(slot, std::max<int64_t>(0, more) + (request.cold ? 1 : 0));
  }
  while (!BlocksFit(0) && admitted_ > 1) Preempt(YoungestAdmitted(), now);
}

int32_t Replica::YoungestAdmitted() {
  int32_t youngest = -1;
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    if (!slots_[slot].alive) continue;
    if (youngest < 0 || slots_[slot].id > At(youngest).id) youngest = static_cast<int32_t>(slot);
  }
  TIERSCOPE_CHECK(youngest >= 0);
  return youngest;
}

// Takes the request out of whatever it is in. A transfer of it that has started runs to its end for
// nothing.
void Replica::DropWork(int32_t slot) {
  const auto is_slot = [slot](const SlotRef& ref) { return ref.slot == slot; };
  const auto drop = [&](ArrayQueue<SlotRef>& queue, bool first_runs) {
    if (!queue.empty()) queue.EraseIf(first_runs ? 1 : 0, is_slot);
  };
  std::erase(joining_, slot);
  std::erase(due_, slot);
  chunk_queue_.EraseIf(0, [slot](int32_t other) { return other == slot; });
  drop(ingest_queue_, bandwidth_.busy(Flow::kIngest));
  drop(swap_ins_, swapping_in_);
}

// The request gives its memory back and waits in front of all that were admitted after it. It keeps
// its tokens; its events and transfers are stale from here on.
void Replica::Preempt(int32_t slot, SimTime now) {
  TIERSCOPE_CHECK(!lockstep_.stepping);
  RequestState& request = At(slot);
  if (ticks()) SettleAccount(request);
  if (request.in_batch) Leave(slot, now);
  DropWork(slot);
  PromiseBlocks(slot, 0);
  const int64_t tokens = request.context_tokens() + request.steps_completed;
  const bool whole = request.stage == Stage::kJoining || request.stage == Stage::kDecoding ||
                     request.stage == Stage::kCold;
  bool prefill = false;
  if (whole && swaps()) {
    request.swapped = true;
    swap_outs_.push_back(plan_.SwapBytes(tokens));
    swap_bytes_in_use_ += swap_outs_.back();
    counters_.swap_out_bytes += swap_outs_.back();
  } else if (whole) {
    prefill = true;
    counters_.tokens_recomputed += tokens;
  } else if (request.stage == Stage::kPrefill) {
    counters_.tokens_recomputed += tokens - request.prefill_left;
  }
  if (tiered()) {
    residency_.Close(slot);
    request.pending_window = -1;
    if (!swaps()) {
      host_pages_in_use_ -= request.host_pages;
      host_pages_reserved_ -= request.host_pages_reserved;
      request.host_pages_reserved = 0;
    }
  }
  tokens_reserved_ -= request.tokens_reserved;
  tokens_in_use_ -= tokens;
  --admitted_;
  ++counters_.preemptions;
  request.alive = false;
  request.cold = true;
  request.first_window_steps = 0;
  request.generation += 1;
  SetStage(slot, Stage::kPreempted, now);
  Record(RequestEvent::kPreempt, now, request, request.steps_completed);
  RaisePeaks();
  if (request.swapped) StartWriteback(now);
  QueuePreempted(slot, prefill, now);
}

void Replica::QueuePreempted(int32_t slot, bool prefill, SimTime now) {
  const Waiting waiting{At(slot).arrival, now, At(slot).number, slot};
  if (prefill && engine_.prefill() == Engine::DISAGGREGATED) {
    InsertByAge(prefill_queue_, waiting, *this);
    return StartPrefills(now);
  }
  InsertByAge(waiting_, waiting, *this);
  RequestBoundary(now);
}

// Preempted requests stand in front of the new ones, in the order of their first admission.
void Replica::InsertByAge(ArrayQueue<Waiting>& queue, const Waiting& waiting, Replica& replica) {
  const auto younger = [&](const Waiting& other) {
    return other.slot < 0 || replica.At(other.slot).id > replica.At(waiting.slot).id;
  };
  const Waiting* place = std::find_if(queue.begin(), queue.end(), younger);
  queue.Insert(static_cast<size_t>(place - queue.begin()), waiting);
}

// The host-to-device link does one thing at a time; a recall that waits goes first. Nothing comes
// back before all that leaves has left.
void Replica::StartSwapIns(SimTime now) {
  if (swap_ins_.empty() || !swap_outs_.empty() || bandwidth_.busy(Flow::kRecall)) return;
  const RequestState& request = At(swap_ins_.front().slot);
  const int64_t bytes = request.swapped
                            ? plan_.SwapBytes(request.context_tokens() + request.steps_completed)
                            : PrefixLoadBytes(request);
  swapping_in_ = true;
  swap_in_begin_ = now;
  (request.swapped ? counters_.swap_in_bytes : counters_.prefix_load_bytes) += bytes;
  StartFlow(Flow::kRecall, now, std::max<int64_t>(1, bytes), swap_in_cap_bytes_per_s_);
}

void Replica::OnSwapInDone(SimTime now) {
  const SlotRef ref = swap_ins_.front();
  swap_ins_.pop_front();
  swapping_in_ = false;
  counters_.link_busy += now - std::max(counting_from_, swap_in_begin_);
  if (Current(ref) && At(ref.slot).stage == Stage::kLoad) {
    StartOwnKv(ref.slot, now);
    RequestBoundary(now);
  } else if (Current(ref)) {
    RequestState& request = At(ref.slot);
    request.swapped = false;
    swap_bytes_in_use_ -= plan_.SwapBytes(request.context_tokens() + request.steps_completed);
    SetStage(ref.slot, Stage::kJoining, now);
    joining_.push_back(ref.slot);
    RequestBoundary(now);
  }
  if (recall_waits_) return StartRecall(now);
  StartSwapIns(now);
}

// HBM that a swap-out frees is taken by the step that needed it, which waits for the copy.
void Replica::OnSwapOutDone(SimTime now) {
  swap_outs_.pop_front();
  swapping_out_ = false;
  StartWriteback(now);
  StartSwapIns(now);
  if (!swap_outs_.empty() || wait_ != Wait::kSwapOut) return;
  EndWait(StallCause::kEviction, now);
  RequestBoundary(now);
}

}  // namespace tierscope

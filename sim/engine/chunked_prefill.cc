// Prefill COLOCATED_CHUNKED: the replica prefills, a chunk in each of its steps.
//
// A step has a budget of prefill_chunk_tokens. Each decoding request takes one token of it, the
// admitted requests whose prompt is not done share the rest, first come, first served. A chunk of n
// tokens lengthens its step by n / prefill_tokens_per_s; a step in which nobody decodes takes that
// and nothing else, so that a replica that only prefills does so at its rate. Simplified: the rate
// does not fall with the context, and a chunk does not share the weights' read with the decode.
#include <algorithm>

#include "sim/base/units.h"
#include "sim/engine/replica.h"

namespace tierscope {

// An admitted request stands in line for chunks. Until the last of them nobody need get a token.
void Replica::QueueChunks(int32_t slot) {
  RequestState& request = At(slot);
  request.prefill_left =
      request.context_tokens() + request.steps_completed - PrefixTokens(request.prefix);
  chunk_queue_.push_back(slot);
  lockstep_.LongestActivity(DurationFromSeconds(static_cast<double>(request.prefill_left) /
                                                engine_.prefill_tokens_per_s()));
}

// The chunk of the step that starts now: its tokens in chunk_tokens_, and by how much it lengthens
// the step.
SimDuration Replica::TakeChunk() {
  chunk_tokens_ = 0;
  int64_t budget = std::max<int64_t>(0, engine_.prefill_chunk_tokens() - batch_.requests);
  for (size_t i = 0; i < chunk_queue_.size() && budget > 0; ++i) {
    const int64_t taken = std::min(budget, At(chunk_queue_[i]).prefill_left);
    chunk_tokens_ += taken;
    budget -= taken;
  }
  return DurationFromSeconds(static_cast<double>(chunk_tokens_) / engine_.prefill_tokens_per_s());
}

// The chunk has run: its KV is there (in the cold pool under a tiered policy, once written back),
// and whoever had its last tokens in it has a token.
void Replica::FinishChunk(SimTime now) {
  int64_t left = chunk_tokens_;
  chunk_tokens_ = 0;
  int64_t pages = 0;
  while (left > 0) {
    const int32_t slot = chunk_queue_.front();
    RequestState& request = At(slot);
    const int64_t whole = request.context_tokens() + request.steps_completed;
    const int64_t taken = std::min(left, request.prefill_left);
    const int64_t done = whole - request.prefill_left;
    request.prefill_left -= taken;
    left -= taken;
    pages += CeilDiv(done + taken, plan_.page_tokens) - CeilDiv(done, plan_.page_tokens);
    if (request.prefill_left > 0) break;
    chunk_queue_.pop_front();
    OnPrefilled(slot, now);
  }
  if (!tiered() || pages == 0) return;
  writeback_bytes_ += pages * plan_.recall_page_bytes;
  StartWriteback(now);
}

// The step that ran a request's last chunk gave it the token after its prompt, or after what it had
// generated when it was preempted.
void Replica::OnPrefilled(int32_t slot, SimTime now) {
  RequestState& request = At(slot);
  KeepPrompt(slot, now);
  request.steps_completed += 1;
  counters_.output_tokens += 1;
  lockstep_.lead().counters_.seconds.tokens_open += 1;
  tokens_in_use_ += 1;
  if (request.steps_completed == 1) request.first_token = now;
  if (request.steps_completed == request.output_tokens()) return Finish(slot, now);
  SetStage(slot, Stage::kJoining, now);
  joining_.push_back(slot);
}

}  // namespace tierscope

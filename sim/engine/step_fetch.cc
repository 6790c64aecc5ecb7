// Policies that fetch entries: what a step's layers select and the hot buffers lack comes over the
// link before the layers' attention. One transfer a step stands for those of its layers, in front
// of the compute; in layers that overlap (Policy.fetch_overlap) compute of the step is taken off
// again.
#include <algorithm>

#include "sim/demand/hot_buffers.h"
#include "sim/engine/replica.h"
#include "sim/policy/hot_buffer.h"

namespace tierscope {

// Starts the transfer of what the step that begins now lacks. False: there is none to wait for.
bool Replica::FetchMisses(SimTime now) {
  if (!fetches() || batch_.requests == 0) return false;
  for (const RequestState& request : slots_) {
    if (!request.alive || !request.in_batch) continue;
    const HotBuffers::Fetch fetch =
        demand_->hot_buffers->At(static_cast<size_t>(request.start.profile.value),
                                 request.start.position, Completed(request));
    fetch_.selections += fetch.selections;
    fetch_.misses += fetch.misses;
  }
  if (fetch_.misses == 0) return false;
  const RecallWork work = recall_model_.OfEntries(fetch_.misses);
  fetch_.alone = work.Alone(dram_bytes_per_s_);
  BeginWait(Wait::kFetch, now);
  StartFlow(Flow::kRecall, now, work.bytes, work.link_bytes_per_s_max);
  return true;
}

// The last byte is in HBM: the step goes on.
void Replica::OnFetched(SimTime now) {
  fetch_.waited = now - wait_begin_;
  counters_.link_busy += now - std::max(counting_from_, wait_begin_);
  if (observer_ != nullptr) observer_->Wait(wait_begin_, now, "transfer");
  wait_ = Wait::kNone;
  if (const std::optional<SimTime> end = RunStep(now)) StartStep(*end);
}

// What fetching adds to a step whose compute takes `compute`, behind what it has waited for: the
// time in the layers beside the bytes, less what overlaps. The rest is stall.
SimDuration Replica::FetchBeside(SimDuration compute) {
  if (!fetches() || batch_.requests == 0) return {};
  const SimDuration fetch = fetch_.waited + fetch_layers_;
  const SimDuration hidden{HiddenNs(fetch.ns, compute.ns, policy_.fetch_overlap())};
  const SimDuration exposed = fetch - hidden;
  fetch_.queue = std::min(exposed, fetch_.waited - fetch_.alone);
  fetch_.transfer = exposed - fetch_.queue;
  gather_pending_ += hidden;
  return fetch_layers_ - hidden;
}

void Replica::CountFetch() {
  counters_.stall[static_cast<size_t>(StallCause::kQueue)] += fetch_.queue;
  counters_.stall[static_cast<size_t>(StallCause::kTransfer)] += fetch_.transfer;
  counters_.entries_selected += fetch_.selections;
  counters_.entries_fetched += fetch_.misses;
  if (fetch_.misses > 0) counters_.fetch_bytes += recall_model_.OfEntries(fetch_.misses).bytes;
  fetch_ = StepFetch();
}

}  // namespace tierscope

// What requests wait for when a run cannot go on, and the invariants that every run is held to at
// its end.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "sim/base/check.h"
#include "sim/base/units.h"
#include "sim/engine/replica.h"

namespace tierscope {
namespace {

std::string Seconds(SimTime t) { return absl::StrFormat("%.6f s", ToSeconds(t)); }

}  // namespace

void Replica::Push(int64_t key, Phase phase, int32_t subject, int32_t stamp) {
  ++lockstep_.work_pending;
  queue_.Push(key, phase, subject, stamp, index_);
}

std::string Replica::WaitsFor(const Waiting& waiting) const {
  const Promise promise = PromiseFor(waiting);
  switch (Lacking(waiting)) {
    case Resource::kNone:
      return "the next step boundary";
    case Resource::kSlots:
      return absl::StrCat("a slot: ", admitted_, " requests are admitted, of at most ",
                          max_concurrency_ > 0 ? max_concurrency_ : plan_.request_slots);
    case Resource::kHbm:
      return absl::StrCat("HBM tokens: needs ", promise.tokens, ", ",
                          plan_.tokens_max - tokens_reserved_, " of ", plan_.tokens_max,
                          " are free");
    case Resource::kHost:
      return absl::StrCat("host DRAM: needs ", promise.host_pages, " pages of the cold pool and ",
                          promise.swap_bytes, " bytes of swap, ", host_pages_reserved_, " of ",
                          plan_.host_pages_max, " pages and ", swap_bytes_reserved_,
                          " bytes are promised");
    case Resource::kReserve:
      return absl::StrCat("reserve blocks: needs ", promise.blocks, " of ", plan_.reserve_blocks,
                          ", of which ", residency_.pinned_count(), " are pinned and ",
                          blocks_promised_, " promised");
  }
  return "";
}

std::string Replica::WaitsFor(const RequestState& request) const {
  switch (request.stage) {
    case Stage::kIngest:
      return "its KV from the network (flow ingest)";
    case Stage::kPrefill:
      return absl::StrCat("its prefill, ", request.prefill_left, " tokens left");
    case Stage::kSwapIn:
      return "its KV from the host (flow recall)";
    case Stage::kLoad:
      return "its reused prefix from the host (flow recall)";
    case Stage::kJoining:
      return "the next step boundary";
    case Stage::kCold:
      return absl::StrCat("level-1 job ", job_.number, ", ",
                          !job_.in_flight                  ? "not launched"
                          : bandwidth_.busy(Flow::kRecall) ? "its recall is on the link"
                                                           : "which scores");
    case Stage::kDecoding:
      break;
    case Stage::kPreempted:
      return "its turn";
  }
  switch (wait_) {
    case Wait::kJoin:
      return absl::StrCat("level-1 job ", job_.number, ", which its batch joins");
    case Wait::kSync:
      return absl::StrCat("level-1 job ", job_.number, ", which its batch waits for");
    case Wait::kSwapOut:
      return "a swap-out (flow writeback)";
    case Wait::kFetch:
      return "the entries that its batch step fetches (flow recall)";
    case Wait::kNone:
    case Wait::kColdRecall:
      break;
  }
  return lockstep_.stepping ? "the end of its batch step" : "the next step boundary";
}

int64_t Replica::ReportWaits(size_t lines_max, std::vector<std::string>* lines) const {
  int64_t count = 0;
  const auto add = [&](int64_t number, SimTime since, const std::string& resource) {
    ++count;
    if (lines->size() >= lines_max) return;
    const std::string where = plan_.groups > 1 ? absl::StrCat("group ", index_, ": ") : "";
    lines->push_back(absl::StrCat("  ", where, "request ", number, " since ", Seconds(since),
                                  " for ", resource));
  };
  for (const RequestState& request : slots_) {
    if (request.alive) add(request.number, request.stage_since, WaitsFor(request));
  }
  for (const Waiting& waiting : waiting_) add(waiting.number, waiting.ready, WaitsFor(waiting));
  for (const std::optional<Waiting>& waiting : prefilling_) {
    if (waiting) add(waiting->number, waiting->ready, "its prefill to end");
  }
  for (const TierLink& link : tier_links_) {
    for (const Fetch& fetch : link.queue) {
      add(fetch.waiting.number, fetch.waiting.ready, "its prefix from a lower tier");
    }
  }
  for (const Waiting& waiting : prefill_queue_) {
    add(waiting.number, waiting.ready, "a prefill instance");
  }
  return count;
}

Activity Replica::ActivityOf(const Event& event) {
  switch (static_cast<Phase>(event.phase())) {
    case kPrefillDone:
      return {"the end of a prefill", "engine.prefill_tokens_per_s"};
    case kFetchReady:
      return {"the answer of a lower tier", "node.nvme_latency_us, node.remote_latency_us"};
    case kLevel1Scored:
      return {"the end of a level-1 job's scoring",
              "the rates of hardware, the efficiencies of hardware.step_model, "
              "policy.level1_fixed_ms"};
    case kPublished:
      return {"a publish", "hardware.hbm_bytes_per_s, policy.publish_fixed_ms"};
    case kArrival:
    case kStepEnd:
    case kBoundary:
      return {"the end of a batch step",
              "the rates of hardware, the efficiencies of hardware.step_model, "
              "engine.prefill_tokens_per_s"};
    case kFlowDone:
      break;
  }
  switch (static_cast<Flow>(event.subject)) {
    case Flow::kRecall:
      return {"the end of a transfer from the host (recall, fetch or swap-in)",
              "the rates of hardware.host_link, node.switch_bytes_per_s, "
              "node.dram_bytes_per_s_per_socket, node.host_gather_bytes_per_s"};
    case Flow::kWriteback:
      return {"the end of a transfer to the host (writeback or swap-out)",
              "hardware.host_link.device_to_host_bytes_per_s, node.switch_bytes_per_s, "
              "node.dram_bytes_per_s_per_socket"};
    case Flow::kIngest:
      return {"the arrival of a request's KV over the network",
              "node.network_bytes_per_s_per_gpu, node.dram_bytes_per_s_per_socket"};
    case Flow::kNvme:
      return {"the end of a fetch from NVMe",
              "node.nvme_read_bytes_per_s, node.dram_bytes_per_s_per_socket"};
    case Flow::kRemote:
      return {"the end of a fetch from the remote pool",
              "node.remote_read_bytes_per_s, node.dram_bytes_per_s_per_socket"};
  }
  return {"an event", "the rates of hardware and node"};
}

Replica::Census Replica::TakeCensus(SimTime end) const {
  Census census;
  const auto add = [&](SimTime arrival, int64_t tokens) {
    census.requests += 1;
    census.age_ns += (end - arrival).ns;
    census.tokens += tokens;
  };
  const auto add_waiting = [&](const Waiting& waiting) {
    add(waiting.arrival.time, waiting.slot < 0 ? 0 : At(waiting.slot).steps_completed);
    census.prefix_blocks += waiting.prefix.blocks;
  };
  for (const Waiting& waiting : waiting_) add_waiting(waiting);
  for (const Waiting& waiting : prefill_queue_) add_waiting(waiting);
  for (const TierLink& link : tier_links_) {
    for (const Fetch& fetch : link.queue) add_waiting(fetch.waiting);
  }
  for (const std::optional<Waiting>& waiting : prefilling_) {
    if (waiting) add_waiting(*waiting);
  }
  for (const RequestState& request : slots_) {
    if (!request.alive) continue;
    add(request.arrival.time, Completed(request));
    census.prefix_blocks += request.prefix_blocks;
    if (!request.in_batch) continue;
    census.in_batch += 1;
    census.in_batch_ns += (end - request.joined).ns;
  }
  return census;
}

void Replica::CheckMemory() {
  conservation_.Hbm(hbm_fixed_bytes_ + plan_.PromisedBytes(admitted_, tokens_in_use_),
                    hbm_fixed_bytes_ + plan_.PromisedBytes(admitted_, tokens_reserved_),
                    plan_.hbm_usable_bytes);
}

void Replica::CheckHostMemory() {
  conservation_.Host(
      host_pages_in_use_ * plan_.host_page_bytes_node + swap_bytes_in_use_ * plan_.ranks,
      host_pages_reserved_ * plan_.host_page_bytes_node + swap_bytes_reserved_ * plan_.ranks,
      host_usable_bytes_);
}

void Replica::CheckInvariants(SimTime end) {
  const Census census = TakeCensus(end);
  RunEnd run;
  run.end = end;
  run.arrived = outcome_.arrived;
  run.finished = outcome_.finished;
  run.rejected = outcome_.rejected;
  run.unfinished = census.requests;
  run.unfinished_ns = census.age_ns;
  run.unfinished_tokens = census.tokens;
  run.in_batch = census.in_batch;
  run.in_batch_ns = census.in_batch_ns;
  run.tokens_counted = tokens_before_ + counters_.output_tokens;
  run.decode = lockstep_.decode;
  run.idle = lockstep_.idle_total;
  run.tail = end - (lockstep_.idle ? lockstep_.idle_since : lockstep_.boundary);
  run.blocks_leaked = residency_.held_count() - residency_.CountOwned();
  run.blocks_in_use_peak = residency_.held_count_peak();
  run.blocks = plan_.reserve_blocks;
  run.blocks_recalled =
      residency_.blocks_recalled() - (job_.in_flight && !job_.landed ? job_.pages : 0);
  run.page_bytes = plan_.recall_page_bytes;
  run.fetch_bytes = counters_.fetch_bytes;
  run.entries_fetched = counters_.entries_fetched;
  run.entry_bytes = entry_bytes_;
  run.prefix_pins = prefix_ ? prefix_->pins() : 0;
  run.prefix_pins_known = census.prefix_blocks;
  outcome_.violations = conservation_.Check(run);
}

}  // namespace tierscope

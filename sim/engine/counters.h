// What the engine counts while it runs. Everything but the peaks restarts when the warm-up ends.
#ifndef TIERSCOPE_SIM_ENGINE_COUNTERS_H_
#define TIERSCOPE_SIM_ENGINE_COUNTERS_H_

#include <array>
#include <cstdint>

#include "sim/base/stats.h"
#include "sim/base/time.h"
#include "sim/base/units.h"
#include "sim/demand/demand.h"

namespace tierscope {

enum class StallCause : uint8_t {
  kIndex,
  kQueue,
  kTransfer,
  kJoin,
  kEviction,
  kAdmission,
  kInterference,
};
inline constexpr int kStallCauseCount = 7;

// What admission can lack.
enum class Resource : uint8_t { kNone, kSlots, kHbm, kHost, kReserve };
inline constexpr int kResourceCount = 5;

// Output tokens of each second of decode time. A step's tokens belong to the second in which it
// ends, (k, k + 1] s; one longer than a second leaves seconds without tokens.
struct DecodeSeconds {
  static constexpr int64_t kSecondNs = 1'000'000'000;
  LogHistogram tokens;  // of seconds that are over
  int64_t tokens_open = 0;
  int64_t end_ns = kSecondNs;  // of the open one
  bool whole = false;          // that is over too

  // A step with `step_tokens` brings decode time to `decode`.
  void Add(SimDuration decode, int64_t step_tokens) {
    if (decode.ns > end_ns) Close(decode.ns);
    tokens_open += step_tokens;
    whole = decode.ns == end_ns;
  }
  void Close(int64_t decode_ns) {
    const int64_t seconds = CeilDiv(decode_ns - end_ns, kSecondNs);
    tokens.Add(tokens_open);
    if (seconds > 1) tokens.Add(0, seconds - 1);
    tokens_open = 0;
    end_ns += seconds * kSecondNs;
  }
  // Adds the whole seconds of another replica, whose decode time is its own; there is no open one
  // then.
  void Merge(const DecodeSeconds& other) {
    tokens.Merge(other.tokens);
    if (other.whole) tokens.Add(other.tokens_open);
    whole = false;
  }
};

struct Counters {
  // Batch steps in which somebody decodes.
  int64_t steps = 0;
  int64_t output_tokens = 0;        // those of chunks included
  int64_t decode_tokens = 0;        // of these steps alone
  int64_t request_steps = 0;        // requests of each step: fewer than its tokens with mtp
  int64_t fullest_group_steps = 0;  // of those the requests of the fullest dp_attention group
  SimDuration decode;               // waits and steps; not idle time
  SimDuration prefill_only;         // the other steps, with the waits before them
  __int128 request_ns = 0;          // batch size integrated over decode
  LogHistogram step_ns;             // wait before the step and the step itself
  SimDuration step_longest;
  int64_t steps_extrapolated = 0;  // a measured op was asked for outside its grid
  int64_t jobs_extrapolated = 0;   // the same of level-1 jobs
  DecodeSeconds seconds;
  std::array<SimDuration, kStallCauseCount> stall;
  // Time in which the first request in line lacked each resource; [kNone]: none, or none waited.
  std::array<SimDuration, kResourceCount> admission_wait;
  // KV in HBM, summed over steps and the requests of each.
  int64_t active_page_steps = 0;
  int64_t context_token_steps = 0;
  // Attention, in units of 1 / stride of a selection (demand.h), which keeps them whole.
  SelectionCount selections;
  SelectionCount inactive;
  SelectionCount evicted;
  // Recall.
  int64_t pages_wanted = 0;
  int64_t pages_recalled = 0;
  int64_t pages_evicted = 0;
  int64_t pages_written_back = 0;
  int64_t entries_lost = 0;  // formed while their request's decode region was full
  int64_t recall_bytes = 0;
  // Hot buffers of entries, over all layers.
  int64_t entries_selected = 0;
  int64_t entries_fetched = 0;
  int64_t fetch_bytes = 0;
  SimDuration sideband_busy;
  SimDuration link_busy;
  // Preemption.
  int64_t preemptions = 0;
  int64_t tokens_recomputed = 0;
  int64_t swap_out_bytes = 0;
  int64_t swap_in_bytes = 0;
  // Prefix reuse, of requests whose prefill began.
  int64_t prefix_prompt_tokens = 0;
  int64_t prefix_tokens_reused = 0;
  int64_t prefix_blocks_matched = 0;  // trace blocks, before whole pages are taken
  int64_t prefix_load_bytes = 0;
  int64_t prefix_nvme_bytes = 0;  // fetched, one copy
  int64_t prefix_remote_bytes = 0;
  SampleSet prefix_fetch_ns;  // arrival to there, of requests that waited for a fetch
  // Work.
  double flop = 0.0;
  double flop_replicated = 0.0;  // the part that every rank repeats
  // Requests that finished.
  int64_t completed = 0;
  int64_t slo_met = 0;
  SampleSet ttft_ns, tpot_ns, queue_ns, latency_ns;

  SimDuration& StallOf(StallCause cause) { return stall[static_cast<size_t>(cause)]; }
};

// Over the whole run, warm-up included.
struct Peaks {
  int64_t tokens_reserved = 0;  // prompt and output of admitted requests
  int64_t tokens_in_use = 0;
  int64_t host_pages_reserved = 0;
  int64_t host_pages_in_use = 0;
  int64_t blocks_in_use = 0;
  int64_t swap_bytes_reserved = 0;
  int64_t swap_bytes_in_use = 0;
  int64_t prefix_blocks = 0;  // in the prefix store: host
  int64_t nvme_blocks = 0;
  int64_t remote_blocks = 0;
  int32_t requests_admitted = 0;
  int32_t requests_decoding = 0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_COUNTERS_H_

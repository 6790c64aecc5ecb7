#include "reports/schema/metrics.h"

#include <cmath>
#include <cstddef>
#include <optional>

#include "absl/strings/str_cat.h"

#include "sim/base/check.h"

namespace tierscope {
namespace {

constexpr MetricDef kDefinitions[] = {
    // Load
    {"simulated_s", "s", "replica", "Time from the start of the run to its end, warm-up included."},
    {"warmup_s", "s", "replica",
     "Time from the start of the run to the end of its warm-up (engine.warmup_windows * tau_steps "
     "batch steps), which the metrics over steps, ticks and requests leave out."},
    {"decode_s", "s", "replica",
     "Sum of the durations of the counted batch steps, stall included; time in which no request "
     "decodes is not in it."},
    {"steps", "steps", "replica", "Counted batch steps, those that end after the warm-up."},
    {"output_tokens", "tokens", "replica",
     "Tokens produced in the counted steps, summed over requests."},
    {"requests_completed", "requests", "replica",
     "Requests that ended after the warm-up: their last token was produced in a counted step, or "
     "they asked for no output."},
    {"requests_unfinished", "requests", "replica",
     "Requests that have arrived and are not done when the run ends."},
    {"requests_rejected", "requests", "replica",
     "Requests that arrived and would not fit an empty replica."},
    {"concurrency_mean", "requests", "replica",
     "Requests decoding, weighted by time: sum of (batch size * step duration) / decode_s."},
    // Speed
    {"throughput_tok_per_s", "tok/s", "replica", "output_tokens / decode_s."},
    {"throughput_tok_per_s_1s_min", "tok/s", "replica",
     "Fewest output tokens in one second of decode time: counted decode time is cut into whole "
     "seconds from the end of the warm-up, idle time left out, and a step's tokens belong to "
     "the second in which it ends; above 2,048 the lower edge of a bin of relative resolution "
     "1/1024."},
    {"throughput_tok_per_s_1s_p1", "tok/s", "replica",
     "Nearest-rank first percentile over the seconds of throughput_tok_per_s_1s_min."},
    {"throughput_tok_per_s_1s_max", "tok/s", "replica",
     "Most output tokens in one of the seconds of throughput_tok_per_s_1s_min."},
    {"throughput_tok_per_s_per_gpu", "tok/s", "replica",
     "throughput_tok_per_s / GPUs of the replica."},
    {"goodput_req_per_s", "req/s", "replica",
     "Requests of requests_completed whose TTFT and TPOT both meet the SLO / (simulated_s - "
     "warmup_s)."},
    {"step_ms_mean", "ms", "replica", "decode_s / steps."},
    {"step_ms_p50", "ms", "replica",
     "Nearest-rank median of the counted steps' durations, stall included, from a histogram of "
     "relative resolution 1/1024."},
    {"step_ms_p99", "ms", "replica",
     "Nearest-rank 99th percentile of the counted steps' durations, stall included, from a "
     "histogram of relative resolution 1/1024."},
    {"step_ms_max", "ms", "replica", "Longest counted step, stall included, exact."},
    {"tpot_ms_mean", "ms", "request",
     "Mean over completed requests with at least two tokens of (end of last token - end of first "
     "token) / (tokens - 1)."},
    {"tpot_ms_p50", "ms", "request",
     "Nearest-rank median over completed requests of the quotient in tpot_ms_mean."},
    {"tpot_ms_p90", "ms", "request",
     "Nearest-rank 90th percentile over completed requests of the quotient in tpot_ms_mean."},
    {"tpot_ms_p99", "ms", "request",
     "Nearest-rank 99th percentile over completed requests of the quotient in tpot_ms_mean."},
    {"ttft_ms_p50", "ms", "request",
     "Nearest-rank median over completed requests of (end of the request's step 0, or of the "
     "step with its last chunk under COLOCATED_CHUNKED - arrival); absent without prefill."},
    {"ttft_ms_p99", "ms", "request",
     "Nearest-rank 99th percentile over completed requests of (end of the request's step 0, or of "
     "the step with its last chunk under COLOCATED_CHUNKED - arrival); absent without prefill."},
    {"queue_ms_p50", "ms", "request",
     "Nearest-rank median over completed requests of (admission to decode - ready to decode), "
     "summed over its admissions when it was preempted."},
    {"queue_ms_p99", "ms", "request",
     "Nearest-rank 99th percentile over completed requests of (admission to decode - ready to "
     "decode), summed over its admissions when it was preempted."},
    {"request_latency_ms_p50", "ms", "request",
     "Nearest-rank median over completed requests of (end of last token - arrival)."},
    {"request_latency_ms_p99", "ms", "request",
     "Nearest-rank 99th percentile over completed requests of (end of last token - arrival)."},
    {"admission_wait_fraction.slots", "fraction", "replica",
     "Share of the time after the warm-up in which the first request in line could not be admitted "
     "because as many were as may be at once."},
    {"admission_wait_fraction.hbm", "fraction", "replica",
     "The same because HBM could not be promised."},
    {"admission_wait_fraction.host", "fraction", "replica",
     "The same because host DRAM could not be promised."},
    {"admission_wait_fraction.reserve", "fraction", "replica",
     "The same because blocks of the page reserve could not be promised."},
    {"backlog_growth", "fraction", "replica",
     "(Requests in the system at the end - at the end of the warm-up) / requests that arrived in "
     "between: 0 where the replica keeps up, 1 where nothing is finished."},
    // Footprint
    {"hbm_total_gib_peak", "GiB", "rank",
     "Peak over the run of the HBM that is allocated on one rank, all pools."},
    {"hbm_total_gib_peak_in_use", "GiB", "rank",
     "HBM that holds live data on one rank: the sum of the peaks of all pools."},
    {"hbm_kv_gib_peak", "GiB", "rank",
     "Peak over the run of the HBM that is allocated for the KV history on one rank: the page "
     "reserve as a whole, index keys, HCA entries; under full, all CSA and HCA entries and index "
     "keys."},
    {"hbm_kv_gib_peak_in_use", "GiB", "rank",
     "Peak over the run of the part of hbm_kv_gib_peak that holds live data."},
    {"hbm_kv_gib_per_request", "GiB", "rank",
     "KV history of one request in HBM, live data: sum over counted steps and decoding requests of "
     "(active CSA pages + index keys + HCA entries) / sum over counted steps of decoding "
     "requests."},
    {"hbm_kv_paper_gib_per_request", "GiB", "rank",
     "The same mean of (active CSA pages + HCA entries), without index keys: the paper's "
     "accounting; under full, the whole KV history with its index keys."},
    {"host_gib_peak", "GiB", "node",
     "Peak over the run of the host DRAM that is allocated to the cold pool, swap space and prefix "
     "store, sum over all ranks."},
    {"host_gib_peak_in_use", "GiB", "node",
     "Peak over the run of the part of host_gib_peak that holds live data."},
    // Attention
    {"selections", "selections", "replica",
     "Selections (step, layer, entry) by the native indexer with the full history, over the "
     "counted steps of all requests, each but its step 0; a record for all layers counts by its "
     "votes. Traces are counted by page over a stride of steps, and a step has an even share of "
     "it; counts of selections are rounded to a whole at the end."},
    {"miss_inactive", "selections", "replica",
     "Selections whose page was not in the active set; under flashmemory also those whose entry "
     "formed after the set was chosen or found the decode region full."},
    {"miss_evicted", "selections", "replica",
     "Selections whose page was active but no longer held."},
    {"coverage", "fraction", "replica", "1 - (miss_inactive + miss_evicted) / selections."},
    {"coverage_prompt", "fraction", "replica",
     "1 - misses / selections, both counted over entries of the prompt only, without the decode "
     "region."},
    // Recall
    {"recall_miss_rate", "fraction", "rank",
     "Wanted pages not held when wanted / wanted pages, over the counted ticks."},
    {"recall_gib", "GiB", "rank",
     "Bytes recalled from the cold pool to the reserve: pages_recalled * payload bytes of a page."},
    {"recall_gib_node", "GiB", "node", "recall_gib summed over all ranks."},
    {"recall_gib_per_s", "GiB/s", "rank", "recall_gib / (simulated_s - warmup_s)."},
    {"recall_gib_per_s_node", "GiB/s", "node", "recall_gib_node / (simulated_s - warmup_s)."},
    {"pages_recalled", "pages", "rank", "Pages copied from the cold pool to the reserve."},
    {"pages_recalled_node", "pages", "node", "pages_recalled summed over all ranks."},
    {"pages_evicted", "pages", "rank",
     "Pages whose reserve block was taken for another page; pages freed with their request are not "
     "counted."},
    {"pages_evicted_node", "pages", "node", "pages_evicted summed over all ranks."},
    {"pages_written_back", "pages", "rank",
     "Pages sealed during decode and copied from the reserve to the cold pool."},
    {"pages_written_back_node", "pages", "node", "pages_written_back summed over all ranks."},
    {"entries_lost", "entries", "replica",
     "Entries that formed in counted steps while the decode region of their request was full and "
     "so were lost; 0 but under flashmemory."},
    {"link_utilisation", "fraction", "link",
     "Time in which recall occupies the busiest host link / (simulated_s - warmup_s)."},
    {"sideband_utilisation", "fraction", "replica",
     "Time in which a level-1 job is in flight (scoring to publish) / (simulated_s - warmup_s)."},
    // Stall
    {"stall_ms_total", "ms", "replica",
     "Stall of the decode stream, counted once per batch step and summed over the counted steps: "
     "the sum of the stall_ms_by_cause metrics that have a value."},
    {"stall_ms_per_token", "ms", "replica",
     "stall_ms_total / steps: what one token of a request waits, as each request makes one token a "
     "step."},
    {"stall_fraction", "fraction", "replica", "stall_ms_total / decode_s."},
    {"stall_ms_by_cause.index", "ms", "replica",
     "Part of stall_ms_total in which decode waited for level-1 scoring and selection."},
    {"stall_ms_by_cause.queue", "ms", "replica",
     "Part of stall_ms_total in which decode waited for a level-1 job or a copy that had not "
     "started because an earlier one was in flight."},
    {"stall_ms_by_cause.transfer", "ms", "replica",
     "Part of stall_ms_total in which decode waited for pages on the host link."},
    {"stall_ms_by_cause.join", "ms", "replica",
     "Part of stall_ms_total in which a due step waited for the previous level-1 job to be "
     "published."},
    {"stall_ms_by_cause.eviction", "ms", "replica",
     "Part of stall_ms_total in which decode waited for memory to be freed: for the swap-out of a "
     "preempted request."},
    {"stall_ms_by_cause.admission", "ms", "replica",
     "Part of stall_ms_total in which decode waited for a new request's first tick and cold "
     "recall."},
    {"stall_ms_by_cause.interference", "ms", "replica",
     "Part of stall_ms_total by which steps were longer than the same steps without level-1 work, "
     "recall and contention for the host beside them."},
    // Preemption
    {"preemptions", "preemptions", "replica",
     "Times that a request was put out of memory before its end because the next step would not "
     "have fit; 0 under engine.admit FULL."},
    {"tokens_recomputed", "tokens", "replica",
     "Prompt and generated tokens whose KV preemptions dropped, and which are prefilled again."},
    {"swap_out_gib", "GiB", "rank",
     "Bytes of preempted requests that only HBM held and that were copied to the host."},
    {"swap_in_gib", "GiB", "rank",
     "Bytes of preempted requests that were copied back from the host."},
    // Prefix reuse
    {"prefix_hit_rate", "fraction", "replica",
     "Prompt tokens that a request reused of the prefix store / prompt tokens, over requests "
     "whose prefill began after the warm-up; absent without engine.prefix_store."},
    {"prefix_tokens_reused", "tokens", "replica",
     "Prompt tokens that were not prefilled because the prefix store had them: whole pages "
     "covered by matching leading blocks, never a prompt's last token."},
    {"prefix_blocks_matched", "blocks", "replica",
     "Leading blocks of prompts that the prefix store had, in the request trace's own blocks "
     "and before whole pages are taken."},
    {"prefix_load_gib", "GiB", "rank",
     "Bytes of reused prefixes copied from the host into HBM: all KV under policy FULL, else "
     "index keys and HCA entries."},
    {"prefix_store_gib_peak", "GiB", "node",
     "Blocks in the prefix store at its fullest, over all ranks; what is allocated for it is "
     "in host_gib_peak."},
    {"prefix_fetch_gib.nvme", "GiB", "node",
     "Bytes of matched blocks read from NVMe into the host, one copy for all ranks; absent "
     "without engine.prefix_store.nvme_bytes."},
    {"prefix_fetch_gib.remote", "GiB", "node",
     "The same from the remote pool; absent without engine.prefix_store.remote_bytes."},
    {"prefix_fetch_ms_mean", "ms", "request",
     "Mean time from arrival until the matched blocks of lower tiers are in the host, over "
     "requests that waited for some."},
    {"prefix_nvme_gib_peak", "GiB", "node", "Blocks on NVMe at its fullest, one copy."},
    {"prefix_remote_gib_peak", "GiB", "node",
     "Blocks of this replica in the remote pool at its fullest, one copy."},
    // Work
    {"gflop_per_token", "GFLOP/token", "replica",
     "Floating-point operations of the counted steps and ticks, each counted once however many "
     "ranks repeat it / output_tokens."},
    {"gflop_per_token_tp_replicated", "GFLOP/token", "replica",
     "Floating-point operations that all tensor-parallel ranks together execute, replicated "
     "attention and scoring counted on every rank / output_tokens."},
};

[[noreturn]] void Fail(absl::string_view what, absl::string_view name) {
  const std::string message = absl::StrCat("metric '", name, "': ", what);
  internal::CheckFailed(__FILE__, __LINE__, message.c_str());
}

std::optional<size_t> PositionOf(absl::string_view name) {
  for (size_t i = 0; i < std::size(kDefinitions); ++i) {
    if (kDefinitions[i].name == name) return i;
  }
  return std::nullopt;
}

size_t KnownPositionOf(absl::string_view name) {
  const std::optional<size_t> position = PositionOf(name);
  if (!position) Fail("not in MetricDefinitions()", name);
  return *position;
}

}  // namespace

std::span<const MetricDef> MetricDefinitions() { return kDefinitions; }

const MetricDef* FindMetricDefinition(absl::string_view name) {
  const std::optional<size_t> position = PositionOf(name);
  return position ? &kDefinitions[*position] : nullptr;
}

const Metric* FindMetric(const RunResult& result, absl::string_view name) {
  for (const Metric& metric : result.metrics()) {
    if (metric.name() == name) return &metric;
  }
  return nullptr;
}

MetricSet::MetricSet() : slots_(std::size(kDefinitions)) {}

void MetricSet::Set(absl::string_view name, double value) {
  Slot& slot = slots_[KnownPositionOf(name)];
  if (slot.set) Fail("set twice", name);
  if (!std::isfinite(value)) Fail("value is not finite", name);
  slot.set = true;
  slot.value = value;
}

void MetricSet::SetAbsent(absl::string_view name, absl::string_view reason) {
  Slot& slot = slots_[KnownPositionOf(name)];
  if (slot.set) Fail("set twice", name);
  if (reason.empty()) Fail("absent without a reason", name);
  slot.set = true;
  slot.absent = std::string(reason);
}

bool MetricSet::IsSet(absl::string_view name) const { return slots_[KnownPositionOf(name)].set; }

void MetricSet::Finish(RunResult* result) const {
  result->clear_metrics();
  for (size_t i = 0; i < slots_.size(); ++i) {
    const MetricDef& definition = kDefinitions[i];
    if (!slots_[i].set) Fail("never set", definition.name);
    Metric* metric = result->add_metrics();
    metric->set_name(std::string(definition.name));
    metric->set_unit(std::string(definition.unit));
    metric->set_value(slots_[i].value);
    metric->set_absent(slots_[i].absent);
  }
}

}  // namespace tierscope

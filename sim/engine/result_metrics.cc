#include "sim/engine/result_metrics.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"

#include "reports/schema/metrics.h"
#include "sim/base/stats.h"
#include "sim/base/units.h"
#include "sim/engine/indexer_metrics.h"
#include "sim/engine/memory_pools.h"
#include "sim/policy/page_selection.h"

namespace tierscope {
namespace {

struct Frame {
  const Scenario& scenario;
  const MemoryPlan& plan;
  const WindowDemand* demand;
  ReplicaOutcome& outcome;
  double counted_s;  // from the end of the warm-up to the end of the run, summed over groups
  MetricSet& metrics;
};

constexpr absl::string_view kNoStep = "no batch step was counted in which a request decoded";

void SetOrAbsent(MetricSet& metrics, absl::string_view name, bool present, double value,
                 absl::string_view reason) {
  if (present) {
    metrics.Set(name, value);
  } else {
    metrics.SetAbsent(name, reason);
  }
}

using Shares = absl::Span<const ReplicaOutcome::Share>;

// Of `value`, which takes the shares of a replica's groups.
template <typename Value>
double SumOverReplicas(const Frame& f, Value value) {
  const Shares shares = f.outcome.shares;
  const auto groups = static_cast<size_t>(f.scenario.engine().dp_attention());
  double sum = 0.0;
  for (size_t lead = 0; lead < shares.size(); lead += groups) {
    sum += value(shares.subspan(lead, groups));
  }
  return sum;
}

void SetPercentilesMs(MetricSet& metrics, absl::string_view stem,
                      std::initializer_list<std::pair<absl::string_view, double>> quantiles,
                      SampleSet& samples_ns, absl::string_view reason) {
  for (const auto& [suffix, q] : quantiles) {
    const std::string name = absl::StrCat(stem, suffix);
    if (samples_ns.empty()) {
      metrics.SetAbsent(name, reason);
    } else {
      metrics.Set(name, static_cast<double>(samples_ns.Percentile(q)) / 1e6);
    }
  }
}

// Exact where it is whole; what is left is rounded once.
double Quotient(__int128 sum, int64_t count) {
  if (count == 0) return 0.0;
  return static_cast<double>(sum / count) +
         static_cast<double>(sum % count) / static_cast<double>(count);
}

double Concurrency(Shares replica) {
  __int128 request_ns = 0;
  for (const ReplicaOutcome::Share& share : replica) request_ns += share.request_ns;
  return Quotient(request_ns, replica.front().decode.ns);
}

double Throughput(Shares replica) {
  const SimDuration stepping = replica.front().decode + replica.front().prefill_only;
  int64_t tokens = 0;
  for (const ReplicaOutcome::Share& share : replica) tokens += share.output_tokens;
  return stepping.ns == 0 ? 0.0 : static_cast<double>(tokens) / ToSeconds(stepping);
}

void SetLoad(Frame& f) {
  const Counters& c = f.outcome.counters;
  MetricSet& m = f.metrics;
  m.Set("simulated_s", ToSeconds(f.outcome.end));
  m.Set("warmup_s", f.outcome.warmup_end ? ToSeconds(*f.outcome.warmup_end) : 0.0);
  m.Set("decode_s", ToSeconds(c.decode));
  m.Set("steps", static_cast<double>(c.steps));
  m.Set("output_tokens", static_cast<double>(c.output_tokens));
  m.Set("requests_completed", static_cast<double>(c.completed));
  m.Set("requests_unfinished",
        static_cast<double>(f.outcome.arrived - f.outcome.finished - f.outcome.rejected));
  m.Set("requests_rejected", static_cast<double>(f.outcome.rejected));
  SetOrAbsent(m, "concurrency_mean", c.steps > 0, SumOverReplicas(f, Concurrency), kNoStep);
}

// Tokens routed to the busiest replica over the mean.
double ReplicaImbalance(const Frame& f) {
  const std::vector<ReplicaOutcome::Share>& shares = f.outcome.shares;
  const auto groups = static_cast<size_t>(f.scenario.engine().dp_attention());
  int64_t most = 0, all = 0;
  for (size_t lead = 0; lead < shares.size(); lead += groups) {
    int64_t tokens = 0;
    for (size_t i = lead; i < lead + groups; ++i) tokens += shares[i].tokens_routed;
    most = std::max(most, tokens);
    all += tokens;
  }
  const auto replicas = static_cast<double>(f.scenario.engine().replicas());
  return all == 0 ? 1.0 : static_cast<double>(most) * replicas / static_cast<double>(all);
}

void SetBalance(Frame& f) {
  const Counters& c = f.outcome.counters;
  const Engine& engine = f.scenario.engine();
  const auto request_steps = static_cast<double>(c.request_steps);
  SetOrAbsent(f.metrics, "replica_imbalance", engine.replicas() > 1, ReplicaImbalance(f),
              "engine.replicas is 1");
  const bool groups = engine.dp_attention() > 1;
  SetOrAbsent(f.metrics, "dp_attention_imbalance", groups && c.request_steps > 0,
              static_cast<double>(c.fullest_group_steps) * engine.dp_attention() / request_steps,
              groups ? kNoStep : absl::string_view("engine.dp_attention is 1"));
  SetOrAbsent(f.metrics, "tokens_per_request_step", c.request_steps > 0,
              static_cast<double>(c.decode_tokens) / request_steps, kNoStep);
}

// Seconds of decode time that are whole.
void SetSeconds(Frame& f) {
  DecodeSeconds& seconds = f.outcome.counters.seconds;
  if (seconds.whole) seconds.tokens.Add(seconds.tokens_open);
  for (const auto& [suffix, q] : {std::pair{"min", 1e-12}, {"p1", 0.01}, {"max", 1.0}}) {
    SetOrAbsent(f.metrics, absl::StrCat("throughput_tok_per_s_1s_", suffix),
                seconds.tokens.count() > 0, static_cast<double>(seconds.tokens.Percentile(q)),
                "less than a second of decoding was counted");
  }
}

void SetSpeed(Frame& f) {
  const Counters& c = f.outcome.counters;
  MetricSet& m = f.metrics;
  const bool any = c.steps > 0;
  const bool made = any || c.output_tokens > 0;
  const double throughput = SumOverReplicas(f, Throughput);
  double goodput = 0.0;
  for (const ReplicaOutcome::Share& share : f.outcome.shares) {
    if (share.counted.ns > 0) {
      goodput += static_cast<double>(share.slo_met) / ToSeconds(share.counted);
    }
  }
  SetOrAbsent(m, "throughput_tok_per_s", made, throughput, kNoStep);
  SetOrAbsent(m, "throughput_tok_per_s_per_gpu", made,
              throughput / static_cast<double>(f.plan.ranks * f.plan.groups), kNoStep);
  const Engine& engine = f.scenario.engine();
  const bool no_ttft = engine.slo().has_ttft_ms() && engine.prefill() == Engine::NONE;
  SetOrAbsent(m, "goodput_req_per_s", engine.has_slo() && f.counted_s > 0 && !no_ttft, goodput,
              no_ttft ? "engine.slo.ttft_ms needs a TTFT, which engine.prefill NONE does not give"
                      : "the scenario sets no engine.slo");
  SetOrAbsent(m, "step_ms_mean", any, ToMilliseconds(c.decode) / static_cast<double>(c.steps),
              kNoStep);
  SetOrAbsent(m, "step_ms_p50", any, static_cast<double>(c.step_ns.Percentile(0.5)) / 1e6, kNoStep);
  SetOrAbsent(m, "step_ms_p99", any, static_cast<double>(c.step_ns.Percentile(0.99)) / 1e6,
              kNoStep);
  SetOrAbsent(m, "step_ms_max", any, ToMilliseconds(c.step_longest), kNoStep);
}

void SetRequests(Frame& f) {
  Counters& c = f.outcome.counters;
  MetricSet& m = f.metrics;
  constexpr absl::string_view kNoneFinished = "no request finished after the warm-up";
  constexpr absl::string_view kNoneLong =
      "no request of two tokens or more finished after the warm-up";
  SetOrAbsent(m, "tpot_ms_mean", !c.tpot_ns.empty(), c.tpot_ns.mean() / 1e6, kNoneLong);
  SetPercentilesMs(m, "tpot_ms_", {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}}, c.tpot_ns,
                   kNoneLong);
  const bool prefill = f.scenario.engine().prefill() != Engine::NONE;
  SampleSet none;
  SetPercentilesMs(
      m, "ttft_ms_", {{"p50", 0.5}, {"p99", 0.99}}, prefill ? c.ttft_ns : none,
      prefill ? kNoneFinished : "engine.prefill is NONE: a request's KV is there when it arrives");
  SetPercentilesMs(m, "queue_ms_", {{"p50", 0.5}, {"p99", 0.99}}, c.queue_ns, kNoneFinished);
  SetPercentilesMs(m, "request_latency_ms_", {{"p50", 0.5}, {"p99", 0.99}}, c.latency_ns,
                   kNoneFinished);
}

// What the first request in line waited for, and whether the line grew.
void SetAdmission(Frame& f) {
  const ReplicaOutcome& outcome = f.outcome;
  MetricSet& m = f.metrics;
  constexpr std::pair<Resource, absl::string_view> kResources[] = {{Resource::kSlots, "slots"},
                                                                   {Resource::kHbm, "hbm"},
                                                                   {Resource::kHost, "host"},
                                                                   {Resource::kReserve, "reserve"}};
  for (const auto& [resource, name] : kResources) {
    const SimDuration waited = outcome.counters.admission_wait[static_cast<size_t>(resource)];
    SetOrAbsent(m, absl::StrCat("admission_wait_fraction.", name), f.counted_s > 0,
                ToSeconds(waited) / f.counted_s, "the run ended with its warm-up");
  }
  if (!outcome.halves) {
    m.SetAbsent("backlog_growth", outcome.warmup_end
                                      ? "engine.simulated_s 0: the run ends with its workload"
                                      : "the run ended with its warm-up");
    return;
  }
  m.Set("backlog_growth", static_cast<double>(outcome.halves->piled_up) /
                              static_cast<double>(std::max<int64_t>(1, outcome.halves->arrived)));
}

// Pools of one rank's HBM and of the node's host DRAM at the run's peak.
void FillFootprint(const MemoryPlan& plan, const Peaks& peaks, const RequestTrace* requests,
                   RunResult* result) {
  const MemoryUse peak{.requests_admitted = peaks.requests_admitted,
                       .tokens_reserved = peaks.tokens_reserved,
                       .tokens_in_use = peaks.tokens_in_use,
                       .host_pages_reserved = peaks.host_pages_reserved,
                       .host_pages_in_use = peaks.host_pages_in_use,
                       .swap_bytes_reserved = peaks.swap_bytes_reserved,
                       .swap_bytes_in_use = peaks.swap_bytes_in_use,
                       .blocks_held = peaks.blocks_in_use,
                       .prefix_blocks = peaks.prefix_blocks};
  const int64_t block_bytes =
      plan.prefix_bytes_node > 0 ? PrefixBlockBytesNode(plan, *requests) : 0;
  for (const PoolUse& use : PoolsOf(plan, peak, block_bytes)) {
    Pool* pool = result->add_footprint();
    pool->set_tier(use.tier);
    pool->set_pool(use.pool);
    pool->set_allocated_bytes(use.allocated_bytes);
    pool->set_in_use_bytes(use.in_use_bytes);
    pool->set_capacity_bytes(use.capacity_bytes);
  }
}

bool IsKv(const Pool& pool) {
  return pool.pool() != "weights" && pool.pool() != "SWA pool, compressor states";
}

void SetFootprint(Frame& f, const RunResult& result) {
  int64_t total = 0, total_used = 0, kv = 0, kv_used = 0, host = 0, host_used = 0;
  for (const Pool& pool : result.footprint()) {
    if (pool.tier() == "host") {
      host += pool.allocated_bytes();
      host_used += pool.in_use_bytes();
      continue;
    }
    total += pool.allocated_bytes();
    total_used += pool.in_use_bytes();
    if (IsKv(pool)) kv += pool.allocated_bytes(), kv_used += pool.in_use_bytes();
  }
  MetricSet& m = f.metrics;
  m.Set("hbm_total_gib_peak", ToGiB(total));
  m.Set("hbm_total_gib_peak_in_use", ToGiB(total_used));
  m.Set("hbm_kv_gib_peak", ToGiB(kv));
  m.Set("hbm_kv_gib_peak_in_use", ToGiB(kv_used));
  m.Set("host_gib_peak", ToGiB(host));
  m.Set("host_gib_peak_in_use", ToGiB(host_used));
}

// Means over counted steps and the requests of each.
void SetKvPerRequest(Frame& f) {
  const Counters& c = f.outcome.counters;
  const auto steps = static_cast<double>(c.request_steps);
  const double scale = static_cast<double>(kScaleTokens) * static_cast<double>(kGiB);
  const double tokens = static_cast<double>(c.context_token_steps) / steps / scale;
  const double hca = tokens * static_cast<double>(f.plan.hca_bytes_per_scale);
  const double pages_gib =
      static_cast<double>(c.active_page_steps) / steps / static_cast<double>(kGiB);
  double keys =
      tokens * static_cast<double>(f.plan.index_bytes_per_scale + f.plan.bound_bytes_per_scale);
  double csa = 0.0;
  switch (f.plan.placement) {
    case KvPlacement::kAllInHbm:
      csa = tokens * static_cast<double>(f.plan.csa_bytes_per_scale);
      break;
    case KvPlacement::kTiered:
    case KvPlacement::kDropped:
      csa = pages_gib * static_cast<double>(f.plan.page_bytes);
      keys += pages_gib * static_cast<double>(f.plan.page_index_bytes);
      break;
    case KvPlacement::kHotBuffer:
      csa = tokens * static_cast<double>(f.plan.buffer_bytes_per_scale) +
            ToGiB(f.plan.hbm_request_bytes);
      break;
  }
  const bool whole = f.plan.placement == KvPlacement::kAllInHbm;
  SetOrAbsent(f.metrics, "hbm_kv_gib_per_request", c.request_steps > 0, csa + hca + keys, kNoStep);
  SetOrAbsent(f.metrics, "hbm_kv_paper_gib_per_request", c.request_steps > 0,
              whole ? csa + hca + keys : csa + hca, kNoStep);
}

// Of buffers of entries: what they lack is fetched, so nothing is missed.
void SetFetches(Frame& f) {
  const Counters& c = f.outcome.counters;
  MetricSet& m = f.metrics;
  const bool fetches = f.plan.placement == KvPlacement::kHotBuffer;
  const absl::string_view reason =
      fetches ? kNoStep : "the policy has no buffers of entries: TOPK_SWAP and ESS have";
  SetOrAbsent(m, "hot_buffer_miss_rate", c.entries_selected > 0,
              static_cast<double>(c.entries_fetched) / static_cast<double>(c.entries_selected),
              reason);
  m.Set("entries_fetched",
        static_cast<double>(c.entries_fetched) / static_cast<double>(f.plan.groups));
}

void SetAttention(Frame& f) {
  const Counters& c = f.outcome.counters;
  MetricSet& m = f.metrics;
  SetFetches(f);
  if (f.demand == nullptr || f.demand->hot_buffers != nullptr) {
    SetOrAbsent(m, "selections", c.entries_selected > 0, static_cast<double>(c.entries_selected),
                f.demand == nullptr ? "policy FULL holds all KV in HBM and reads no attention trace"
                                    : kNoStep);
    m.Set("miss_inactive", 0.0);
    m.Set("miss_evicted", 0.0);
    m.Set("coverage", 1.0);
    m.Set("coverage_prompt", 1.0);
    return;
  }
  const absl::string_view reason =
      f.demand->coverage_known ? "no step after a request's step 0 was counted"
                               : "the attention trace holds no selections of the full history";
  const bool known = f.demand->coverage_known && c.selections.all > 0;
  const auto misses = c.inactive.all + c.evicted.all;
  const auto misses_prompt = c.inactive.prompt + c.evicted.prompt;
  const int64_t stride = f.demand->profiles.front().stride_steps;
  const auto whole = [stride](int64_t spread) {
    return static_cast<double>((spread + stride / 2) / stride);
  };
  SetOrAbsent(m, "selections", known, whole(c.selections.all), reason);
  SetOrAbsent(m, "miss_inactive", known, whole(c.inactive.all), reason);
  SetOrAbsent(m, "miss_evicted", known, whole(c.evicted.all), reason);
  SetOrAbsent(m, "coverage", known,
              1.0 - static_cast<double>(misses) / static_cast<double>(c.selections.all), reason);
  SetOrAbsent(m, "coverage_prompt", known && c.selections.prompt > 0,
              1.0 - static_cast<double>(misses_prompt) / static_cast<double>(c.selections.prompt),
              reason);
}

void SetRecall(Frame& f) {
  const Counters& c = f.outcome.counters;
  MetricSet& m = f.metrics;
  const auto ranks = static_cast<double>(f.plan.ranks * f.plan.groups_of_node);
  const auto groups = static_cast<double>(f.plan.groups);
  const double gib = ToGiB(c.recall_bytes + c.fetch_bytes) / groups;
  const auto set_pages = [&](absl::string_view name, int64_t pages) {
    m.Set(name, static_cast<double>(pages) / groups);
    m.Set(absl::StrCat(name, "_node"), static_cast<double>(pages) / groups * ranks);
  };
  const absl::string_view no_time = "no time passed after the warm-up";
  const bool timed = f.counted_s > 0;
  const absl::string_view no_tick = f.plan.placement != KvPlacement::kTiered
                                        ? "the policy recalls no pages"
                                        : "no tick was counted";
  const bool recalls = f.plan.placement == KvPlacement::kTiered && c.pages_wanted > 0;
  SetOrAbsent(m, "recall_miss_rate", recalls,
              static_cast<double>(c.pages_recalled) / static_cast<double>(c.pages_wanted), no_tick);
  m.Set("recall_gib", gib);
  m.Set("recall_gib_node", gib * ranks);
  const double counted_s = f.counted_s / groups;  // of one
  SetOrAbsent(m, "recall_gib_per_s", timed, gib / counted_s, no_time);
  SetOrAbsent(m, "recall_gib_per_s_node", timed, gib * ranks / counted_s, no_time);
  set_pages("pages_recalled", c.pages_recalled);
  set_pages("pages_evicted", c.pages_evicted);
  set_pages("pages_written_back", c.pages_written_back);
  m.Set("entries_lost", static_cast<double>(c.entries_lost));
  double busiest = 0.0;
  for (const ReplicaOutcome::Share& share : f.outcome.shares) {
    if (share.counted.ns == 0) continue;
    busiest = std::max(busiest, ToSeconds(share.link_busy) / ToSeconds(share.counted));
  }
  SetOrAbsent(m, "link_utilisation", timed, busiest, no_time);
  SetOrAbsent(m, "sideband_utilisation", timed, ToSeconds(c.sideband_busy) / f.counted_s, no_time);
}

void SetStall(Frame& f) {
  const Counters& c = f.outcome.counters;
  MetricSet& m = f.metrics;
  constexpr absl::string_view kNames[kStallCauseCount] = {
      "index", "queue", "transfer", "join", "eviction", "admission", "interference"};
  SimDuration total;
  for (size_t cause = 0; cause < kStallCauseCount; ++cause) {
    m.Set(absl::StrCat("stall_ms_by_cause.", kNames[cause]), ToMilliseconds(c.stall[cause]));
    total += c.stall[cause];
  }
  m.Set("stall_ms_total", ToMilliseconds(total));
  SetOrAbsent(m, "stall_ms_per_token", c.steps > 0,
              ToMilliseconds(total) / static_cast<double>(c.steps), kNoStep);
  SetOrAbsent(m, "stall_fraction", c.steps > 0, ToSeconds(total) / ToSeconds(c.decode), kNoStep);
}

void SetPreemption(Frame& f) {
  const Counters& c = f.outcome.counters;
  f.metrics.Set("preemptions", static_cast<double>(c.preemptions));
  f.metrics.Set("tokens_recomputed", static_cast<double>(c.tokens_recomputed));
  const auto groups = static_cast<double>(f.plan.groups);
  f.metrics.Set("swap_out_gib", ToGiB(c.swap_out_bytes) / groups);
  f.metrics.Set("swap_in_gib", ToGiB(c.swap_in_bytes) / groups);
}

// Tiers below the host.
void SetLowerTiers(Frame& f, const RequestTrace& requests) {
  Counters& c = f.outcome.counters;
  MetricSet& m = f.metrics;
  const PrefixTiers& tiers = f.scenario.engine().prefix_store();
  const int64_t block_bytes = f.plan.FullKvBytes(requests.block_tokens);
  const auto set = [&](absl::string_view tier, bool present, int64_t bytes, int64_t blocks_peak) {
    const std::string reason =
        absl::StrCat("the scenario has no engine.prefix_store.", tier, "_bytes");
    SetOrAbsent(m, absl::StrCat("prefix_fetch_gib.", tier), present, ToGiB(bytes), reason);
    SetOrAbsent(m, absl::StrCat("prefix_", tier, "_gib_peak"), present,
                ToGiB(blocks_peak * block_bytes), reason);
  };
  set("nvme", tiers.nvme_bytes() > 0, c.prefix_nvme_bytes, f.outcome.peaks.nvme_blocks);
  set("remote", tiers.remote_bytes() > 0, c.prefix_remote_bytes, f.outcome.peaks.remote_blocks);
  SetOrAbsent(m, "prefix_fetch_ms_mean", !c.prefix_fetch_ns.empty(), c.prefix_fetch_ns.mean() / 1e6,
              "no request waited for a fetch from a lower tier");
}

void SetPrefix(Frame& f, const RequestTrace* requests) {
  const Counters& c = f.outcome.counters;
  MetricSet& m = f.metrics;
  constexpr absl::string_view kNames[] = {"prefix_hit_rate",         "prefix_tokens_reused",
                                          "prefix_blocks_matched",   "prefix_load_gib",
                                          "prefix_store_gib_peak",   "prefix_fetch_gib.nvme",
                                          "prefix_fetch_gib.remote", "prefix_fetch_ms_mean",
                                          "prefix_nvme_gib_peak",    "prefix_remote_gib_peak"};
  if (f.plan.prefix_bytes_node == 0) {
    for (const absl::string_view name : kNames) {
      m.SetAbsent(name, "the scenario has no engine.prefix_store");
    }
    return;
  }
  SetOrAbsent(
      m, "prefix_hit_rate", c.prefix_prompt_tokens > 0,
      static_cast<double>(c.prefix_tokens_reused) / static_cast<double>(c.prefix_prompt_tokens),
      "no prefill began after the warm-up");
  m.Set("prefix_tokens_reused", static_cast<double>(c.prefix_tokens_reused));
  m.Set("prefix_blocks_matched", static_cast<double>(c.prefix_blocks_matched));
  m.Set("prefix_load_gib", ToGiB(c.prefix_load_bytes) / static_cast<double>(f.plan.groups));
  m.Set("prefix_store_gib_peak",
        ToGiB(f.outcome.peaks.prefix_blocks * PrefixBlockBytesNode(f.plan, *requests)));
  SetLowerTiers(f, *requests);
}

void SetWork(Frame& f) {
  const Counters& c = f.outcome.counters;
  const auto tokens = static_cast<double>(c.decode_tokens);
  SetOrAbsent(f.metrics, "gflop_per_token", c.decode_tokens > 0, c.flop / 1e9 / tokens, kNoStep);
  SetOrAbsent(
      f.metrics, "gflop_per_token_tp_replicated", c.decode_tokens > 0,
      (c.flop + (static_cast<double>(f.plan.ranks) - 1.0) * c.flop_replicated) / 1e9 / tokens,
      kNoStep);
}

}  // namespace

void FillMetrics(const Scenario& scenario, const MemoryPlan& plan, const WindowDemand* demand,
                 const RequestTrace* requests, const std::vector<IndexerQualityCounts>* indexer,
                 ReplicaOutcome& outcome, RunResult* result) {
  MetricSet metrics;
  SimDuration counted;
  for (const ReplicaOutcome::Share& share : outcome.shares) counted += share.counted;
  Frame frame{scenario, plan, demand, outcome, ToSeconds(counted), metrics};
  FillFootprint(plan, outcome.peaks, requests, result);
  SetLoad(frame);
  SetBalance(frame);
  SetSpeed(frame);
  SetSeconds(frame);
  SetRequests(frame);
  SetAdmission(frame);
  SetFootprint(frame, *result);
  SetKvPerRequest(frame);
  SetAttention(frame);
  FillIndexerMetrics(scenario, demand, indexer, &metrics);
  SetRecall(frame);
  SetStall(frame);
  SetPreemption(frame);
  SetPrefix(frame, requests);
  SetWork(frame);
  metrics.Finish(result);
}

}  // namespace tierscope

#include "tests/reports/sample_run.h"

#include <string>
#include <utility>

#include "reports/schema/metrics.h"
#include "sim/base/units.h"

namespace tierscope::testing {
namespace {

using Value = std::pair<const char*, double>;

constexpr Value kLsaValues[] = {
    {"simulated_s", 3600},
    {"warmup_s", 3.84},
    {"decode_s", 3596.16},
    {"steps", 120'000},
    {"output_tokens", 7'200'000},
    {"requests_completed", 6'984},
    {"requests_unfinished", 60},
    {"requests_rejected", 0},
    {"concurrency_mean", 60},
    {"tokens_per_request_step", 1},
    {"throughput_tok_per_s", 2002.1},
    {"throughput_tok_per_s_1s_min", 1860},
    {"throughput_tok_per_s_1s_p1", 1920},
    {"throughput_tok_per_s_1s_max", 2160},
    {"throughput_tok_per_s_per_gpu", 250.2625},
    {"goodput_req_per_s", 1.94},
    {"step_ms_mean", 29.968},
    {"step_ms_p50", 29.4},
    {"step_ms_p99", 33.25},
    {"step_ms_max", 41.5},
    {"tpot_ms_mean", 29.97},
    {"tpot_ms_p50", 29.95},
    {"tpot_ms_p90", 30.4},
    {"tpot_ms_p99", 31.125},
    {"queue_ms_p50", 0},
    {"queue_ms_p99", 12.75},
    {"request_latency_ms_p50", 30'690},
    {"request_latency_ms_p99", 31'800},
    {"admission_wait_fraction.slots", 0},
    {"admission_wait_fraction.hbm", 0.25},
    {"admission_wait_fraction.host", 0},
    {"admission_wait_fraction.reserve", 0},
    {"backlog_growth", 0.01},
    {"hbm_total_gib_peak", 96},
    {"hbm_total_gib_peak_in_use", 84},
    {"hbm_kv_gib_peak", 67.5},
    {"hbm_kv_gib_peak_in_use", 55.5},
    {"hbm_kv_gib_per_request", 0.5625},
    {"hbm_kv_paper_gib_per_request", 0.1836},
    {"host_gib_peak", 850},
    {"host_gib_peak_in_use", 825},
    {"selections", 77'414'400'000},
    {"miss_inactive", 1'548'288'000},
    {"miss_evicted", 0},
    {"coverage", 0.98},
    {"coverage_prompt", 0.9785},
    {"golden_recall", 0.9125},
    {"indexer_kept_fraction", 0.125},
    {"indexer_precision.golden", 0.0175},
    {"indexer_precision.native", 0.4625},
    {"indexer_recall.golden", 0.8625},
    {"indexer_recall.native", 0.7125},
    {"indexer_f1.golden", 0.0343},
    {"indexer_f1.native", 0.5609},
    {"indexer_auc.golden", 0.905},
    {"indexer_auc.native", 0.8765},
    {"indexer_calibration_error.golden", 0.5075},
    {"indexer_calibration_error.native", 0.2745},
    {"recall_miss_rate", 0.1875},
    {"recall_gib", 1480.25},
    {"recall_gib_node", 11842},
    {"recall_gib_per_s", 0.4116},
    {"recall_gib_per_s_node", 3.2929},
    {"pages_recalled", 2'025'000},
    {"pages_recalled_node", 16'200'000},
    {"pages_evicted", 2'010'000},
    {"pages_evicted_node", 16'080'000},
    {"pages_written_back", 28'125},
    {"pages_written_back_node", 225'000},
    {"entries_lost", 0},
    {"hot_buffer_miss_rate", 0.1345},
    {"entries_fetched", 1'250'000},
    {"link_utilisation", 0.0081},
    {"sideband_utilisation", 0.3125},
    {"stall_ms_total", 96'000},
    {"stall_ms_per_token", 0.8},
    {"stall_fraction", 0.0267},
    {"stall_ms_by_cause.index", 24'000},
    {"stall_ms_by_cause.queue", 3'000},
    {"stall_ms_by_cause.transfer", 12'000},
    {"stall_ms_by_cause.join", 6'000},
    {"stall_ms_by_cause.eviction", 0},
    {"stall_ms_by_cause.admission", 3'000},
    {"stall_ms_by_cause.interference", 48'000},
    {"preemptions", 0},
    {"tokens_recomputed", 0},
    {"swap_out_gib", 0},
    {"swap_in_gib", 0},
    {"prefix_hit_rate", 0.375},
    {"prefix_tokens_reused", 1'372'880'896},
    {"prefix_blocks_matched", 2'681'408},
    {"prefix_load_gib", 1.25},
    {"prefix_store_gib_peak", 256},
    {"prefix_fetch_gib.nvme", 48.5},
    {"prefix_fetch_gib.remote", 12.25},
    {"prefix_fetch_ms_mean", 17.5},
    {"prefix_nvme_gib_peak", 512},
    {"prefix_remote_gib_peak", 1024},
    {"gflop_per_token", 31.02},
    {"gflop_per_token_tp_replicated", 61.96},
};

constexpr const char* kNoPrefill =
    "engine.prefill is NONE: a request's KV is there when it arrives";

void AddPool(const char* tier, const char* pool, double allocated_gib, double in_use_gib,
             double capacity_gib, RunResult* result) {
  Pool* added = result->add_footprint();
  added->set_tier(tier);
  added->set_pool(pool);
  const double gib = static_cast<double>(kGiB);
  added->set_allocated_bytes(static_cast<int64_t>(allocated_gib * gib));
  added->set_in_use_bytes(static_cast<int64_t>(in_use_gib * gib));
  added->set_capacity_bytes(static_cast<int64_t>(capacity_gib * gib));
}

void SetIdentity(const char* scenario, RunResult* result) {
  result->set_schema_version(kResultSchemaVersion);
  result->set_version("0.1.0");
  result->set_kind("simulated");
  result->set_scenario(scenario);
  result->set_scenario_digest("0123456789abcdef");
  result->set_event_digest("fedcba9876543210");
  result->set_seed(18'446'744'073'709'551'615ULL);
  Input* input = result->add_inputs();
  input->set_role("attention trace");
  input->set_name("v4_flash-512k.tst");
  input->set_digest("00112233445566aa");
  input->set_provenance("synthetic, preset v4_flash, seed 1");
}

HostResult SampleHost() {
  HostResult host;
  host.sim_wall_s = 4.25;
  host.sim_speedup = 847.0588235294117;
  host.sim_events = 12'345'678;
  host.sim_events_per_s = 3'500'000.5;
  host.generate_wall_s = 0.125;
  host.load_wall_s = 0.5;
  host.distil_wall_s = 0.75;
  host.peak_rss_bytes = 512 * kMiB;
  host.build_type = "Release";
  host.cpu = "Some CPU @ 2.40GHz";
  return host;
}

}  // namespace

RunReport SampleLsaRun() {
  RunReport run;
  SetIdentity("h20_lsa", &run.result);
  MetricSet metrics;
  for (const auto& [name, value] : kLsaValues) metrics.Set(name, value);
  metrics.SetAbsent("replica_imbalance", "engine.replicas is 1");
  metrics.SetAbsent("dp_attention_imbalance", "engine.dp_attention is 1");
  metrics.SetAbsent("ttft_ms_p50", kNoPrefill);
  metrics.SetAbsent("ttft_ms_p99", kNoPrefill);
  metrics.Finish(&run.result);
  AddPool("hbm", "weights", 20.25, 20.25, 131.25, &run.result);
  AddPool("hbm", "page reserve", 36, 24, 131.25, &run.result);
  AddPool("hbm", "index keys", 20.25, 20.25, 131.25, &run.result);
  AddPool("hbm", "HCA entries", 11.25, 11.25, 131.25, &run.result);
  AddPool("hbm", "SWA and compressor states", 5.25, 5.25, 131.25, &run.result);
  AddPool("hbm", "activations", 3, 3, 131.25, &run.result);
  AddPool("host", "cold pool", 850, 825, 1792.5, &run.result);
  run.result.add_notes(
      "step model: two-parameter form fitted to the published rows of 8 x H20 at TP8; it does not "
      "hold for "
      "one request alone");
  run.result.add_notes("node: DRAM bandwidth per socket is assumed, no source");
  Profile* profile = run.result.add_profiles();
  profile->set_index(0);
  profile->set_prompt_tokens(524'288);
  profile->set_requests(7'044);
  profile->set_wraps(12);
  run.host = SampleHost();
  return run;
}

RunReport SampleFullRun() {
  RunReport run;
  SetIdentity("h20_full", &run.result);
  MetricSet metrics;
  for (const auto& [name, value] : kLsaValues) {
    const std::string metric = name;
    if (metric.rfind("recall_", 0) == 0 || metric.rfind("pages_", 0) == 0) {
      metrics.SetAbsent(metric, "policy.kind is FULL: nothing is recalled");
    } else if (metric.rfind("stall_", 0) == 0 || metric.rfind("miss_", 0) == 0 ||
               metric == "link_utilisation" || metric == "sideband_utilisation") {
      metrics.Set(metric, 0);
    } else if (metric.rfind("coverage", 0) == 0) {
      metrics.Set(metric, 1);
    } else if (metric == "concurrency_mean") {
      metrics.Set(metric, 25);
    } else {
      metrics.Set(metric, value);
    }
  }
  metrics.SetAbsent("replica_imbalance", "engine.replicas is 1");
  metrics.SetAbsent("dp_attention_imbalance", "engine.dp_attention is 1");
  metrics.SetAbsent("ttft_ms_p50", kNoPrefill);
  metrics.SetAbsent("ttft_ms_p99", kNoPrefill);
  metrics.Finish(&run.result);
  AddPool("hbm", "weights", 20.25, 20.25, 131.25, &run.result);
  AddPool("hbm", "KV history", 96, 93.5, 131.25, &run.result);
  run.host = SampleHost();
  run.host.sim_speedup = 1e300 * 1e300;
  return run;
}

RunReport HostileRun() {
  const std::string hostile =
      "\"'<script>alert(1)</script>&amp;,\n\r\t\x1b[31m\xff\xc0\xaf\xe2\x80\xae\\ \xe2\x82\xac";
  RunReport run = SampleLsaRun();
  RunResult& result = run.result;
  result.set_scenario(hostile);
  result.set_version(hostile);
  result.set_kind(hostile);
  result.set_scenario_digest(hostile);
  result.set_event_digest(hostile);
  result.add_notes(hostile);
  for (Metric& metric : *result.mutable_metrics()) {
    metric.set_unit(metric.unit() + hostile);
    if (!HasValue(metric)) metric.set_absent(hostile);
  }
  for (Pool& pool : *result.mutable_footprint()) pool.set_pool(pool.pool() + hostile);
  Pool* pool = result.add_footprint();
  pool->set_tier(hostile);
  pool->set_pool(hostile);
  Input* input = result.add_inputs();
  input->set_role(hostile);
  input->set_name(hostile);
  input->set_digest(hostile);
  input->set_provenance(hostile);
  Violation* violation = result.add_violations();
  violation->set_what(hostile);
  violation->set_count(3);
  run.host.cpu = hostile;
  run.host.build_type = hostile;
  return run;
}

}  // namespace tierscope::testing

#include "scenarios/ranges.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

#include "scenarios/fields.h"

namespace tierscope {
namespace {

constexpr double kCountMax = 1e6;  // requests: far above any machine
constexpr double kLayersMax = 1000;
constexpr double kTokensMax = 16.0 * 1024 * 1024;  // of one request
constexpr double kBytesMax = 1e18;
// Rates and efficiencies from which on a time can be meant; what comes below is a slip, such as
// GB/s given for bytes/s.
constexpr double kRateMin = 1e3;         // bytes/s: a modem's
constexpr double kFlopMin = 1e6;         // flop/s: a home computer's
constexpr double kEfficiencyMin = 1e-6;  // of a peak
constexpr double kArrivalsMin = 1e-6;    // requests/s: one in 12 days
constexpr double kPrefillMin = 1e-3;     // tokens/s
constexpr double kRateMax = 1e18;        // bytes/s, flop/s
constexpr double kMsMax = 1e6;
constexpr double kUsMax = 1e6;        // of one kernel
constexpr double kEfficiencyMax = 4;  // more than 1 where a benchmark reads from a cache
constexpr double kSlowdownMax = 1000;
constexpr double kLatencyUsMax = 1e9;
constexpr double kAnyMax = 0x1p64;

std::string Number(double value) {
  const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
  return whole ? absl::StrFormat("%.0f", value) : absl::StrFormat("%.9g", value);
}

std::string Describe(const Range& range) {
  switch (range.ends) {
    case Range::kClosed:
      return absl::StrCat(Number(range.min), " to ", Number(range.max));
    case Range::kOpenBelow:
      return absl::StrCat("more than ", Number(range.min), " and at most ", Number(range.max));
    case Range::kOpen:
      return absl::StrCat("more than ", Number(range.min), " and less than ", Number(range.max));
  }
  return "";
}

bool Contains(const Range& range, double value) {
  const bool above = range.ends == Range::kClosed ? value >= range.min : value > range.min;
  const bool below = range.ends == Range::kOpen ? value < range.max : value <= range.max;
  return above && below;
}

const std::map<std::string, const Range*>& RangeByPath() {
  static const auto& by_path = *[] {
    auto* ranges = new std::map<std::string, const Range*>;
    for (const Range& range : FieldRanges()) ranges->emplace(range.path, &range);
    return ranges;
  }();
  return by_path;
}

absl::Status CheckValue(const std::string& path, const FieldValue& value, const Origins& origins) {
  if (!IsNumeric(*value.field)) return absl::OkStatus();
  const double number = NumericValue(value);
  if (!std::isfinite(number)) {
    return origins.Error(path, absl::StrCat(number, " is not finite; give a number"));
  }
  const auto it = RangeByPath().find(WithoutIndices(path));
  if (it == RangeByPath().end() || Contains(*it->second, number)) return absl::OkStatus();
  return origins.Error(
      path, absl::StrCat(Number(number), " is out of range; give ", Describe(*it->second)));
}

// The group whose preset would give the field; empty for a field that no preset has.
std::string PresetOf(const std::string& path) {
  const std::string group = path.substr(0, path.find('.'));
  return group == "model" || group == "hardware" || group == "node" ? group + ".preset" : "";
}

absl::Status CheckPresent(const std::set<std::string>& given, const Origins& origins) {
  for (const Range& range : FieldRanges()) {
    if (range.presence == Range::kOptional || given.count(range.path) > 0) continue;
    const std::string path(absl::StripSuffix(range.path, "[]"));
    const std::string preset = PresetOf(path);
    const std::string instead = preset.empty() ? "" : absl::StrCat(" or name a ", preset);
    return origins.Error(path, absl::StrCat("is not given; give ", Describe(range), instead));
  }
  return absl::OkStatus();
}

}  // namespace

const std::vector<Range>& FieldRanges() {
  constexpr auto kRequired = Range::kRequired;
  constexpr auto kClosed = Range::kClosed;
  constexpr auto kOpenBelow = Range::kOpenBelow;
  static const std::vector<Range>& ranges = *new std::vector<Range>{
      {"seed", 0, kAnyMax},

      {"model.csa_layers", 1, kLayersMax, kClosed, kRequired},
      {"model.hca_layers", 0, kLayersMax, kClosed, kRequired},
      {"model.swa_layers", 0, kLayersMax, kClosed, kRequired},
      {"model.csa_tokens_per_entry", 1, 1024, kClosed, kRequired},
      {"model.hca_tokens_per_entry", 1, 65536, kClosed, kRequired},
      {"model.page_entries", 64, 64},
      {"model.kv_entry_bytes", 1, 65536, kClosed, kRequired},
      {"model.index_key_bytes", 1, 65536, kClosed, kRequired},
      {"model.target_layers", 1, kLayersMax, kClosed, kRequired},
      {"model.top_k", 1, 1 << 20, kClosed, kRequired},
      {"model.window_tokens", 0, 1 << 20, kClosed, kRequired},
      {"model.query_heads", 1, 65536, kClosed, kRequired},
      {"model.head_dim", 1, 65536, kClosed, kRequired},
      {"model.index_heads", 1, 65536, kClosed, kRequired},
      {"model.index_head_dim", 1, 65536, kClosed, kRequired},
      {"model.memory_index_heads", 1, 65536, kClosed, kRequired},
      {"model.memory_index_head_dim", 1, 65536, kClosed, kRequired},
      {"model.weight_bytes_sharded", 0, kBytesMax, kClosed, kRequired},
      {"model.attention_weight_bytes_sharded", 0, kBytesMax},
      {"model.weight_bytes_replicated", 0, kBytesMax, kClosed, kRequired},
      {"model.gflop_per_token_constant", 0, 1e9, kClosed, kRequired},
      {"model.fixed_hbm_bytes", 0, kBytesMax, kClosed, kRequired},
      {"model.full_kv_budget_bytes_per_token", 1, 1e9, kClosed, kRequired},
      {"model.hidden_size", 1, 1 << 20},
      {"model.q_lora_rank", 1, 1 << 20},
      {"model.o_lora_rank", 0, 1 << 20},
      {"model.o_groups", 1, 65536},
      {"model.kv_lora_rank", 0, 1 << 20},
      {"model.qk_head_dim", 1, 65536},
      {"model.v_head_dim", 1, 65536},
      {"model.experts", 1, 65536},
      {"model.experts_per_token", 1, 65536},
      {"model.shared_experts", 0, 65536},
      {"model.expert_intermediate", 1, 1 << 20},
      {"model.expert_weight_bits", 0, 32, kOpenBelow},
      {"model.dense_layers", 0, kLayersMax},
      {"model.dense_intermediate", 0, 1 << 20},
      {"model.vocab_size", 1, 1 << 24},

      {"hardware.hbm_bytes", 1, kBytesMax, kClosed, kRequired},
      {"hardware.hbm_bytes_per_s", kRateMin, kRateMax, kClosed, kRequired},
      {"hardware.fp8_flop_per_s", kFlopMin, kRateMax, kClosed, kRequired},
      {"hardware.bf16_flop_per_s", kFlopMin, kRateMax, kClosed, kRequired},
      {"hardware.host_link.peak_bytes_per_s", kRateMin, kRateMax, kClosed, kRequired},
      {"hardware.host_link.device_to_host_bytes_per_s", kRateMin, kRateMax, kClosed, kRequired},
      {"hardware.host_link.batched_copy[].piece_bytes", 1, kBytesMax, kClosed, kRequired},
      {"hardware.host_link.batched_copy[].descriptors", 1, 1e9, kClosed, kRequired},
      {"hardware.host_link.batched_copy[].bytes_per_s", kRateMin, kRateMax, kClosed, kRequired},
      {"hardware.host_link.gather_bytes_per_s", kRateMin, kRateMax},
      {"hardware.host_link.gather_unaligned_factor", kEfficiencyMin, 1},
      {"hardware.host_link.pageable_bytes_per_s", kRateMin, kRateMax},
      {"hardware.host_link.copy_submit_us", 0, 1e6},
      {"hardware.step_model.base_ms", 0, kMsMax, kClosed, kRequired},
      {"hardware.step_model.per_request_ms", 0, kMsMax, kClosed, kRequired},
      {"hardware.step_model.scoring_efficiency", kEfficiencyMin, 1},
      {"hardware.step_model.attention_efficiency", kEfficiencyMin, 1},
      {"hardware.step_model.memory_efficiency", kEfficiencyMin, 1, kClosed, kRequired},
      {"hardware.step_model.level1_launch_ms", 0, kMsMax, kClosed, kRequired},
      {"hardware.step_model.fitted_tensor_parallel", 1, 65536},
      {"hardware.step_model.expert_alpha", 0, 10},
      {"hardware.step_model.kernels.sm_count", 1, 100000},
      {"hardware.step_model.kernels.gemm_fp8.floor_us", 0, kUsMax},
      {"hardware.step_model.kernels.gemm_fp8.ns_per_k", 0, kUsMax},
      {"hardware.step_model.kernels.gemm_fp8.memory_efficiency", kEfficiencyMin, kEfficiencyMax},
      {"hardware.step_model.kernels.gemm_fp8.compute_efficiency", kEfficiencyMin, kEfficiencyMax},
      {"hardware.step_model.kernels.gemm_bf16.floor_us", 0, kUsMax},
      {"hardware.step_model.kernels.gemm_bf16.ns_per_k", 0, kUsMax},
      {"hardware.step_model.kernels.gemm_bf16.memory_efficiency", kEfficiencyMin, kEfficiencyMax},
      {"hardware.step_model.kernels.gemm_bf16.compute_efficiency", kEfficiencyMin, kEfficiencyMax},
      {"hardware.step_model.kernels.moe.floor_us", 0, kUsMax},
      {"hardware.step_model.kernels.moe.ns_per_token", 0, kUsMax},
      {"hardware.step_model.kernels.moe.memory_efficiency", kEfficiencyMin, kEfficiencyMax},
      {"hardware.step_model.kernels.moe.compute_efficiency", kEfficiencyMin, kEfficiencyMax},
      {"hardware.step_model.kernels.moe.tile_rows", 0, 1024},
      {"hardware.step_model.kernels.moe.tile_rows_low_bit", 0, 1024},
      {"hardware.step_model.kernels.scoring.floor_us", 0, kUsMax},
      {"hardware.step_model.kernels.scoring.query_us", 0, kUsMax},
      {"hardware.step_model.kernels.scoring.entry_ns", 0, kUsMax},
      {"hardware.step_model.kernels.scoring.memory_efficiency", kEfficiencyMin, kEfficiencyMax},
      {"hardware.step_model.kernels.scoring.cached_efficiency", kEfficiencyMin, kEfficiencyMax},
      {"hardware.step_model.kernels.top_k[].k", 1, 1 << 20},
      {"hardware.step_model.kernels.top_k[].small_entries_max", 0, 1 << 30},
      {"hardware.step_model.kernels.top_k[].small_floor_us", 0, kUsMax},
      {"hardware.step_model.kernels.top_k[].small_ns_per_entry", 0, kUsMax},
      {"hardware.step_model.kernels.top_k[].large_floor_us", 0, kUsMax},
      {"hardware.step_model.kernels.top_k[].large_ns_per_entry", 0, kUsMax},
      {"hardware.step_model.kernels.top_k[].large_sms", 0, 100000},
      {"hardware.step_model.kernels.attention.request_us", 0, kUsMax},
      {"hardware.step_model.kernels.attention.block_us", 0, kUsMax},
      {"hardware.step_model.kernels.attention.combine_us", 0, kUsMax},
      {"hardware.step_model.kernels.attention.split_us", 0, kUsMax},
      {"hardware.step_model.kernels.attention.split_traffic_us", 0, kUsMax},
      {"hardware.step_model.kernels.csa_layer.floor_us", 0, kUsMax},
      {"hardware.step_model.kernels.csa_layer.per_request_us", 0, kUsMax},
      {"hardware.step_model.kernels.hca_layer.floor_us", 0, kUsMax},
      {"hardware.step_model.kernels.hca_layer.per_request_us", 0, kUsMax},
      {"hardware.step_model.kernels.all_reduce.floor_us", 0, kUsMax},
      {"hardware.step_model.kernels.all_reduce.per_peer_us", 0, kUsMax},
      {"hardware.step_model.kernels.all_reduce.one_shot_gb_per_s", kRateMin * 1e-9, 1e6},
      {"hardware.step_model.kernels.all_reduce.two_shot_gb_per_s", kRateMin * 1e-9, 1e6},
      {"hardware.step_model.kernels.all_reduce.ring_gb_per_s", kRateMin * 1e-9, 1e6},
      {"hardware.step_model.kernels.all_reduce.ring_floor_us", 0, kUsMax},
      {"hardware.measured_ops.tables[].x[]", 1e-6, kBytesMax},
      {"hardware.measured_ops.tables[].batch[]", 1e-6, kCountMax},
      {"hardware.measured_ops.tables[].us[]", 1e-6, 1e9},
      {"hardware.measured_ops.tables[].spread[]", 0, 1e6},
      {"hardware.measured_ops.tables[].flop[]", 0, 1e18},
      {"hardware.measured_ops.tables[].bytes[]", 0, 1e15},
      {"hardware.measured_ops.step_beside_score", 1, kSlowdownMax},
      {"hardware.measured_ops.score_beside_step", 1, kSlowdownMax},
      {"hardware.measured_ops.step_beside_copy", 1, kSlowdownMax},
      {"hardware.measured_ops.copy_beside_step", 1, kSlowdownMax},
      {"hardware.measured_ops.recall_beside_writeback", 1, kSlowdownMax},
      {"hardware.measured_ops.writeback_beside_recall", 1, kSlowdownMax},
      {"hardware.measured_ops.attention_tile_entries", 1, 4096},

      {"node.gpus", 1, 1024, kClosed, kRequired},
      {"node.sockets", 1, 64, kClosed, kRequired},
      {"node.gpus_per_switch", 1, 1024, kClosed, kRequired},
      {"node.switch_bytes_per_s", kRateMin, kRateMax, kClosed, kRequired},
      {"node.host_bytes", 1, kBytesMax, kClosed, kRequired},
      {"node.host_usable_fraction", 0, 1, kOpenBelow},
      {"node.dram_bytes_per_s_per_socket", kRateMin, kRateMax, kClosed, kRequired},
      {"node.network_bytes_per_s_per_gpu", kRateMin, kRateMax},
      {"node.host_gather_bytes_per_s", kRateMin, kRateMax},
      {"node.nvme_read_bytes_per_s", kRateMin, kRateMax},
      {"node.nvme_latency_us", 0, kLatencyUsMax},
      {"node.remote_read_bytes_per_s", kRateMin, kRateMax},
      {"node.remote_latency_us", 0, kLatencyUsMax},

      {"workload.concurrency", 0, kCountMax},
      {"workload.context_tokens", 1, kTokensMax},
      {"workload.output_tokens", 1, kTokensMax},
      {"workload.requests_per_s", kArrivalsMin, 1e6},
      {"workload.arrival_cv", 0.001, 100},
      {"workload.classes[].weight", 0, 1e9, kOpenBelow},
      {"workload.classes[].context_tokens", 1, kTokensMax},
      {"workload.classes[].output_tokens", 1, kTokensMax},
      {"workload.request_limit", 0, 1e12},
      {"workload.think_s", 0, 1e8},
      {"workload.attention.profiles_per_context", 1, 65536},
      {"workload.attention.steps", 1, 1 << 24},
      {"workload.attention.tick_stride_steps", 1, 65536},
      {"workload.attention.context_tokens[]", 1, kTokensMax},
      {"workload.attention.generator_seed", 0, kAnyMax},
      {"workload.attention.window_churn", 0, 1},
      {"workload.attention.score_floor", 0.004, 0.5},

      {"policy.tau_steps", 1, 65536},
      {"policy.threshold", 0, 1, Range::kOpen},
      {"policy.page_kmax", 1, 1 << 24},
      {"policy.recency_entries", 0, 1 << 24},
      {"policy.sink_entries", 0, 1 << 24},
      {"policy.reserve_entries", 1, 1e9},
      {"policy.index_key_pool_entries", 0, 1e9},
      {"policy.level1_fixed_ms", 0, kMsMax},
      {"policy.publish_fixed_ms", 0, kMsMax},
      {"policy.gather_item_bytes", 1, 65536},
      {"policy.hot_buffer_entries", 1, 1 << 24},
      {"policy.pool_ratio", 0, 1, kOpenBelow},
      {"policy.pool_warmup_steps", 0, 1 << 20},
      {"policy.fetch_overlap", 0, 1},
      {"policy.fetch_layer_us", 0, kUsMax},

      {"engine.simulated_s", 0, 1e8},
      {"engine.tensor_parallel", 1, 1024},
      {"engine.hbm_usable_fraction", 0, 1, kOpenBelow},
      {"engine.prefill_instances", 1, 65536},
      {"engine.prefill_tokens_per_s", kPrefillMin, 1e12},
      {"engine.graph_batch_sizes[]", 1, kCountMax},
      {"engine.level1_interference", 0, 100},
      {"engine.recall_interference", 0, 100},
      {"engine.timeline_s", 0, 1e6},
      {"engine.warmup_windows", 0, 65536},
      {"engine.prefill_chunk_tokens", 1, kTokensMax},
      {"engine.host_contention_ms_per_step", 0, kMsMax},
      {"engine.gather_interference", 0, 100},
      {"engine.executed_ranks", 1, 1},
      {"engine.prefix_store.host_bytes", 0, kBytesMax},
      {"engine.prefix_store.nvme_bytes", 0, kBytesMax},
      {"engine.prefix_store.remote_bytes", 0, kBytesMax},
      {"engine.replicas", 1, 256},
      {"engine.routing_imbalance_requests", 0, kCountMax},
      {"engine.routing_imbalance_factor", 1, 1e6},
      {"engine.dp_attention", 1, 1024},
      {"engine.expert_parallel", 1, 1024},
      {"engine.mtp.draft_tokens", 0, 8},
      {"engine.mtp.acceptance", 0, 1},
      {"engine.slo.ttft_ms", 0, 1e9, kOpenBelow},
      {"engine.slo.tpot_ms", 0, 1e9, kOpenBelow},
  };
  return ranges;
}

absl::Status CheckRanges(const Scenario& scenario, const Origins& origins) {
  absl::Status first;
  std::set<std::string> given;
  VisitSetFields(scenario, "", [&](const std::string& path, const FieldValue& value) {
    given.insert(WithoutIndices(path));
    if (first.ok()) first = CheckValue(path, value, origins);
  });
  if (!first.ok()) return first;
  return CheckPresent(given, origins);
}

}  // namespace tierscope

#include "reports/schema/direction.h"

#include <algorithm>
#include <span>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace tierscope {
namespace {

// A name, or a prefix that ends in '*'.
constexpr absl::string_view kHigherBetter[] = {
    "coverage",        "coverage_prompt",       "goodput_req_per_s",       "prefix_blocks_matched",
    "prefix_hit_rate", "prefix_tokens_reused",  "requests_completed",      "sim_events_per_s",
    "sim_speedup",     "throughput_tok_per_s*", "tokens_per_request_step", "golden_recall",
    "indexer_auc.*",   "indexer_f1.*",          "indexer_precision.*",     "indexer_recall.*",
};

constexpr absl::string_view kLowerBetter[] = {
    "admission_wait_fraction.*",
    "backlog_growth",
    "distil_wall_s",
    "dp_attention_imbalance",
    "entries_fetched",
    "entries_lost",
    "generate_wall_s",
    "gflop_per_token*",
    "hbm_*",
    "host_gib_peak*",
    "hot_buffer_miss_rate",
    "indexer_calibration_error.*",
    "link_utilisation",
    "load_wall_s",
    "miss_*",
    "pages_evicted*",
    "pages_recalled*",
    "peak_rss_bytes",
    "preemptions",
    "prefix_fetch_ms_mean",
    "queue_ms_*",
    "recall_*",
    "replica_imbalance",
    "request_latency_ms_*",
    "requests_rejected",
    "requests_unfinished",
    "sideband_utilisation",
    "sim_events",
    "sim_wall_s",
    "stall_*",
    "step_ms_*",
    "swap_*",
    "tokens_recomputed",
    "tpot_ms_*",
    "ttft_ms_*",
};

bool IsListed(std::span<const absl::string_view> patterns, absl::string_view metric) {
  return std::any_of(patterns.begin(), patterns.end(), [metric](absl::string_view pattern) {
    return absl::ConsumeSuffix(&pattern, "*") ? absl::StartsWith(metric, pattern)
                                              : metric == pattern;
  });
}

}  // namespace

Direction DirectionOf(absl::string_view metric) {
  if (IsListed(kHigherBetter, metric)) return Direction::kHigherBetter;
  if (IsListed(kLowerBetter, metric)) return Direction::kLowerBetter;
  return Direction::kNone;
}

absl::string_view DirectionName(Direction direction) {
  switch (direction) {
    case Direction::kNone:
      return "none";
    case Direction::kHigherBetter:
      return "higher";
    case Direction::kLowerBetter:
      return "lower";
  }
  return "";
}

}  // namespace tierscope

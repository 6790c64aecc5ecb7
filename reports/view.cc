#include "reports/view.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

#include "reports/format.h"
#include "reports/schema/metrics.h"
#include "reports/text.h"

namespace tierscope {
namespace {

struct Cause {
  absl::string_view name;
  absl::string_view meaning;
};

constexpr Cause kCauses[] = {
    {"index", "level-1 scoring and selection"},
    {"queue", "an earlier job or copy in flight"},
    {"transfer", "pages on the host link"},
    {"join", "previous job not yet published"},
    {"eviction", "memory to be freed"},
    {"admission", "a new request's first recall"},
    {"interference", "level 1 and recall beside the step"},
};

std::string TierTitle(absl::string_view tier) {
  if (tier == "hbm") return "HBM, one rank";
  if (tier == "host") return "Host DRAM, node";
  return std::string(tier);
}

// "847x"; below 10 with its decimals.
std::string Speedup(double factor) {
  return absl::StrCat(factor < 10 ? FormatNumber(factor) : FormatCount(std::llround(factor)), "x");
}

TierView& TierNamed(const std::string& tier, size_t run_count, std::vector<TierView>* tiers) {
  for (TierView& view : *tiers) {
    if (view.tier == tier) return view;
  }
  TierView& view = tiers->emplace_back();
  view.tier = tier;
  view.title = TierTitle(tier);
  view.allocated_bytes.resize(run_count);
  view.in_use_bytes.resize(run_count);
  view.capacity_bytes.resize(run_count);
  return view;
}

PoolRow& PoolNamed(const std::string& pool, size_t run_count, TierView* tier) {
  for (PoolRow& row : tier->pools) {
    if (row.pool == pool) return row;
  }
  PoolRow& row = tier->pools.emplace_back();
  row.pool = pool;
  row.allocated_bytes.resize(run_count);
  row.in_use_bytes.resize(run_count);
  return row;
}

void AddPool(const Pool& pool, size_t run, size_t run_count, std::vector<TierView>* tiers) {
  TierView& tier = TierNamed(pool.tier(), run_count, tiers);
  PoolRow& row = PoolNamed(pool.pool(), run_count, &tier);
  row.allocated_bytes[run] = row.allocated_bytes[run].value_or(0) + pool.allocated_bytes();
  row.in_use_bytes[run] = row.in_use_bytes[run].value_or(0) + pool.in_use_bytes();
  tier.allocated_bytes[run] += pool.allocated_bytes();
  tier.in_use_bytes[run] += pool.in_use_bytes();
  tier.capacity_bytes[run] = std::max(tier.capacity_bytes[run], pool.capacity_bytes());
}

}  // namespace

std::vector<TierView> TierViews(std::span<const RunReport> runs) {
  std::vector<TierView> tiers;
  for (size_t run = 0; run < runs.size(); ++run) {
    for (const Pool& pool : runs[run].result.footprint()) AddPool(pool, run, runs.size(), &tiers);
  }
  return tiers;
}

std::vector<CauseRow> CauseRows(std::span<const RunReport> runs) {
  std::vector<CauseRow> rows;
  for (const Cause& cause : kCauses) {
    CauseRow& row = rows.emplace_back();
    row.cause = std::string(cause.name);
    row.meaning = std::string(cause.meaning);
    for (const RunReport& run : runs) {
      const auto ms = MetricValue(run.result, absl::StrCat("stall_ms_by_cause.", cause.name));
      const auto total_ms = MetricValue(run.result, "stall_ms_total");
      const double steps = MetricValue(run.result, "steps").value_or(0);
      row.ms_per_step.push_back(ms && steps > 0 ? std::optional(*ms / steps) : std::nullopt);
      row.share.push_back(ms && total_ms.value_or(0) > 0 ? std::optional(*ms / *total_ms)
                                                         : std::nullopt);
    }
  }
  return rows;
}

std::optional<double> MetricValue(const RunResult& result, absl::string_view name) {
  const Metric* metric = FindMetric(result, name);
  if (metric == nullptr || !HasValue(*metric)) return std::nullopt;
  return metric->value();
}

std::string MetricText(const RunResult& result, absl::string_view name) {
  const Metric* metric = FindMetric(result, name);
  if (metric == nullptr || !HasValue(*metric)) return "-";
  return FormatQuantity(metric->value(), metric->unit());
}

std::string NumberedName(size_t position, const RunReport& run) {
  return absl::StrCat("[", position + 1, "] ", OneLine(run.result.scenario()));
}

std::string RunSummary(const RunReport& run) {
  std::string out;
  if (const auto simulated_s = MetricValue(run.result, "simulated_s")) {
    absl::StrAppend(&out, FormatNumber(*simulated_s), " s ", run.result.kind());
    if (run.host.sim_wall_s > 0 && std::isfinite(run.host.sim_speedup)) {
      absl::StrAppend(&out, " in ", FormatNumber(run.host.sim_wall_s), " s (",
                      Speedup(run.host.sim_speedup), ")");
    }
    absl::StrAppend(&out, ", ");
  }
  if (const auto warmup_s = MetricValue(run.result, "warmup_s")) {
    absl::StrAppend(&out, "warm-up of ", FormatNumber(*warmup_s), " s left out, ");
  }
  return absl::StrCat(out, "seed ", run.result.seed());
}

}  // namespace tierscope

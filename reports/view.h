// Runs side by side, as the table and the HTML report both show them. Pure functions; the views
// hold copies.
#ifndef TIERSCOPE_REPORTS_VIEW_H_
#define TIERSCOPE_REPORTS_VIEW_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "reports/host_result.h"

namespace tierscope {

// One pool of memory; one element a run, empty where the run has no such pool.
struct PoolRow {
  std::string pool;
  std::vector<std::optional<int64_t>> allocated_bytes;
  std::vector<std::optional<int64_t>> in_use_bytes;
};

// One tier of memory: its pools in the order of first appearance; sums and capacity by run.
struct TierView {
  std::string tier;   // "hbm"
  std::string title;  // "HBM, one rank"
  std::vector<PoolRow> pools;
  std::vector<int64_t> allocated_bytes;
  std::vector<int64_t> in_use_bytes;
  std::vector<int64_t> capacity_bytes;  // 0: not known
};

std::vector<TierView> TierViews(std::span<const RunReport> runs);

// One cause of stall by run, in ms per batch step; empty where absent.
struct CauseRow {
  std::string cause;    // "transfer"
  std::string meaning;  // "pages on the host link"
  std::vector<std::optional<double>> ms_per_step;
  std::vector<std::optional<double>> share;  // of the run's stall; empty where there is none
};

std::vector<CauseRow> CauseRows(std::span<const RunReport> runs);

// The value of `name`, or nothing where it is absent or not in the result.
std::optional<double> MetricValue(const RunResult& result, absl::string_view name);

// FormatQuantity of the metric, "-" where it has no value.
std::string MetricText(const RunResult& result, absl::string_view name);

// "[2] h20_full" for the run at position 1, on one line.
std::string NumberedName(size_t position, const RunReport& run);

// "3,600 s simulated in 4.21 s (855x), warm-up of 1.92 s left out, seed 1"; parts unknown are left
// out.
std::string RunSummary(const RunReport& run);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_VIEW_H_

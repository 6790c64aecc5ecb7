#include "reports/table.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "reports/format.h"
#include "reports/grid.h"
#include "reports/schema/metrics.h"
#include "reports/text.h"
#include "reports/view.h"
#include "sim/base/check.h"

namespace tierscope {
namespace {

constexpr size_t kRunsPerBlock = 4;
constexpr size_t kNameColumns = 14;
constexpr double kBarColumns = 20;
constexpr absl::string_view kRed = "\x1b[31m";
constexpr absl::string_view kPlain = "\x1b[0m";

using Runs = std::span<const RunReport>;

// A share in [0, 1] as a bar; anything above 0 shows.
std::string Bar(double share) {
  const double columns = std::ceil(std::clamp(share, 0.0, 1.0) * kBarColumns - 1e-9);
  return std::string(static_cast<size_t>(std::max(columns, 0.0)), '#');
}

// A row of one metric; `note` is shown beside a single run only.
void MetricRow(Runs runs, absl::string_view label, absl::string_view name, Grid* grid,
               absl::string_view note = "") {
  std::vector<std::string> cells;
  for (const RunReport& run : runs) cells.push_back(MetricText(run.result, name));
  grid->Row(1, label, std::move(cells), runs.size() == 1 ? note : "");
}

std::string NoteOf(const RunReport& run, absl::string_view prefix, absl::string_view metric,
                   absl::string_view suffix) {
  const std::string value = MetricText(run.result, metric);
  return value == "-" ? "" : absl::StrCat(prefix, value, suffix);
}

void LoadSection(Runs runs, Grid* grid) {
  const RunReport& first = runs[0];
  MetricRow(runs, "requests decoding, mean", "concurrency_mean", grid);
  MetricRow(runs, "requests completed", "requests_completed", grid,
            NoteOf(first, "", "requests_unfinished", " unfinished at the end"));
  if (runs.size() > 1) MetricRow(runs, "requests unfinished", "requests_unfinished", grid);
  MetricRow(runs, "output tokens", "output_tokens", grid, NoteOf(first, "in ", "steps", " steps"));
  const std::pair<const char*, const char*> balance[] = {
      {"busiest replica / mean", "replica_imbalance"},
      {"fullest group / mean", "dp_attention_imbalance"}};
  for (const auto& [label, metric] : balance) {
    const bool any = std::any_of(runs.begin(), runs.end(), [metric](const RunReport& run) {
      return MetricText(run.result, metric) != "-";
    });
    if (any) MetricRow(runs, label, metric, grid);
  }
}

std::string BytesCell(std::optional<int64_t> bytes) { return bytes ? FormatGib(*bytes) : "-"; }

std::string ShareCell(int64_t bytes, int64_t capacity_bytes) {
  if (capacity_bytes <= 0) return "-";
  return FormatPercent(static_cast<double>(bytes) / static_cast<double>(capacity_bytes));
}

std::string ShareBar(int64_t bytes, int64_t capacity_bytes) {
  if (capacity_bytes <= 0) return "";
  return Bar(static_cast<double>(bytes) / static_cast<double>(capacity_bytes));
}

// One run: allocated, in use, share of the capacity, bar.
void TierOfOneRun(const TierView& tier, Grid* grid) {
  const int64_t capacity_bytes = tier.capacity_bytes[0];
  grid->Row(1, tier.title,
            {FormatGib(tier.allocated_bytes[0]), FormatGib(tier.in_use_bytes[0]),
             ShareCell(tier.allocated_bytes[0], capacity_bytes)},
            capacity_bytes > 0 ? absl::StrCat("of ", FormatGib(capacity_bytes)) : "");
  for (const PoolRow& pool : tier.pools) {
    const int64_t allocated_bytes = pool.allocated_bytes[0].value_or(0);
    grid->Row(2, OneLine(pool.pool),
              {BytesCell(pool.allocated_bytes[0]), BytesCell(pool.in_use_bytes[0]),
               ShareCell(allocated_bytes, capacity_bytes)},
              ShareBar(allocated_bytes, capacity_bytes));
  }
}

// Several runs: a row for the sum, its share of the capacity, and each pool.
void TierOfRuns(const TierView& tier, Grid* grid) {
  std::vector<std::string> sums, shares;
  for (size_t i = 0; i < tier.allocated_bytes.size(); ++i) {
    sums.push_back(FormatGib(tier.allocated_bytes[i]));
    shares.push_back(ShareCell(tier.allocated_bytes[i], tier.capacity_bytes[i]));
  }
  grid->Row(1, tier.title, std::move(sums));
  grid->Row(2, "of capacity", std::move(shares));
  for (const PoolRow& pool : tier.pools) {
    std::vector<std::string> cells;
    for (const std::optional<int64_t>& bytes : pool.allocated_bytes) {
      cells.push_back(BytesCell(bytes));
    }
    grid->Row(2, OneLine(pool.pool), std::move(cells));
  }
}

void FootprintSection(Runs runs, Grid* grid) {
  for (const TierView& tier : TierViews(runs)) {
    if (runs.size() == 1) {
      TierOfOneRun(tier, grid);
    } else {
      TierOfRuns(tier, grid);
    }
  }
  MetricRow(runs, "KV of one request in HBM", "hbm_kv_gib_per_request", grid);
  MetricRow(runs, "  in the paper's accounting", "hbm_kv_paper_gib_per_request", grid);
}

// A count of misses as a share of the selections.
void MissRow(Runs runs, absl::string_view label, absl::string_view name, Grid* grid) {
  std::vector<std::string> cells;
  for (const RunReport& run : runs) {
    const auto misses = MetricValue(run.result, name);
    const double selections = MetricValue(run.result, "selections").value_or(0);
    cells.push_back(misses && selections > 0 ? FormatPercent(*misses / selections) : "-");
  }
  const std::string note = NoteOf(runs[0], "", name, " selections");
  grid->Row(1, label, std::move(cells), runs.size() == 1 ? note : "");
}

bool AnyHas(Runs runs, absl::string_view name) {
  return std::any_of(runs.begin(), runs.end(), [name](const RunReport& run) {
    return MetricValue(run.result, name).has_value();
  });
}

// Of the memory indexer against the native one's selections, beside it against golden entries.
void IndexerRows(Runs runs, Grid* grid) {
  constexpr std::pair<absl::string_view, absl::string_view> kRows[] = {
      {"indexer: precision", "indexer_precision"},
      {"  recall", "indexer_recall"},
      {"  F1", "indexer_f1"},
      {"  AUC", "indexer_auc"},
      {"  calibration error", "indexer_calibration_error"}};
  for (const auto& [label, stem] : kRows) {
    const std::string native = absl::StrCat(stem, ".native"),
                      golden = absl::StrCat(stem, ".golden");
    if (!AnyHas(runs, native) && !AnyHas(runs, golden)) continue;
    MetricRow(runs, label, native, grid, NoteOf(runs[0], "of golden entries ", golden, ""));
  }
}

void AttentionSection(Runs runs, Grid* grid) {
  MetricRow(runs, "coverage", "coverage", grid, "of what the full history would select");
  MetricRow(runs, "coverage of the prompt", "coverage_prompt", grid);
  if (AnyHas(runs, "golden_recall")) {
    MetricRow(runs, "golden entries held", "golden_recall", grid);
  }
  MissRow(runs, "missed, page not active", "miss_inactive", grid);
  MissRow(runs, "missed, page evicted", "miss_evicted", grid);
  MetricRow(runs, "wanted pages not held", "recall_miss_rate", grid);
  if (AnyHas(runs, "hot_buffer_miss_rate")) {
    MetricRow(runs, "hot buffers lacked", "hot_buffer_miss_rate", grid,
              NoteOf(runs[0], "", "entries_fetched", " fetched"));
  }
  MetricRow(runs, "recall, one rank", "recall_gib_per_s", grid,
            NoteOf(runs[0], "", "pages_recalled", " pages"));
  MetricRow(runs, "busiest host link", "link_utilisation", grid);
  MetricRow(runs, "level 1 in flight", "sideband_utilisation", grid);
  IndexerRows(runs, grid);
}

void StallSection(Runs runs, Grid* grid) {
  MetricRow(runs, "all causes, a step", "stall_ms_per_token", grid,
            NoteOf(runs[0], "", "stall_fraction", " of decode time"));
  for (const CauseRow& row : CauseRows(runs)) {
    std::vector<std::string> cells;
    for (const std::optional<double>& ms : row.ms_per_step) {
      cells.push_back(ms ? absl::StrCat(FormatFixed(*ms, 3), " ms") : "-");
    }
    const double share = row.share[0].value_or(0);
    if (runs.size() == 1) cells.push_back(row.share[0] ? FormatPercent(share) : "");
    grid->Row(2, row.cause, std::move(cells), runs.size() == 1 ? Bar(share) : "");
  }
}

struct Labelled {
  absl::string_view label;
  absl::string_view name;
};

constexpr Labelled kSpeedRows[] = {
    {"throughput", "throughput_tok_per_s"},
    {"  a GPU", "throughput_tok_per_s_per_gpu"},
    {"goodput", "goodput_req_per_s"},
};

constexpr Labelled kPercentileRows[] = {
    {"step", "step_ms_"},
    {"TPOT", "tpot_ms_"},
    {"TTFT", "ttft_ms_"},
    {"queue wait", "queue_ms_"},
    {"request", "request_latency_ms_"},
};

// One run: p50 with p99 beside it, which is where a reader looks for it. Several: two rows.
void PercentileRows(Runs runs, const Labelled& row, Grid* grid) {
  const std::string p50 = absl::StrCat(row.name, "p50"), p99 = absl::StrCat(row.name, "p99");
  MetricRow(runs, absl::StrCat(row.label, " p50"), p50, grid);
  MetricRow(runs, absl::StrCat(row.label, " p99"), p99, grid);
}

void SpeedSection(Runs runs, Grid* grid) {
  for (const Labelled& row : kSpeedRows) MetricRow(runs, row.label, row.name, grid);
  for (const Labelled& row : kPercentileRows) {
    if (runs.size() > 1) {
      PercentileRows(runs, row, grid);
      continue;
    }
    const RunResult& result = runs[0].result;
    grid->Row(1, absl::StrCat(row.label, ", p50 and p99"),
              {MetricText(result, absl::StrCat(row.name, "p50")),
               MetricText(result, absl::StrCat(row.name, "p99"))});
  }
}

// The numbers of at most kRunsPerBlock runs; `first` is the position of the first among all.
std::string Block(Runs runs, size_t first, TableOptions options) {
  std::vector<std::string> names;
  if (runs.size() > 1) {
    for (size_t i = 0; i < runs.size(); ++i) {
      names.push_back(Shortened(NumberedName(first + i, runs[i]), kNameColumns));
    }
  }
  const bool one = runs.size() == 1;
  const std::vector<std::string> memory = {"allocated", "in use", "of capacity"};
  Grid grid(options.color);
  grid.Section("Load", names);
  LoadSection(runs, &grid);
  grid.Section("Footprint", one ? memory : names);
  FootprintSection(runs, &grid);
  grid.Section("Attention", names);
  AttentionSection(runs, &grid);
  grid.Section("Stall by cause", one ? std::vector<std::string>{"", "of stall"} : names);
  StallSection(runs, &grid);
  grid.Section("Speed", names);
  SpeedSection(runs, &grid);
  return grid.Text();
}

std::string Paragraph(absl::string_view mark, absl::string_view text) {
  return absl::StrCat("  ", mark, " ", Wrapped(OneLine(text), kGridColumns - 4, "    "), "\n");
}

// The metrics without a value, those of one reason together.
std::string AbsentText(const RunReport& run) {
  std::vector<std::pair<std::string, std::string>> names_by_reason;
  for (const Metric& metric : run.result.metrics()) {
    if (HasValue(metric)) continue;
    const auto same =
        std::find_if(names_by_reason.begin(), names_by_reason.end(),
                     [&](const auto& entry) { return entry.first == metric.absent(); });
    if (same == names_by_reason.end()) {
      names_by_reason.emplace_back(metric.absent(), metric.name());
    } else {
      absl::StrAppend(&same->second, ", ", metric.name());
    }
  }
  std::string out;
  for (const auto& [reason, names] : names_by_reason) {
    absl::StrAppend(&out, Paragraph("-", absl::StrCat(names, ": ", reason)));
  }
  return out.empty() ? "" : absl::StrCat("\nAbsent\n", out);
}

std::string ViolationsText(const RunReport& run, TableOptions options) {
  if (run.result.violations().empty()) return "";
  std::string out = "\nVIOLATIONS: do not trust this result, report it\n";
  for (const Violation& violation : run.result.violations()) {
    absl::StrAppend(&out, Paragraph("!", absl::StrCat(violation.what(), " (",
                                                      FormatCount(violation.count()), " times)")));
  }
  return options.color ? absl::StrCat(kRed, out, kPlain) : out;
}

std::string NotesText(const RunReport& run) {
  std::string out;
  for (const std::string& note : run.result.notes()) absl::StrAppend(&out, Paragraph("-", note));
  return out.empty() ? "" : absl::StrCat("\nNotes\n", out);
}

// What stands under the numbers. Of several runs each names its run, and one that repeats the run
// before it says so instead.
std::string Remarks(Runs runs, TableOptions options) {
  std::string out, previous;
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string text =
        absl::StrCat(AbsentText(runs[i]), ViolationsText(runs[i], options), NotesText(runs[i]));
    if (runs.size() > 1 && !text.empty()) {
      absl::StrAppend(&out, "\n", Shortened(NumberedName(i, runs[i]), kGridColumns), "\n");
    }
    absl::StrAppend(&out, i > 0 && text == previous && !text.empty() ? "  as above\n" : text);
    previous = text;
  }
  return out;
}

std::string Header(Runs runs) {
  std::string out;
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string name =
        runs.size() == 1 ? OneLine(runs[i].result.scenario()) : NumberedName(i, runs[i]);
    const int violations = runs[i].result.violations_size();
    const std::string summary = absl::StrCat("  ", violations > 0 ? "VIOLATIONS below; " : "",
                                             OneLine(RunSummary(runs[i])));
    absl::StrAppend(&out, Shortened(name, kGridColumns), "\n", Shortened(summary, kGridColumns),
                    "\n");
  }
  return out;
}

}  // namespace

std::string RunTable(Runs runs, TableOptions options) {
  TIERSCOPE_CHECK(!runs.empty());
  std::string out = Header(runs);
  for (size_t first = 0; first < runs.size(); first += kRunsPerBlock) {
    const size_t count = std::min(kRunsPerBlock, runs.size() - first);
    absl::StrAppend(&out, Block(runs.subspan(first, count), first, options));
  }
  return absl::StrCat(out, Remarks(runs, options));
}

}  // namespace tierscope

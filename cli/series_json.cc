#include "cli/series_json.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "reports/json_writer.h"
#include "sim/base/status_macros.h"
#include "sim/engine/memory_pools.h"
#include "sim/engine/prefix_store.h"
#include "sim/engine/scored_entries.h"
#include "sim/model/step_model.h"
#include "sim/policy/page_selection.h"

namespace tierscope::cli {
namespace {

constexpr JsonWriter::Layout kInline = JsonWriter::Layout::kInline;
constexpr int kSeriesSchemaVersion = 1;
constexpr const char* kCauses[kStallCauseCount] = {"index",    "queue",     "transfer",    "join",
                                                   "eviction", "admission", "interference"};

using Samples = std::vector<SeriesSample>;

// One number of every sample.
template <typename Get>
void WriteColumn(absl::string_view name, const Samples& samples, Get get, JsonWriter& json) {
  json.Key(name).BeginArray(kInline);
  for (const SeriesSample& sample : samples) json.Int(get(sample));
  json.EndArray();
}

void WriteTotals(const Samples& samples, JsonWriter& json) {
  using S = SeriesSample;
  WriteColumn(
      "time_ns", samples, [](const S& s) { return s.time.ns; }, json);
  json.Key("totals").BeginObject();
  WriteColumn(
      "steps", samples, [](const S& s) { return s.steps; }, json);
  WriteColumn(
      "output_tokens", samples, [](const S& s) { return s.output_tokens; }, json);
  WriteColumn(
      "requests_completed", samples, [](const S& s) { return s.completed; }, json);
  WriteColumn(
      "decode_ns", samples, [](const S& s) { return s.decode_ns; }, json);
  WriteColumn(
      "request_ns", samples, [](const S& s) { return s.request_ns; }, json);
  WriteColumn(
      "selections", samples, [](const S& s) { return s.selections; }, json);
  WriteColumn(
      "missed", samples, [](const S& s) { return s.missed; }, json);
  WriteColumn(
      "recall_bytes", samples, [](const S& s) { return s.recall_bytes; }, json);
  WriteColumn(
      "link_busy_ns", samples, [](const S& s) { return s.link_busy_ns; }, json);
  WriteColumn(
      "sideband_busy_ns", samples, [](const S& s) { return s.sideband_busy_ns; }, json);
  json.EndObject();
  json.Key("stall_ns").BeginObject();
  for (size_t cause = 0; cause < kStallCauseCount; ++cause) {
    WriteColumn(
        kCauses[cause], samples, [&](const S& s) { return s.stall_ns[cause]; }, json);
  }
  json.EndObject();
  json.Key("largest").BeginObject();
  WriteColumn(
      "step_ns", samples, [](const S& s) { return s.step_ns_max; }, json);
  WriteColumn(
      "requests_admitted", samples, [](const S& s) { return s.memory_max.requests_admitted; },
      json);
  json.EndObject();
}

// A pool over time; zeros where it is not there yet.
struct PoolColumns {
  PoolUse pool;
  std::vector<int64_t> allocated, in_use;
};

std::vector<PoolColumns> ColumnsOf(const MemoryPlan& plan, const Samples& samples,
                                   int64_t prefix_block_bytes) {
  std::vector<PoolColumns> columns;
  for (size_t i = 0; i < samples.size(); ++i) {
    for (const PoolUse& use : PoolsOf(plan, samples[i].memory_max, prefix_block_bytes)) {
      auto at = std::find_if(columns.begin(), columns.end(), [&](const PoolColumns& c) {
        return absl::string_view(c.pool.pool) == use.pool &&
               absl::string_view(c.pool.tier) == use.tier;
      });
      if (at == columns.end()) {
        columns.push_back(
            {use, std::vector<int64_t>(samples.size()), std::vector<int64_t>(samples.size())});
        at = columns.end() - 1;
      }
      at->allocated[i] = use.allocated_bytes;
      at->in_use[i] = use.in_use_bytes;
    }
  }
  return columns;
}

void WriteInts(absl::string_view name, const std::vector<int64_t>& values, JsonWriter& json) {
  json.Key(name).BeginArray(kInline);
  for (const int64_t value : values) json.Int(value);
  json.EndArray();
}

void WritePools(const std::vector<PoolColumns>& columns, JsonWriter& json) {
  json.Key("pools").BeginArray();
  for (const PoolColumns& column : columns) {
    json.BeginObject();
    json.Key("tier").String(column.pool.tier);
    json.Key("pool").String(column.pool.pool);
    json.Key("capacity_bytes").Int(column.pool.capacity_bytes);
    WriteInts("allocated_bytes", column.allocated, json);
    WriteInts("in_use_bytes", column.in_use, json);
    json.EndObject();
  }
  json.EndArray();
}

void WriteHistogram(absl::string_view name, const CoarseHistogram& histogram, JsonWriter& json) {
  std::vector<int64_t> lower, upper, counts;
  for (size_t bin = 0; bin < CoarseHistogram::kBins; ++bin) {
    if (histogram.bins[bin] == 0) continue;
    lower.push_back(CoarseHistogram::LowerEdge(bin));
    upper.push_back(bin + 1 < CoarseHistogram::kBins ? CoarseHistogram::LowerEdge(bin + 1)
                                                     : INT64_MAX);
    counts.push_back(histogram.bins[bin]);
  }
  if (counts.empty()) return;
  json.BeginObject();
  json.Key("name").String(name);
  WriteInts("lower_ns", lower, json);
  WriteInts("upper_ns", upper, json);
  WriteInts("counts", counts, json);
  json.EndObject();
}

void WriteHistograms(const RunSeries& series, JsonWriter& json) {
  json.Key("histograms").BeginArray();
  WriteHistogram("step", series.step_ns(), json);
  WriteHistogram("tpot", series.tpot_ns(), json);
  WriteHistogram("ttft", series.ttft_ns(), json);
  WriteHistogram("queue", series.queue_ns(), json);
  WriteHistogram("request_latency", series.latency_ns(), json);
  json.EndArray();
}

// Rows of the grid, of which all past the last with a selection are left out.
void WriteGridRows(absl::string_view name, const CoverageGrid& grid,
                   const std::vector<int64_t>& cells, JsonWriter& json) {
  size_t rows = cells.size() / CoverageGrid::kPositions;
  const auto row_of = [&](size_t row) {
    return grid.all.begin() + static_cast<ptrdiff_t>(row * CoverageGrid::kPositions);
  };
  while (rows > 0 && std::all_of(row_of(rows - 1), row_of(rows), [](int64_t n) { return n == 0; }))
    --rows;
  json.Key(name).BeginArray();
  for (size_t row = 0; row < rows; ++row) {
    json.BeginArray(kInline);
    for (size_t i = 0; i < CoverageGrid::kPositions; ++i) {
      json.Int(cells[row * CoverageGrid::kPositions + i]);
    }
    json.EndArray();
  }
  json.EndArray();
}

void WriteCoverage(const CoverageGrid& grid, JsonWriter& json) {
  json.Key("coverage").BeginObject();
  json.Key("prompt_parts").Int(CoverageGrid::kPromptParts);
  json.Key("stride_steps").Int(grid.stride_steps);
  json.Key("lags_per_row").Int(grid.lags_per_group);
  WriteGridRows("selections", grid, grid.all, json);
  WriteGridRows("missed", grid, grid.missed, json);
  json.EndObject();
}

// A step of the mean batch, by part of the step model.
void WriteStepParts(const Scenario& scenario, const MemoryPlan& plan, const RunSeries& series,
                    JsonWriter& json) {
  const SeriesSample& last = series.samples().back();
  BatchWork mean;
  if (last.steps > 0) {
    mean.requests = static_cast<int32_t>((series.request_steps() + last.steps / 2) / last.steps);
    mean.context_tokens = series.context_token_steps() / last.steps;
    mean.scored_entries = ScoredEntries(scenario.policy().kind(),
                                        series.active_page_steps() * kPageEntries / last.steps,
                                        mean.context_tokens * kPageEntries / plan.page_tokens);
  }
  json.Key("mean_step").BeginObject();
  json.Key("requests").Int(mean.requests);
  json.Key("context_tokens").Int(mean.context_tokens);
  json.Key("scored_entries").Int(mean.scored_entries);
  json.Key("parts").BeginArray();
  for (const LayerKernels::Part& part : StepTimeModel(scenario).Parts(mean)) {
    json.BeginObject(kInline);
    json.Key("part").String(part.name);
    json.Key("ns").Double(part.ns);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
}

}  // namespace

absl::StatusOr<std::string> SeriesJson(const Scenario& scenario, const RequestTrace* requests,
                                       const RunSeries& series, const CoverageTally& coverage) {
  TIERSCOPE_ASSIGN_OR_RETURN(const MemoryPlan plan, MakeMemoryPlan(scenario));
  const int64_t block_bytes =
      plan.prefix_bytes_node > 0 ? PrefixBlockBytesNode(plan, *requests) : 0;
  std::string text;
  JsonWriter json(&text);
  json.BeginObject();
  json.Key("schema_version").Int(kSeriesSchemaVersion);
  WriteTotals(series.samples(), json);
  WritePools(ColumnsOf(plan, series.samples(), block_bytes), json);
  WriteHistograms(series, json);
  WriteCoverage(coverage.Sum(), json);
  WriteStepParts(scenario, plan, series, json);
  json.EndObject();
  return text + "\n";
}

}  // namespace tierscope::cli

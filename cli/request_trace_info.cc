#include "cli/request_trace_info.h"

#include <cstdio>
#include <optional>

#include "absl/strings/str_cat.h"
#include "cli/rows.h"

#include "sim/base/status_macros.h"
#include "traces/request_summary.h"
#include "traces/request_trace.h"

namespace tierscope::cli {
namespace {

// One row: a column for each statistic.
class InfoRow {
 public:
  void Add(absl::string_view name, Cell cell) {
    row_.columns.emplace_back(name);
    row_.cells.resize(1);
    row_.cells[0].push_back(std::move(cell));
  }
  void Add(absl::string_view name, int64_t value) { Add(name, Cell::Count(value)); }
  void Add(absl::string_view name, const std::optional<double>& value) {
    Add(name, value ? Cell::Number(*value, 3) : Cell::Absent());
  }
  void Add(absl::string_view name, const TokenPercentiles& tokens) {
    Add(absl::StrCat(name, "_p50"), tokens.p50);
    Add(absl::StrCat(name, "_p90"), tokens.p90);
    Add(absl::StrCat(name, "_p99"), tokens.p99);
    Add(absl::StrCat(name, "_max"), tokens.max);
  }
  const Rows& row() const { return row_; }

 private:
  Rows row_;
};

Rows Describe(const RequestTrace& trace, const RequestSummary& summary) {
  InfoRow info;
  info.Add("kind", Cell::String("requests"));
  info.Add("format", Cell::String(trace.format));
  info.Add("source", Cell::String(trace.source_name));
  info.Add("digest", Cell::String(trace.digest));
  info.Add("requests", summary.request_count);
  if (trace.failed_request_count > 0) {
    info.Add("failed_requests_left_out", trace.failed_request_count);
  }
  info.Add("conversations", trace.conversation_count);
  info.Add("input_tokens_total", summary.input_tokens_total);
  info.Add("output_tokens_total", summary.output_tokens_total);
  info.Add("input_tokens", summary.input_tokens);
  info.Add("output_tokens", summary.output_tokens);
  info.Add("arrival_span_s", Cell::Number(ToSeconds(summary.arrival_span), 3));
  info.Add("arrival_gap_cv", summary.arrival_gap_cv);
  info.Add("block_tokens", trace.block_tokens);
  info.Add("block_references", trace.block_reference_count);
  info.Add("blocks", trace.block_count);
  info.Add("prefix_reuse", summary.prefix_reuse);
  return info.row();
}

// A line for each statistic, as a person reads it.
Rows Turned(const Rows& row) {
  Rows turned = {.columns = {"statistic", "value"}, .cells = {}};
  for (size_t i = 0; i < row.columns.size(); ++i) {
    turned.cells.push_back({Cell::String(row.columns[i]), row.cells[0][i]});
  }
  return turned;
}

std::string InfoText(const Rows& row, OutputFormat format) {
  switch (format) {
    case OutputFormat::kTable:
      return TableText(Turned(row));
    case OutputFormat::kCsv:
      return CsvText(row);
    case OutputFormat::kJson:
      return absl::StrCat(JsonObject(row, 0), "\n");
  }
  return "";
}

}  // namespace

absl::Status PrintRequestTraceInfo(const std::string& path, absl::string_view format) {
  TIERSCOPE_ASSIGN_OR_RETURN(const OutputFormat output_format, ParseOutputFormat(format));
  TIERSCOPE_ASSIGN_OR_RETURN(const RequestTrace trace, LoadRequestTrace(path, {}));
  const Rows row = Describe(trace, Summarize(trace));
  std::fputs(InfoText(row, output_format).c_str(), stdout);
  return absl::OkStatus();
}

}  // namespace tierscope::cli

#include "traces/request_summary.h"

#include <cmath>
#include <vector>

#include "sim/base/check.h"
#include "sim/base/stats.h"

namespace tierscope {
namespace {

TokenPercentiles PercentilesOf(const RequestTrace& trace, int64_t TraceRequest::*column) {
  std::vector<int64_t> tokens;
  tokens.reserve(trace.requests.size());
  for (const TraceRequest& request : trace.requests) tokens.push_back(request.*column);
  return {.p50 = Percentile(tokens, 0.5),
          .p90 = Percentile(tokens, 0.9),
          .p99 = Percentile(tokens, 0.99),
          .max = Percentile(tokens, 1.0)};
}

std::optional<double> GapCv(const std::vector<TraceRequest>& requests, SimDuration span) {
  if (requests.size() < 3 || span.ns == 0) return std::nullopt;
  const auto gap_count = static_cast<double>(requests.size() - 1);
  const double mean_ns = static_cast<double>(span.ns) / gap_count;
  double square_sum = 0;
  for (size_t i = 1; i < requests.size(); ++i) {
    const SimDuration gap = requests[i].arrival - requests[i - 1].arrival;
    const double excess_ns = static_cast<double>(gap.ns) - mean_ns;
    square_sum += excess_ns * excess_ns;
  }
  return std::sqrt(square_sum / gap_count) / mean_ns;
}

}  // namespace

RequestSummary Summarize(const RequestTrace& trace) {
  TIERSCOPE_CHECK(!trace.requests.empty());
  RequestSummary summary;
  summary.request_count = static_cast<int64_t>(trace.requests.size());
  for (const TraceRequest& request : trace.requests) {
    summary.input_tokens_total += request.input_tokens;
    summary.output_tokens_total += request.output_tokens;
  }
  summary.input_tokens = PercentilesOf(trace, &TraceRequest::input_tokens);
  summary.output_tokens = PercentilesOf(trace, &TraceRequest::output_tokens);
  summary.arrival_span = trace.requests.back().arrival - trace.requests.front().arrival;
  summary.arrival_gap_cv = GapCv(trace.requests, summary.arrival_span);
  if (trace.block_reference_count > 0) {
    const int64_t seen_before = trace.block_reference_count - trace.block_count;
    summary.prefix_reuse =
        static_cast<double>(seen_before) / static_cast<double>(trace.block_reference_count);
  }
  return summary;
}

}  // namespace tierscope

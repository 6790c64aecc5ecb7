// What a request trace is like, in a few numbers. Cost: O(requests), a copy of one column at a
// time.
#ifndef TIERSCOPE_TRACES_REQUEST_SUMMARY_H_
#define TIERSCOPE_TRACES_REQUEST_SUMMARY_H_

#include <cstdint>
#include <optional>

#include "sim/base/time.h"
#include "traces/request_trace.h"

namespace tierscope {

// Nearest-rank percentiles of a column.
struct TokenPercentiles {
  int64_t p50 = 0;
  int64_t p90 = 0;
  int64_t p99 = 0;
  int64_t max = 0;
};

struct RequestSummary {
  int64_t request_count = 0;
  int64_t input_tokens_total = 0;
  int64_t output_tokens_total = 0;
  TokenPercentiles input_tokens;
  TokenPercentiles output_tokens;
  SimDuration arrival_span;  // last arrival - first
  // Standard deviation of the gaps between arrivals / their mean: 1 for a Poisson process. Absent
  // with fewer than two gaps or when all requests arrive at once.
  std::optional<double> arrival_gap_cv;
  // Share of block references whose block an earlier reference named. Absent without block ids.
  std::optional<double> prefix_reuse;
};

// Precondition: the trace holds a request.
RequestSummary Summarize(const RequestTrace& trace);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_REQUEST_SUMMARY_H_

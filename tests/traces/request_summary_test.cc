#include "traces/request_summary.h"

#include "gtest/gtest.h"

namespace tierscope {
namespace {

RequestTrace TraceAt(const std::vector<int64_t>& arrivals_ns) {
  RequestTrace trace;
  int64_t tokens = 0;
  for (const int64_t ns : arrivals_ns) {
    tokens += 10;
    trace.requests.push_back(
        {.arrival = {ns}, .input_tokens = tokens, .output_tokens = 100 - tokens});
  }
  return trace;
}

TEST(RequestSummaryTest, CountsAndPercentiles) {
  const RequestSummary summary = Summarize(TraceAt({5, 6, 7, 8, 25}));
  EXPECT_EQ(summary.request_count, 5);
  EXPECT_EQ(summary.input_tokens_total, 150);
  EXPECT_EQ(summary.output_tokens_total, 350);
  EXPECT_EQ(summary.input_tokens.p50, 30);
  EXPECT_EQ(summary.input_tokens.max, 50);
  EXPECT_EQ(summary.output_tokens.p90, 90);
  EXPECT_EQ(summary.arrival_span.ns, 20);
}

// Gaps 1, 1, 1, 17: mean 5, deviations -4, -4, -4, 12: variance 48; sqrt(48) / 5.
TEST(RequestSummaryTest, BurstinessOfHandWorkedGaps) {
  EXPECT_NEAR(*Summarize(TraceAt({5, 6, 7, 8, 25})).arrival_gap_cv, 1.3856406, 1e-7);
  EXPECT_DOUBLE_EQ(*Summarize(TraceAt({0, 10, 20})).arrival_gap_cv, 0.0);
  EXPECT_FALSE(Summarize(TraceAt({0, 10})).arrival_gap_cv.has_value());
  EXPECT_FALSE(Summarize(TraceAt({3, 3, 3})).arrival_gap_cv.has_value());
}

TEST(RequestSummaryTest, PrefixReuseIsAbsentWithoutIds) {
  RequestTrace trace = TraceAt({0});
  EXPECT_FALSE(Summarize(trace).prefix_reuse.has_value());
  trace.block_reference_count = 8;
  trace.block_count = 6;
  EXPECT_DOUBLE_EQ(*Summarize(trace).prefix_reuse, 0.25);
}

}  // namespace
}  // namespace tierscope

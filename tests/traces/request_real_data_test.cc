// Published traces, to the last integer.
#include <algorithm>

#include "gtest/gtest.h"

#include "tests/testing/real_data.h"
#include "tests/testing/request_traces.h"
#include "traces/request_summary.h"

namespace tierscope {
namespace {

TEST(RequestRealDataTest, MooncakeConversation) {
  TIERSCOPE_SKIP_WITHOUT_REAL_DATA("mooncake/conversation_trace.jsonl");
  const RequestTrace trace =
      testing::Load(testing::RealDataPath("mooncake/conversation_trace.jsonl"));
  const RequestSummary summary = Summarize(trace);
  EXPECT_EQ(summary.request_count, 12'031);
  EXPECT_EQ(summary.input_tokens_total, 144'793'823);
  EXPECT_EQ(summary.output_tokens_total, 4'122'048);
  EXPECT_EQ(summary.arrival_span.ns, 3'536'999'000'000);
  EXPECT_EQ(trace.block_reference_count, 288'500);
  EXPECT_EQ(trace.block_count, 182'790);
}

TEST(RequestRealDataTest, WekaDevelopmentSplit) {
  TIERSCOPE_SKIP_WITHOUT_REAL_DATA("weka-kv-cache-tester/traces_dev.tar.xz");
  const std::string folder = testing::UnpackedWeka();
  ASSERT_FALSE(folder.empty());
  const absl::StatusOr<RequestTrace> trace = LoadRequestTrace(folder, {});
  ASSERT_TRUE(trace.ok()) << trace.status();
  const RequestSummary summary = Summarize(*trace);
  EXPECT_EQ(summary.request_count, 39'197);
  EXPECT_EQ(summary.input_tokens_total, 4'585'723'552);
  EXPECT_EQ(summary.output_tokens_total, 17'166'015);
  EXPECT_EQ(trace->block_reference_count, 71'632'521);
  EXPECT_EQ(trace->block_count, 2'692'588);  // distinct (file, id) pairs
  EXPECT_EQ(trace->conversation_count, 572);
  // Every conversation starts at 0.
  EXPECT_TRUE(std::all_of(trace->requests.begin(), trace->requests.begin() + 572,
                          [](const TraceRequest& r) { return r.arrival.ns == 0; }));
  for (int i = 0; i < 572; ++i) EXPECT_EQ(trace->requests[i].conversation, i);
}

TEST(RequestRealDataTest, AzureCode) {
  TIERSCOPE_SKIP_WITHOUT_REAL_DATA("azure2023/AzureLLMInferenceTrace_code.csv");
  const RequestTrace trace =
      testing::Load(testing::RealDataPath("azure2023/AzureLLMInferenceTrace_code.csv"));
  const RequestSummary summary = Summarize(trace);
  EXPECT_EQ(summary.request_count, 8'819);
  EXPECT_EQ(summary.input_tokens_total, 18'059'974);
  EXPECT_EQ(summary.output_tokens_total, 245'896);
  EXPECT_EQ(trace.requests.front().arrival.ns, 0);
  EXPECT_EQ(trace.requests.back().arrival.ns,
            3'435'948'056'000);  // 18:17:03.97996 to 19:14:19.928016
  EXPECT_NEAR(*summary.arrival_gap_cv, 13.0, 1.0);
}

}  // namespace
}  // namespace tierscope

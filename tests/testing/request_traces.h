// Loading small hand-made request traces in tests.
#ifndef TIERSCOPE_TESTS_TESTING_REQUEST_TRACES_H_
#define TIERSCOPE_TESTS_TESTING_REQUEST_TRACES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"

#include "traces/request_trace.h"

namespace tierscope::testing {

// The trace with its block ids; a failure of the test and an empty trace when it does not load.
inline RequestTrace Load(const std::string& path) {
  absl::StatusOr<RequestTrace> trace = LoadRequestTrace(path, {.load_block_ids = true});
  EXPECT_TRUE(trace.ok()) << trace.status();
  return trace.ok() ? *std::move(trace) : RequestTrace();
}

// Why the trace does not load, with and without ids alike; a failure of the test when it does.
inline std::string LoadError(const std::string& path) {
  const absl::StatusOr<RequestTrace> trace = LoadRequestTrace(path, {.load_block_ids = true});
  const absl::StatusOr<RequestTrace> bare = LoadRequestTrace(path, {});
  EXPECT_FALSE(trace.ok()) << "loads";
  EXPECT_EQ(trace.status(), bare.status());
  const std::string message(trace.status().message());
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return message;
}

template <typename Value>
std::vector<Value> Column(const RequestTrace& trace, Value (*of)(const TraceRequest&)) {
  std::vector<Value> column;
  for (const TraceRequest& request : trace.requests) column.push_back(of(request));
  return column;
}

inline std::vector<int64_t> ArrivalsNs(const RequestTrace& trace) {
  return Column<int64_t>(trace, [](const TraceRequest& r) { return r.arrival.ns; });
}
inline std::vector<int64_t> Inputs(const RequestTrace& trace) {
  return Column<int64_t>(trace, [](const TraceRequest& r) { return r.input_tokens; });
}
inline std::vector<int64_t> Outputs(const RequestTrace& trace) {
  return Column<int64_t>(trace, [](const TraceRequest& r) { return r.output_tokens; });
}
inline std::vector<int32_t> Conversations(const RequestTrace& trace) {
  return Column<int32_t>(trace, [](const TraceRequest& r) { return r.conversation; });
}

inline std::vector<uint32_t> IdsOf(const RequestTrace& trace, size_t index) {
  const absl::Span<const uint32_t> ids = BlockIds(trace, index);
  return {ids.begin(), ids.end()};
}

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_TESTING_REQUEST_TRACES_H_

// Qwen-Bailian usage traces: JSONL, a request a line, timestamp in seconds, hash_ids of 16 tokens
// (ceil(input_length / 16) at least, one scope for the file). chat_id and parent_chat_id chain the
// turns of a conversation; a parent that is not in the file begins one.
#ifndef TIERSCOPE_TRACES_BAILIAN_READER_H_
#define TIERSCOPE_TRACES_BAILIAN_READER_H_

#include <string>

#include "absl/status/statusor.h"

#include "traces/request_trace.h"

namespace tierscope {

inline constexpr int32_t kBailianBlockTokens = 16;

// Errors as "path:line: what; what to do".
absl::StatusOr<RequestTrace> ReadBailianTrace(const std::string& path,
                                              const RequestTraceOptions& options);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_BAILIAN_READER_H_

// BurstGPT traces: CSV with the columns Timestamp (seconds), Request tokens, Response tokens, Total
// tokens, and from release 2 on Session ID (a conversation, may be empty); others are not read. No
// block ids, so nothing is shared. A response of 0 tokens is a failed request: it is left out and
// counted.
#ifndef TIERSCOPE_TRACES_BURSTGPT_READER_H_
#define TIERSCOPE_TRACES_BURSTGPT_READER_H_

#include <string>

#include "absl/status/statusor.h"

#include "traces/request_trace.h"

namespace tierscope {

// Errors as "path:line: what; what to do".
absl::StatusOr<RequestTrace> ReadBurstGptTrace(const std::string& path,
                                               const RequestTraceOptions& options);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_BURSTGPT_READER_H_

// Azure LLM inference trace 2023, CSV with the header `TIMESTAMP,ContextTokens,GeneratedTokens`.
//
// TIMESTAMP is a wall clock `YYYY-MM-DD hh:mm:ss.fffffff` with exactly 7 decimals (100 ns); arrival
// is relative to the earliest row, which is the first one of a file in order; a file out of order
// is sorted stably. Rows hold no prefix ids: block_tokens is 0 and no sharing is invented. Lines
// end in LF or CRLF, the last one may end with the file.
#ifndef TIERSCOPE_TRACES_AZURE_READER_H_
#define TIERSCOPE_TRACES_AZURE_READER_H_

#include <string>

#include "absl/status/statusor.h"

#include "traces/request_trace.h"

namespace tierscope {

// Errors as "path:line: what; what to do".
absl::StatusOr<RequestTrace> ReadAzureTrace(const std::string& path,
                                            const RequestTraceOptions& options);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_AZURE_READER_H_

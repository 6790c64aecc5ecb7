// Mooncake JSONL: one request a line, `{"timestamp", "input_length", "output_length", "hash_ids"}`.
//
// `timestamp` is whole milliseconds since the trace's start (a fraction means another format and is
// refused, never guessed); `hash_ids` name 512-token blocks of the prefix, ceil(input_length / 512)
// of them at least, shared by the whole file; output_length 0 is legal. Lines with equal timestamps
// keep their order; a file out of order is sorted stably. Other fields are ignored, blank lines
// skipped.
#ifndef TIERSCOPE_TRACES_MOONCAKE_READER_H_
#define TIERSCOPE_TRACES_MOONCAKE_READER_H_

#include <string>

#include "absl/status/statusor.h"

#include "traces/request_trace.h"

namespace tierscope {

inline constexpr int32_t kMooncakeBlockTokens = 512;

// Errors as "path:line: what; what to do".
absl::StatusOr<RequestTrace> ReadMooncakeTrace(const std::string& path,
                                               const RequestTraceOptions& options);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_MOONCAKE_READER_H_

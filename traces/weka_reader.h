// WEKA kv-cache-tester JSON: one file is one conversation of a coding agent,
// `{"block_size": 64, "hash_id_scope": "local", "requests": [{"t", "type", "in", "out",
// "hash_ids"}]}`.
//
// `t` and `think_time` (optional) are seconds; an entry of type "n" or "s" is a request; one of
// type "subagent" is a marker whose nested `requests` have `t` relative to the marker's. Times are
// added exactly and then rounded to whole milliseconds, halves up. `hash_ids` name 64-token blocks
// of the prefix, floor(in / 64) of them at least; their scope is the file. A context may shrink.
//
// A directory is one trace of all its *.json files (others are ignored), every conversation
// starting at 0: order is (time, file name, index, inner index), a conversation's number its file's
// place by name, compared by bytes.
#ifndef TIERSCOPE_TRACES_WEKA_READER_H_
#define TIERSCOPE_TRACES_WEKA_READER_H_

#include <string>

#include "absl/status/statusor.h"

#include "traces/request_trace.h"

namespace tierscope {

inline constexpr int32_t kWekaBlockTokens = 64;

// `path` is a file or a directory; one file is in memory at a time. Errors as
// "path: offset n: requests[i].requests[j]: what; what to do".
absl::StatusOr<RequestTrace> ReadWekaTrace(const std::string& path,
                                           const RequestTraceOptions& options);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_WEKA_READER_H_

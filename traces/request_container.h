// Request traces in tierscope's own container (traces/container.h): one RequestTraceHeader, then
// the requests in trace order. Streaming both ways; a container keeps what its source gave, so that
// reading one equals reading the source, digest included.
#ifndef TIERSCOPE_TRACES_REQUEST_CONTAINER_H_
#define TIERSCOPE_TRACES_REQUEST_CONTAINER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "traces/request_trace.h"

namespace tierscope {

// Reads a container. Block ids in it count from 0 without gaps. Errors: damage, a container that
// holds an attention trace, a record out of its range; "path: record n: what; what to do".
absl::StatusOr<RequestTrace> ReadRequestContainer(const std::string& path,
                                                  const RequestTraceOptions& options);

// Writes `trace` to `path` by way of a temporary file, replacing what is there. Precondition: the
// trace was loaded with its block ids.
absl::Status WriteRequestContainer(const RequestTrace& trace, const std::string& path);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_REQUEST_CONTAINER_H_

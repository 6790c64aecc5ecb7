// What `tierscope trace info` shows of a request trace.
#ifndef TIERSCOPE_CLI_REQUEST_TRACE_INFO_H_
#define TIERSCOPE_CLI_REQUEST_TRACE_INFO_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tierscope::cli {

// Loads the trace at `path` (any format of LoadRequestTrace) without its block ids and prints it to
// stdout; `format` is table, csv or json. Error: the trace's, or an unknown format.
absl::Status PrintRequestTraceInfo(const std::string& path, absl::string_view format);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_REQUEST_TRACE_INFO_H_

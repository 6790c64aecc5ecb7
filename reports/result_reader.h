// Reads result.json back: the other direction of result_json.h.
#ifndef TIERSCOPE_REPORTS_RESULT_READER_H_
#define TIERSCOPE_REPORTS_RESULT_READER_H_

#include <string>

#include "absl/status/statusor.h"

#include "reports/schema/result.pb.h"

namespace tierscope {

// `json` is the text of a result.json, `path` what errors call it. Members that are not known are
// passed over; one that is missing or of another type is an error that names it.
absl::StatusOr<RunResult> ParseResultJson(const std::string& path, const std::string& json);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_RESULT_READER_H_

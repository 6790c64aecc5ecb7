// Checked reading of JSON values with simdjson's on-demand API: ranges are enforced and errors name
// the field. Messages carry no place; the reader adds it with At(). For .cc files of readers only.
#ifndef TIERSCOPE_TRACES_JSON_VALUE_H_
#define TIERSCOPE_TRACES_JSON_VALUE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "simdjson.h"

namespace tierscope {

using JsonResult = simdjson::simdjson_result<simdjson::ondemand::value>;

inline absl::string_view ToAbsl(std::string_view s) { return {s.data(), s.size()}; }

// "<what simdjson found wrong>; <mend>" for text that is no JSON.
absl::Status BadJson(simdjson::error_code error);

// Whether nothing but white space follows the root value, which must have been read to its end.
inline bool JsonAtEnd(simdjson::ondemand::document& document) {
  return document.current_location().error() == simdjson::OUT_OF_BOUNDS;
}

// A whole number in [0, max].
absl::StatusOr<int64_t> JsonCount(JsonResult value, absl::string_view field, int64_t max);

// Seconds in [0, kTraceSpanSecondsMax] as nanoseconds, rounded half up.
absl::StatusOr<int64_t> JsonSecondsNs(JsonResult value, absl::string_view field);

// Replaces `ids` by an array of whole numbers in [0, 2^64).
absl::Status JsonIds(JsonResult value, absl::string_view field, std::vector<uint64_t>* ids);

// A string; the view holds until the parser reads its next document.
absl::StatusOr<absl::string_view> JsonString(JsonResult value, absl::string_view field);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_JSON_VALUE_H_

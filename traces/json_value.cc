#include "traces/json_value.h"

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "sim/base/time.h"
#include "traces/request_trace.h"

namespace tierscope {
namespace {

absl::Status BadField(absl::string_view field, simdjson::error_code error,
                      absl::string_view expected) {
  if (error == simdjson::NO_SUCH_FIELD) {
    return absl::InvalidArgumentError(
        absl::StrCat("field '", field, "' is missing; add it or leave the record out"));
  }
  return absl::InvalidArgumentError(absl::StrCat("field '", field, "' is not ", expected,
                                                 "; correct it or export the trace again"));
}

absl::Status BadId(absl::string_view field, size_t index, simdjson::error_code error) {
  if (error == simdjson::TAPE_ERROR || error == simdjson::INCOMPLETE_ARRAY_OR_OBJECT) {
    return BadJson(error);
  }
  return BadField(absl::StrCat(field, "[", index, "]"), error, "a whole number in [0, 2^64)");
}

}  // namespace

absl::Status BadJson(simdjson::error_code error) {
  return absl::InvalidArgumentError(absl::StrCat("damaged or cut JSON (",
                                                 simdjson::error_message(error),
                                                 "); fetch or export the trace again"));
}

absl::StatusOr<int64_t> JsonCount(JsonResult value, absl::string_view field, int64_t max) {
  int64_t count = 0;
  const simdjson::error_code error = value.get_int64().get(count);
  if (error != simdjson::SUCCESS || count < 0 || count > max) {
    return BadField(field, error, absl::StrCat("a whole number from 0 to ", max));
  }
  return count;
}

absl::StatusOr<int64_t> JsonSecondsNs(JsonResult value, absl::string_view field) {
  double seconds = 0;
  const simdjson::error_code error = value.get_double().get(seconds);
  const bool in_range = seconds >= 0 && seconds <= static_cast<double>(kTraceSpanSecondsMax);
  if (error != simdjson::SUCCESS || !in_range) {
    return BadField(field, error, absl::StrCat("a time from 0 to ", kTraceSpanSecondsMax, " s"));
  }
  return DurationFromSeconds(seconds).ns;
}

absl::Status JsonIds(JsonResult value, absl::string_view field, std::vector<uint64_t>* ids) {
  simdjson::ondemand::array array;
  if (const auto error = value.get_array().get(array); error != simdjson::SUCCESS) {
    return BadField(field, error, "an array of block ids");
  }
  ids->clear();
  for (auto element : array) {
    uint64_t id = 0;
    if (const auto error = element.get_uint64().get(id); error != simdjson::SUCCESS) {
      return BadId(field, ids->size(), error);
    }
    ids->push_back(id);
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::string_view> JsonString(JsonResult value, absl::string_view field) {
  std::string_view text;
  if (const auto error = value.get_string().get(text); error != simdjson::SUCCESS) {
    return BadField(field, error, "a string");
  }
  return ToAbsl(text);
}

}  // namespace tierscope

#include <string>
#include <vector>

#include "simdjson.h"

#include "sim/base/check.h"
#include "tests/fuzz/inputs.h"
#include "tests/fuzz/targets.h"
#include "traces/json_value.h"
#include "traces/request_trace.h"

namespace tierscope::testing {
namespace {

constexpr int64_t kCountMax = 1000;

// Reads the field as whatever kind its name asks for. The messages lack a place here: that is the
// readers' part.
absl::Status ReadField(absl::string_view name, JsonResult value) {
  if (name == "count") {
    const absl::StatusOr<int64_t> count = JsonCount(value, name, kCountMax);
    TIERSCOPE_CHECK(!count.ok() || (*count >= 0 && *count <= kCountMax));
    return count.status();
  }
  if (name == "seconds") {
    const absl::StatusOr<int64_t> ns = JsonSecondsNs(value, name);
    TIERSCOPE_CHECK(!ns.ok() || (*ns >= 0 && *ns <= kTraceSpanSecondsMax * 1'000'000'000));
    return ns.status();
  }
  if (name == "ids") {
    std::vector<uint64_t> ids;
    return JsonIds(value, name, &ids);
  }
  if (name == "text") return JsonString(value, name).status();
  return absl::OkStatus();
}

absl::Status ReadDocument(simdjson::ondemand::parser* parser, const simdjson::padded_string& text) {
  simdjson::ondemand::document document;
  if (const auto error = parser->iterate(text).get(document); error) return BadJson(error);
  simdjson::ondemand::object object;
  if (const auto error = document.get_object().get(object); error) return BadJson(error);
  for (auto field : object) {
    std::string_view name;
    if (const auto error = field.unescaped_key().get(name); error) return BadJson(error);
    const absl::Status status = ReadField(ToAbsl(name), field.value());
    if (!status.ok()) return status;
  }
  return JsonAtEnd(document) ? absl::OkStatus() : BadJson(simdjson::TRAILING_CONTENT);
}

}  // namespace

void FuzzJsonValue(absl::string_view input) {
  static simdjson::ondemand::parser parser;
  const simdjson::padded_string text(input.data(), input.size());
  const absl::Status status = ReadDocument(&parser, text);
  if (!status.ok()) CheckMessage(status);
}

}  // namespace tierscope::testing

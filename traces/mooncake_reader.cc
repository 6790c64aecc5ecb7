#include "traces/mooncake_reader.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/json_value.h"
#include "traces/request_trace_builder.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kTimestampMsMax = kTraceSpanSecondsMax * 1000;
static_assert(kSourcePaddingBytes >= simdjson::SIMDJSON_PADDING);

enum Field : unsigned { kTimestamp = 1, kInput = 2, kOutput = 4, kHashIds = 8, kAll = 15 };

struct Record {
  unsigned seen = 0;
  TraceRequest request;
  std::vector<uint64_t> hash_ids;
};

absl::Status MarkSeen(Field field, absl::string_view name, Record* record) {
  if ((record->seen & field) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("field '", name, "' stands twice; remove one of them"));
  }
  record->seen |= field;
  return absl::OkStatus();
}

absl::Status ReadTimestamp(JsonResult value, Record* record) {
  const absl::StatusOr<int64_t> ms = JsonCount(value, "timestamp", kTimestampMsMax);
  if (!ms.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("field 'timestamp' is not a whole number of milliseconds from 0 to ",
                     kTimestampMsMax, "; convert a trace in seconds or in another format first"));
  }
  record->request.arrival.ns = *ms * kNsPerMs;
  return absl::OkStatus();
}

absl::Status ReadField(absl::string_view name, JsonResult value, Record* record) {
  TraceRequest& request = record->request;
  if (name == "timestamp") {
    TIERSCOPE_RETURN_IF_ERROR(MarkSeen(kTimestamp, name, record));
    return ReadTimestamp(value, record);
  }
  if (name == "input_length") {
    TIERSCOPE_RETURN_IF_ERROR(MarkSeen(kInput, name, record));
    TIERSCOPE_ASSIGN_OR_RETURN(request.input_tokens, JsonCount(value, name, kRequestTokensMax));
  } else if (name == "output_length") {
    TIERSCOPE_RETURN_IF_ERROR(MarkSeen(kOutput, name, record));
    TIERSCOPE_ASSIGN_OR_RETURN(request.output_tokens, JsonCount(value, name, kRequestTokensMax));
  } else if (name == "hash_ids") {
    TIERSCOPE_RETURN_IF_ERROR(MarkSeen(kHashIds, name, record));
    return JsonIds(value, name, &record->hash_ids);
  } else if (name == "chat_id") {
    return absl::InvalidArgumentError(
        "field 'chat_id' marks a Bailian record (seconds, 16-token ids) among Mooncake's; keep the "
        "two "
        "in files of their own");
  }
  return absl::OkStatus();
}

absl::Status MissingField(unsigned seen) {
  const absl::string_view name = !(seen & kTimestamp) ? "timestamp"
                                 : !(seen & kInput)   ? "input_length"
                                 : !(seen & kOutput)  ? "output_length"
                                                      : "hash_ids";
  return absl::InvalidArgumentError(
      absl::StrCat("field '", name, "' is missing; add it or leave the record out"));
}

absl::Status CheckHashIds(const Record& record) {
  const auto id_count = static_cast<int64_t>(record.hash_ids.size());
  if (id_count * kMooncakeBlockTokens >= record.request.input_tokens) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      id_count, " hash_ids of ", kMooncakeBlockTokens, " tokens are too few for input_length ",
      record.request.input_tokens, "; give ceil(input_length / ", kMooncakeBlockTokens,
      ") ids or correct input_length"));
}

// Every field is visited, so that text cut anywhere in the line is noticed.
absl::Status ReadFields(simdjson::ondemand::document& document, Record* record) {
  simdjson::ondemand::object object;
  if (const auto error = document.get_object().get(object); error != simdjson::SUCCESS) {
    return BadJson(error);
  }
  for (auto field : object) {
    std::string_view name;
    if (const auto error = field.unescaped_key().get(name); error != simdjson::SUCCESS) {
      return BadJson(error);
    }
    TIERSCOPE_RETURN_IF_ERROR(ReadField(ToAbsl(name), field.value(), record));
  }
  if (!JsonAtEnd(document)) return BadJson(simdjson::TRAILING_CONTENT);
  return absl::OkStatus();
}

absl::Status ReadRecord(absl::string_view line, size_t readable_bytes,
                        simdjson::ondemand::parser* parser, Record* record) {
  simdjson::ondemand::document document;
  const simdjson::padded_string_view text(line.data(), line.size(), readable_bytes);
  if (const auto error = parser->iterate(text).get(document); error != simdjson::SUCCESS) {
    return BadJson(error);
  }
  record->seen = 0;
  TIERSCOPE_RETURN_IF_ERROR(ReadFields(document, record));
  if (record->seen != kAll) return MissingField(record->seen);
  return CheckHashIds(*record);
}

}  // namespace

absl::StatusOr<RequestTrace> ReadMooncakeTrace(const std::string& path,
                                               const RequestTraceOptions& options) {
  SourceFile file;
  TIERSCOPE_RETURN_IF_ERROR(file.Read(path));
  RequestTraceBuilder builder("mooncake", BaseName(path), kMooncakeBlockTokens, options);
  simdjson::ondemand::parser parser;
  Record record;
  absl::string_view text = file.text();
  const char* const readable_end = text.data() + text.size() + kSourcePaddingBytes;
  absl::string_view line;
  for (int64_t number = 1; NextLine(&text, &line); ++number) {
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    const auto readable_bytes = static_cast<size_t>(readable_end - line.data());
    absl::Status status = ReadRecord(line, readable_bytes, &parser, &record);
    if (status.ok()) status = builder.Add(record.request, record.hash_ids);
    if (!status.ok()) return At(PlaceOfLine(path, number), status);
  }
  absl::StatusOr<RequestTrace> trace = builder.Finish(/*conversation_count=*/0);
  if (!trace.ok()) return At(path, trace.status());
  return trace;
}

}  // namespace tierscope

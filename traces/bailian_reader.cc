#include "traces/bailian_reader.h"

#include <limits>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/json_value.h"
#include "traces/request_trace_builder.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

enum Field : unsigned {
  kTimestamp = 1,
  kInput = 2,
  kOutput = 4,
  kHashIds = 8,
  kChat = 16,
  kParent = 32,
  kAll = 63
};
constexpr const char* kFieldNames[] = {"timestamp", "input_length", "output_length",
                                       "hash_ids",  "chat_id",      "parent_chat_id"};

struct Record {
  unsigned seen = 0;
  TraceRequest request;
  int64_t chat = 0;
  int64_t parent = 0;  // -1 = none
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

absl::Status ReadField(absl::string_view name, JsonResult value, Record* record) {
  TraceRequest& request = record->request;
  if (name == "timestamp") {
    TIERSCOPE_RETURN_IF_ERROR(MarkSeen(kTimestamp, name, record));
    TIERSCOPE_ASSIGN_OR_RETURN(request.arrival.ns, JsonSecondsNs(value, name));
  } else if (name == "input_length") {
    TIERSCOPE_RETURN_IF_ERROR(MarkSeen(kInput, name, record));
    TIERSCOPE_ASSIGN_OR_RETURN(request.input_tokens, JsonCount(value, name, kRequestTokensMax));
  } else if (name == "output_length") {
    TIERSCOPE_RETURN_IF_ERROR(MarkSeen(kOutput, name, record));
    TIERSCOPE_ASSIGN_OR_RETURN(request.output_tokens, JsonCount(value, name, kRequestTokensMax));
  } else if (name == "hash_ids") {
    TIERSCOPE_RETURN_IF_ERROR(MarkSeen(kHashIds, name, record));
    return JsonIds(value, name, &record->hash_ids);
  } else if (name == "chat_id") {
    TIERSCOPE_RETURN_IF_ERROR(MarkSeen(kChat, name, record));
    TIERSCOPE_ASSIGN_OR_RETURN(record->chat,
                               JsonCount(value, name, std::numeric_limits<int64_t>::max()));
  } else if (name == "parent_chat_id") {
    TIERSCOPE_RETURN_IF_ERROR(MarkSeen(kParent, name, record));
    if (value.get_int64().get(record->parent) != simdjson::SUCCESS || record->parent < -1) {
      return absl::InvalidArgumentError(
          "field 'parent_chat_id' is no whole number from -1; correct it or fetch the trace again");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRecord(const Record& record) {
  for (unsigned bit = 0; bit < 6; ++bit) {
    if ((record.seen >> bit & 1) != 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("field '", kFieldNames[bit], "' is missing; add it or leave the record out"));
  }
  const auto id_count = static_cast<int64_t>(record.hash_ids.size());
  if (id_count * kBailianBlockTokens >= record.request.input_tokens) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      id_count, " hash_ids of ", kBailianBlockTokens, " tokens are too few for input_length ",
      record.request.input_tokens, "; give ceil(input_length / ", kBailianBlockTokens,
      ") ids or correct input_length"));
}

absl::Status ReadRecord(absl::string_view line, size_t readable_bytes,
                        simdjson::ondemand::parser* parser, Record* record) {
  simdjson::ondemand::document document;
  simdjson::ondemand::object object;
  const simdjson::padded_string_view text(line.data(), line.size(), readable_bytes);
  auto error = parser->iterate(text).get(document);
  if (error == simdjson::SUCCESS) error = document.get_object().get(object);
  if (error != simdjson::SUCCESS) return BadJson(error);
  record->seen = 0;
  for (auto field : object) {
    std::string_view name;
    if (error = field.unescaped_key().get(name); error != simdjson::SUCCESS) return BadJson(error);
    TIERSCOPE_RETURN_IF_ERROR(ReadField(ToAbsl(name), field.value(), record));
  }
  if (!JsonAtEnd(document)) return BadJson(simdjson::TRAILING_CONTENT);
  return CheckRecord(*record);
}

// Numbers conversations by their first request in the file.
class Conversations {
 public:
  absl::StatusOr<int32_t> Of(const Record& record) {
    const auto parent = number_of_.find(record.parent);
    const bool goes_on = record.parent >= 0 && parent != number_of_.end();
    const int32_t number = goes_on ? parent->second : static_cast<int32_t>(count_++);
    if (count_ > kConversationCountMax) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", kConversationCountMax, " conversations; split the trace"));
    }
    if (!number_of_.try_emplace(record.chat, number).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("chat_id ", record.chat, " stands twice; leave one record out"));
    }
    return number;
  }
  int64_t count() const { return count_; }

 private:
  absl::flat_hash_map<int64_t, int32_t> number_of_;
  int64_t count_ = 0;
};

}  // namespace

absl::StatusOr<RequestTrace> ReadBailianTrace(const std::string& path,
                                              const RequestTraceOptions& options) {
  SourceFile file;
  TIERSCOPE_RETURN_IF_ERROR(file.Read(path));
  RequestTraceBuilder builder("bailian", BaseName(path), kBailianBlockTokens, options);
  simdjson::ondemand::parser parser;
  Conversations conversations;
  Record record;
  absl::string_view text = file.text();
  const char* const readable_end = text.data() + text.size() + kSourcePaddingBytes;
  absl::string_view line;
  for (int64_t number = 1; NextLine(&text, &line); ++number) {
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    absl::Status status =
        ReadRecord(line, static_cast<size_t>(readable_end - line.data()), &parser, &record);
    if (status.ok()) {
      const absl::StatusOr<int32_t> conversation = conversations.Of(record);
      status = conversation.status();
      if (status.ok()) record.request.conversation = *conversation;
    }
    if (status.ok()) status = builder.Add(record.request, record.hash_ids);
    if (!status.ok()) return At(PlaceOfLine(path, number), status);
  }
  absl::StatusOr<RequestTrace> trace = builder.Finish(conversations.count());
  if (!trace.ok()) return At(path, trace.status());
  return trace;
}

}  // namespace tierscope

#include "traces/weka_reader.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"

#include "sim/base/quoted.h"
#include "sim/base/status_macros.h"
#include "traces/json_value.h"
#include "traces/request_trace_builder.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;
static_assert(kSourcePaddingBytes >= simdjson::SIMDJSON_PADDING);

int64_t RoundToMs(int64_t ns) { return (ns + kNsPerMs / 2) / kNsPerMs * kNsPerMs; }

// Where in the file the reader stands, for messages.
struct Place {
  int64_t offset = 0;
  int64_t index = -1;        // in `requests`, -1 = not inside
  int64_t inner_index = -1;  // in a marker's `requests`, -1 = not inside
};

std::string PlaceText(const std::string& path, const Place& place) {
  std::string text = PlaceOfOffset(path, place.offset);
  if (place.index >= 0) absl::StrAppend(&text, ": requests[", place.index, "]");
  if (place.inner_index >= 0) absl::StrAppend(&text, ".requests[", place.inner_index, "]");
  return text;
}

// Reads one conversation after the other into a builder.
class ConversationReader {
 public:
  explicit ConversationReader(RequestTraceBuilder* builder) : builder_(builder) {}
  absl::Status Read(const std::string& path, int32_t conversation);

 private:
  absl::Status ReadDocument();
  absl::Status ReadFields(simdjson::ondemand::object& object);
  absl::Status ReadField(absl::string_view name, JsonResult value);
  absl::Status ReadEntries(JsonResult value, int64_t* index);
  absl::Status ReadEntry(simdjson::ondemand::object& entry);
  absl::Status ReadMarker(simdjson::ondemand::object& marker);
  absl::Status ReadRequest(simdjson::ondemand::object& object);
  absl::Status CheckHashIds() const;

  RequestTraceBuilder* builder_;
  SourceFile file_;
  simdjson::ondemand::parser parser_;
  Place place_;
  bool has_requests_ = false;
  int64_t marker_ns_ = 0;  // time of the sub-agent being read, 0 outside
  int64_t entry_ns_ = 0;   // `t` of the entry being read
  TraceRequest request_;
  std::vector<uint64_t> hash_ids_;
};

absl::Status ConversationReader::Read(const std::string& path, int32_t conversation) {
  TIERSCOPE_RETURN_IF_ERROR(file_.Read(path));
  builder_->StartBlockScope();
  request_.conversation = conversation;
  place_ = Place();
  has_requests_ = false;
  const absl::Status status = ReadDocument();
  return status.ok() ? status : At(PlaceText(path, place_), status);
}

absl::Status ConversationReader::ReadDocument() {
  const absl::string_view text = file_.text();
  const auto text_end = file_.OffsetOf(text.data() + text.size());
  place_.offset = text_end;  // where a cut file is cut
  const simdjson::padded_string_view padded(text.data(), text.size(),
                                            text.size() + kSourcePaddingBytes);
  simdjson::ondemand::document document;
  if (const auto error = parser_.iterate(padded).get(document); error) return BadJson(error);
  simdjson::ondemand::object object;
  if (const auto error = document.get_object().get(object); error) return BadJson(error);
  TIERSCOPE_RETURN_IF_ERROR(ReadFields(object));
  place_ = {.offset = text_end};
  if (!JsonAtEnd(document)) return BadJson(simdjson::TRAILING_CONTENT);
  if (has_requests_) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "field 'requests' is missing; give a conversation of kv-cache-tester");
}

// Every field is visited, so that text cut anywhere is noticed.
absl::Status ConversationReader::ReadFields(simdjson::ondemand::object& object) {
  const int64_t text_end = place_.offset;
  for (auto field : object) {
    place_ = {.offset = text_end};
    std::string_view name;
    if (const auto error = field.unescaped_key().get(name); error) return BadJson(error);
    TIERSCOPE_RETURN_IF_ERROR(ReadField(ToAbsl(name), field.value()));
  }
  return absl::OkStatus();
}

absl::Status ConversationReader::ReadField(absl::string_view name, JsonResult value) {
  std::string_view token;
  if (value.raw_json_token().get(token)) return BadJson(simdjson::TAPE_ERROR);
  if (name == "requests") {
    if (has_requests_) {
      return absl::InvalidArgumentError("field 'requests' stands twice; remove one of them");
    }
    has_requests_ = true;
    return ReadEntries(value, &place_.index);
  }
  if (name == "block_size") {
    place_.offset = file_.OffsetOf(token.data());
    TIERSCOPE_ASSIGN_OR_RETURN(const int64_t tokens, JsonCount(value, name, kRequestTokensMax));
    if (tokens == kWekaBlockTokens) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("block_size is ", tokens, ", not ", kWekaBlockTokens, "; convert the trace"));
  }
  if (name == "hash_id_scope") {
    place_.offset = file_.OffsetOf(token.data());
    TIERSCOPE_ASSIGN_OR_RETURN(const absl::string_view scope, JsonString(value, name));
    if (scope == "local") return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        "hash_id_scope is ", Quoted(scope), ", not 'local'; make the ids local to their file"));
  }
  return absl::OkStatus();
}

absl::Status ConversationReader::ReadEntries(JsonResult value, int64_t* index) {
  simdjson::ondemand::array entries;
  if (value.get_array().get(entries)) {
    return absl::InvalidArgumentError("field 'requests' is not an array; export the trace again");
  }
  *index = 0;
  for (auto element : entries) {
    std::string_view token;
    if (const auto error = element.raw_json_token().get(token); error) return BadJson(error);
    place_.offset = file_.OffsetOf(token.data());
    simdjson::ondemand::object entry;
    if (element.get_object().get(entry)) {
      return absl::InvalidArgumentError("is not an object; export the trace again");
    }
    TIERSCOPE_RETURN_IF_ERROR(ReadEntry(entry));
    ++*index;
  }
  *index = -1;
  return absl::OkStatus();
}

absl::Status ConversationReader::ReadEntry(simdjson::ondemand::object& entry) {
  TIERSCOPE_ASSIGN_OR_RETURN(entry_ns_, JsonSecondsNs(entry["t"], "t"));
  TIERSCOPE_ASSIGN_OR_RETURN(const absl::string_view type, JsonString(entry["type"], "type"));
  if (type == "n" || type == "s") return ReadRequest(entry);
  if (type != "subagent") {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown type ", Quoted(type),
                     "; 'n', 's' and 'subagent' are read, convert or remove the entry"));
  }
  if (place_.inner_index < 0) return ReadMarker(entry);
  return absl::InvalidArgumentError(
      "a sub-agent inside a sub-agent is not read; move its requests up, adding the times");
}

absl::Status ConversationReader::ReadMarker(simdjson::ondemand::object& marker) {
  auto nested = marker["requests"];
  if (nested.error()) {
    return absl::InvalidArgumentError(
        "field 'requests' of a sub-agent is missing; add it or leave the entry out");
  }
  marker_ns_ = entry_ns_;
  TIERSCOPE_RETURN_IF_ERROR(ReadEntries(nested, &place_.inner_index));
  marker_ns_ = 0;
  return absl::OkStatus();
}

absl::Status ConversationReader::ReadRequest(simdjson::ondemand::object& object) {
  request_.arrival.ns = RoundToMs(marker_ns_ + entry_ns_);
  TIERSCOPE_ASSIGN_OR_RETURN(request_.input_tokens,
                             JsonCount(object["in"], "in", kRequestTokensMax));
  TIERSCOPE_ASSIGN_OR_RETURN(request_.output_tokens,
                             JsonCount(object["out"], "out", kRequestTokensMax));
  TIERSCOPE_RETURN_IF_ERROR(JsonIds(object["hash_ids"], "hash_ids", &hash_ids_));
  TIERSCOPE_RETURN_IF_ERROR(CheckHashIds());
  request_.think.ns = 0;
  auto think = object["think_time"];
  if (think.error() != simdjson::NO_SUCH_FIELD) {
    TIERSCOPE_ASSIGN_OR_RETURN(const int64_t think_ns, JsonSecondsNs(think, "think_time"));
    request_.think.ns = RoundToMs(think_ns);
  }
  return builder_->Add(request_, hash_ids_);
}

absl::Status ConversationReader::CheckHashIds() const {
  const auto id_count = static_cast<int64_t>(hash_ids_.size());
  if (id_count >= request_.input_tokens / kWekaBlockTokens) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      id_count, " hash_ids of ", kWekaBlockTokens, " tokens are too few for in ",
      request_.input_tokens, "; give floor(in / ", kWekaBlockTokens, ") ids or correct in"));
}

// The *.json files of a directory by name, or the file itself.
absl::StatusOr<std::vector<std::string>> ConversationFiles(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return std::vector<std::string>{path};
  std::vector<std::string> names;
  std::filesystem::directory_iterator it(path, error);
  for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    if (it->path().extension() == ".json") names.push_back(it->path().filename());
  }
  if (error) {
    return BadInput(path, absl::StrCat("cannot list: ", error.message()), "check its permissions");
  }
  if (names.empty()) {
    return BadInput(path, "the directory holds no .json file",
                    "give a directory of kv-cache-tester conversations");
  }
  if (static_cast<int64_t>(names.size()) > kConversationCountMax) {
    return BadInput(path, absl::StrCat("holds ", names.size(), " .json files"),
                    absl::StrCat("split it into at most ", kConversationCountMax));
  }
  std::sort(names.begin(), names.end());
  for (std::string& name : names) name = std::filesystem::path(path) / name;
  return names;
}

}  // namespace

absl::StatusOr<RequestTrace> ReadWekaTrace(const std::string& path,
                                           const RequestTraceOptions& options) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::vector<std::string> files, ConversationFiles(path));
  RequestTraceBuilder builder("weka", BaseName(path), kWekaBlockTokens, options);
  ConversationReader reader(&builder);
  for (size_t i = 0; i < files.size(); ++i) {
    TIERSCOPE_RETURN_IF_ERROR(reader.Read(files[i], static_cast<int32_t>(i)));
  }
  absl::StatusOr<RequestTrace> trace = builder.Finish(static_cast<int64_t>(files.size()));
  if (!trace.ok()) return At(path, trace.status());
  return trace;
}

}  // namespace tierscope

#include "traces/request_container.h"

#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "simdjson.h"

#include "sim/base/check.h"
#include "sim/base/status_macros.h"
#include "traces/container.h"
#include "traces/request_trace_builder.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

constexpr int64_t kTraceSpanNsMax = 2 * kTraceSpanSecondsMax * 1'000'000'000;
constexpr size_t kNameBytesMax = 4096;

absl::Status BadRecord(const ContainerReader& reader, absl::string_view what) {
  const int64_t record = reader.records_read() - 1;
  return BadInput(absl::StrCat(reader.path(), ": record ", record), what,
                  "import the source again");
}

bool InRange(int64_t value, int64_t max) { return value >= 0 && value <= max; }

bool IsValid(const RequestTraceHeader& header) {
  return header.format().size() <= kNameBytesMax && header.source_name().size() <= kNameBytesMax &&
         InRange(header.block_tokens(), kRequestTokensMax) &&
         InRange(header.conversation_count(), kConversationCountMax) &&
         InRange(header.failed_request_count(), kRequestCountMax);
}

bool IsValid(const Request& request, int64_t conversation_count) {
  return InRange(request.arrival_ns(), kTraceSpanNsMax) &&
         InRange(request.think_ns(), kTraceSpanNsMax) &&
         InRange(request.input_tokens(), kRequestTokensMax) &&
         InRange(request.output_tokens(), kRequestTokensMax) && request.conversation() >= -1 &&
         request.conversation() < conversation_count;
}

// Sources differ in how they count a last, partial block; none has fewer ids than whole blocks.
bool HasEnoughBlocks(const Request& request, int64_t block_tokens) {
  if (block_tokens == 0) return request.block_ids().empty();
  return request.block_ids_size() >= request.input_tokens() / block_tokens;
}

absl::StatusOr<RequestTraceHeader> ReadHeader(ContainerReader* reader) {
  TraceRecord record;
  TIERSCOPE_ASSIGN_OR_RETURN(const bool has_record, reader->Next(&record));
  if (!has_record) {
    return BadInput(reader->path(), "the container holds no record", "import the source again");
  }
  if (!record.has_requests()) {
    return BadInput(absl::StrCat(reader->path(), ": record 0"),
                    "the container holds an attention trace", "give a request trace here");
  }
  if (!IsValid(record.requests())) return BadRecord(*reader, "a header field is out of range");
  return record.requests();
}

absl::Status AddRequest(const ContainerReader& reader, const RequestTraceHeader& header,
                        const TraceRecord& record, RequestTraceBuilder* builder) {
  if (!record.has_request()) return BadRecord(reader, "is no request");
  const Request& request = record.request();
  if (!IsValid(request, header.conversation_count())) {
    return BadRecord(reader, "a field is out of range");
  }
  if (!HasEnoughBlocks(request, header.block_tokens())) {
    return BadRecord(reader, "the block ids do not fit input_tokens");
  }
  const TraceRequest parsed = {.arrival = {request.arrival_ns()},
                               .input_tokens = request.input_tokens(),
                               .output_tokens = request.output_tokens(),
                               .think = {request.think_ns()},
                               .conversation = request.conversation()};
  const absl::Status status = builder->AddNumbered(
      parsed, {request.block_ids().data(), static_cast<size_t>(request.block_ids_size())});
  return status.ok() ? status : BadRecord(reader, status.message());
}

// A file name may be any bytes, a string of a message may not.
std::string AsUtf8(const std::string& name) {
  return simdjson::validate_utf8(name) ? name : absl::CHexEscape(name);
}

void FillRecord(const RequestTrace& trace, size_t index, TraceRecord* record) {
  const TraceRequest& request = trace.requests[index];
  Request* out = record->mutable_request();
  out->set_arrival_ns(request.arrival.ns);
  out->set_input_tokens(request.input_tokens);
  out->set_output_tokens(request.output_tokens);
  out->set_think_ns(request.think.ns);
  out->set_conversation(request.conversation);
  const absl::Span<const uint32_t> ids = BlockIds(trace, index);
  out->mutable_block_ids()->Clear();
  out->mutable_block_ids()->Add(ids.begin(), ids.end());
}

}  // namespace

absl::StatusOr<RequestTrace> ReadRequestContainer(const std::string& path,
                                                  const RequestTraceOptions& options) {
  TIERSCOPE_ASSIGN_OR_RETURN(const std::unique_ptr<ContainerReader> reader,
                             ContainerReader::Open(path));
  TIERSCOPE_ASSIGN_OR_RETURN(const RequestTraceHeader header, ReadHeader(reader.get()));
  RequestTraceBuilder builder(header.format(), header.source_name(), header.block_tokens(),
                              options);
  TraceRecord record;
  while (true) {
    TIERSCOPE_ASSIGN_OR_RETURN(const bool has_record, reader->Next(&record));
    if (!has_record) break;
    TIERSCOPE_RETURN_IF_ERROR(AddRequest(*reader, header, record, &builder));
  }
  absl::StatusOr<RequestTrace> trace = builder.Finish(header.conversation_count());
  if (!trace.ok()) return At(path, trace.status());
  trace->failed_request_count = header.failed_request_count();
  return trace;
}

absl::Status WriteRequestContainer(const RequestTrace& trace, const std::string& path) {
  TIERSCOPE_CHECK(trace.block_begin.size() == trace.requests.size() + 1);
  TIERSCOPE_ASSIGN_OR_RETURN(const std::unique_ptr<ContainerWriter> writer,
                             ContainerWriter::Open(path));
  TraceRecord record;
  RequestTraceHeader* header = record.mutable_requests();
  header->set_format(trace.format);
  header->set_source_name(AsUtf8(trace.source_name));
  header->set_source_digest(trace.digest);
  header->set_block_tokens(trace.block_tokens);
  header->set_conversation_count(trace.conversation_count);
  header->set_failed_request_count(trace.failed_request_count);
  TIERSCOPE_RETURN_IF_ERROR(writer->Append(record));
  for (size_t i = 0; i < trace.requests.size(); ++i) {
    FillRecord(trace, i, &record);
    TIERSCOPE_RETURN_IF_ERROR(writer->Append(record));
  }
  return writer->Finish();
}

}  // namespace tierscope

// The readers of request traces and the reader of objects.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "sim/base/check.h"
#include "tests/fuzz/inputs.h"
#include "tests/fuzz/targets.h"
#include "traces/azure_reader.h"
#include "traces/mooncake_reader.h"
#include "traces/oracle_general_reader.h"
#include "traces/request_container.h"
#include "traces/request_summary.h"
#include "traces/request_trace.h"
#include "traces/weka_reader.h"

namespace tierscope::testing {
namespace {

using Reader = absl::StatusOr<RequestTrace> (*)(const std::string& path,
                                                const RequestTraceOptions& options);

void CheckRequest(const TraceRequest& request, const RequestTrace& trace) {
  constexpr int64_t kSpanNsMax = 2 * kTraceSpanSecondsMax * 1'000'000'000;
  TIERSCOPE_CHECK(request.arrival.ns >= 0 && request.arrival.ns <= kSpanNsMax);
  TIERSCOPE_CHECK(request.think.ns >= 0 && request.think.ns <= kSpanNsMax);
  TIERSCOPE_CHECK(request.input_tokens >= 0 && request.input_tokens <= kRequestTokensMax);
  TIERSCOPE_CHECK(request.output_tokens >= 0 && request.output_tokens <= kRequestTokensMax);
  TIERSCOPE_CHECK(request.conversation >= -1 && request.conversation < trace.conversation_count);
}

// The rules of request_trace.h, of a trace with its ids.
void CheckTrace(const RequestTrace& trace) {
  TIERSCOPE_CHECK(!trace.requests.empty());
  for (size_t i = 0; i < trace.requests.size(); ++i) {
    CheckRequest(trace.requests[i], trace);
    TIERSCOPE_CHECK(i == 0 || trace.requests[i - 1].arrival <= trace.requests[i].arrival);
    if (trace.block_tokens == 0) continue;
    const auto whole_blocks =
        static_cast<size_t>(trace.requests[i].input_tokens / trace.block_tokens);
    TIERSCOPE_CHECK(BlockIds(trace, i).size() >= whole_blocks);
  }
  TIERSCOPE_CHECK(trace.block_begin.size() == trace.requests.size() + 1);
  TIERSCOPE_CHECK(trace.block_begin.front() == 0);
  TIERSCOPE_CHECK(trace.block_begin.back() == trace.block_ids.size());
  TIERSCOPE_CHECK(trace.block_reference_count == static_cast<int64_t>(trace.block_ids.size()));
  TIERSCOPE_CHECK(trace.block_tokens > 0 || trace.block_ids.empty());
  TIERSCOPE_CHECK(trace.block_count <= trace.block_reference_count);
  std::vector<bool> seen(static_cast<size_t>(trace.block_count));
  for (const uint32_t id : trace.block_ids) {
    TIERSCOPE_CHECK(id < trace.block_count);
    seen[id] = true;
  }
  TIERSCOPE_CHECK(std::find(seen.begin(), seen.end(), false) == seen.end());
}

bool SameRequest(const TraceRequest& a, const TraceRequest& b) {
  return a.arrival == b.arrival && a.think == b.think && a.input_tokens == b.input_tokens &&
         a.output_tokens == b.output_tokens && a.conversation == b.conversation;
}

void CheckSame(const RequestTrace& a, const RequestTrace& b) {
  TIERSCOPE_CHECK(a.format == b.format && a.source_name == b.source_name && a.digest == b.digest);
  TIERSCOPE_CHECK(a.block_tokens == b.block_tokens);
  TIERSCOPE_CHECK(a.conversation_count == b.conversation_count);
  TIERSCOPE_CHECK(a.block_count == b.block_count);
  TIERSCOPE_CHECK(a.block_reference_count == b.block_reference_count);
  TIERSCOPE_CHECK(std::equal(a.requests.begin(), a.requests.end(), b.requests.begin(),
                             b.requests.end(), SameRequest));
}

// Reads `bytes` with and without ids, and what the import of them holds.
void CheckReader(Reader read, absl::string_view bytes) {
  static MemoryFile file;
  const std::string& path = file.Fill(bytes);
  const absl::StatusOr<RequestTrace> trace = read(path, {.load_block_ids = true});
  const absl::StatusOr<RequestTrace> bare = read(path, {});
  TIERSCOPE_CHECK(trace.status() == bare.status());
  if (!trace.ok()) return CheckError(trace.status(), path);
  CheckTrace(*trace);
  TIERSCOPE_CHECK(bare->block_ids.empty() && bare->block_begin.empty());
  CheckSame(*trace, *bare);
  Summarize(*trace);
  TIERSCOPE_CHECK(WriteRequestContainer(*trace, ScratchPath()).ok());
  const absl::StatusOr<RequestTrace> imported =
      ReadRequestContainer(ScratchPath(), {.load_block_ids = true});
  TIERSCOPE_CHECK(imported.ok());
  CheckSame(*trace, *imported);
  TIERSCOPE_CHECK(trace->block_ids == imported->block_ids);
  TIERSCOPE_CHECK(trace->block_begin == imported->block_begin);
}

}  // namespace

void FuzzMooncake(absl::string_view input) { CheckReader(ReadMooncakeTrace, input); }
void FuzzWeka(absl::string_view input) { CheckReader(ReadWekaTrace, input); }
void FuzzAzure(absl::string_view input) { CheckReader(ReadAzureTrace, input); }
void FuzzRequestTrace(absl::string_view input) { CheckReader(LoadRequestTrace, input); }

void FuzzRequestContainer(absl::string_view input) {
  CheckReader(ReadRequestContainer, ContainerOf(SplitRecords(input)));
}

void FuzzOracleGeneral(absl::string_view input) {
  static MemoryFile file;
  const std::string& path = file.Fill(input);
  const absl::StatusOr<ObjectTrace> trace = ReadOracleGeneral(path);
  if (!trace.ok()) return CheckError(trace.status(), path);
  const size_t accesses = input.size() / kOracleGeneralRecordBytes;
  TIERSCOPE_CHECK(trace->object_ids.size() == accesses && trace->object_bytes.size() == accesses);
  int64_t next_id = 0;
  int64_t bytes = 0;
  for (size_t i = 0; i < accesses; ++i) {
    TIERSCOPE_CHECK(trace->object_ids[i] <= next_id);  // numbered in order of appearance
    next_id = std::max<int64_t>(next_id, int64_t{trace->object_ids[i]} + 1);
    bytes += trace->object_bytes[i];
  }
  TIERSCOPE_CHECK(trace->object_count == next_id && trace->accessed_bytes == bytes);
}

}  // namespace tierscope::testing

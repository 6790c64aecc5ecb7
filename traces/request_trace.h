// A request trace in memory: which requests arrive when, how long they are, and which prefix blocks
// they share. One form for every source format; the readers are in <format>_reader.h.
//
// Rules that hold for every source: requests stand in order of arrival, those with equal arrival in
// the order of the source (a source out of order is sorted stably); no field is guessed or
// invented. Plain data, owned by the caller. Loading costs time and memory proportional to the
// source; without block ids, memory is proportional to the requests and the largest single file.
#ifndef TIERSCOPE_TRACES_REQUEST_TRACE_H_
#define TIERSCOPE_TRACES_REQUEST_TRACE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "sim/base/time.h"
#include "sim/base/units.h"

namespace tierscope {

// Limits on what a file may ask for; a source above one is refused with the limit's value.
inline constexpr int64_t kRequestFileBytesMax = 4 * kGiB - kMiB;  // what simdjson can index
inline constexpr int64_t kRequestCountMax = 100'000'000;
inline constexpr int64_t kRequestTokensMax = int64_t{1} << 30;  // input or output of one request
inline constexpr int64_t kBlockReferenceCountMax = (int64_t{1} << 31) - 1;
inline constexpr int64_t kConversationCountMax = 1'000'000;
inline constexpr int64_t kTraceSpanSecondsMax = 100LL * 365 * 86'400;  // arrival and think time

struct TraceRequest {
  SimTime arrival{};          // since the trace's start
  int64_t input_tokens = 0;   // >= 0
  int64_t output_tokens = 0;  // >= 0
  SimDuration think{};        // pause after the conversation's previous request; 0 if not stated
  int32_t conversation = -1;  // [0, conversation_count), -1 = the source has no conversations
};

struct RequestTrace {
  std::string format;       // "mooncake", "weka", "azure2023", "bailian", "burstgpt"
  std::string source_name;  // file or directory name without its folders
  // 16 hex digits over block_tokens, requests and block ids: equal for an import and its source,
  // and whether or not the ids are loaded.
  std::string digest;
  int32_t block_tokens = 0;           // tokens per block id, 0 = the source has no block ids
  int64_t conversation_count = 0;     // 0 = the source has no conversations
  int64_t block_reference_count = 0;  // block ids of all requests together
  int64_t block_count = 0;            // distinct blocks; ids are [0, block_count)
  int64_t failed_request_count = 0;   // requests of the source that failed and are left out
  std::vector<TraceRequest> requests;
  // Filled when asked for: request i refers to block_ids[block_begin[i], block_begin[i + 1]), its
  // prefix in order. Equal id = equal block, whatever the scope of ids in the source.
  std::vector<uint64_t> block_begin;
  std::vector<uint32_t> block_ids;
};

// The block ids of request `index`. Precondition: the trace was loaded with its ids.
inline absl::Span<const uint32_t> BlockIds(const RequestTrace& trace, size_t index) {
  const uint64_t begin = trace.block_begin[index];
  return {trace.block_ids.data() + begin, trace.block_begin[index + 1] - begin};
}

struct RequestTraceOptions {
  bool load_block_ids = false;  // without, ids are counted and validated but not kept
};

// Loads a Mooncake or Bailian JSONL file, a WEKA .json file or a directory of them, an Azure 2023
// or BurstGPT CSV file, or a tierscope container holding a request trace; tells them apart by
// content, then by file extension. Errors name file, line or offset, and what to do.
absl::StatusOr<RequestTrace> LoadRequestTrace(const std::string& path,
                                              const RequestTraceOptions& options);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_REQUEST_TRACE_H_

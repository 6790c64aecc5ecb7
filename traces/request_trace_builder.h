// Gathers the requests of one source into a RequestTrace: makes block ids dense, keeps the limits
// of request_trace.h, sorts by arrival and computes the digest. Every reader goes through it. One
// owner, one thread. Add costs O(block ids); Finish O(requests log requests + kept ids).
#ifndef TIERSCOPE_TRACES_REQUEST_TRACE_BUILDER_H_
#define TIERSCOPE_TRACES_REQUEST_TRACE_BUILDER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "traces/request_trace.h"

namespace tierscope {

// Numbers the ids of a source densely by first use; starting a new scope makes every id new.
// Ids that are small for the number of blocks seen live in a flat table, others in a hash table:
// memory is proportional to the blocks, whatever the ids.
class BlockNumbering {
 public:
  void StartScope() {
    direct_.clear();
    sparse_.clear();
    scope_begin_ = next_;
  }
  uint32_t NumberOf(uint64_t id) {
    if (id < direct_.size() && direct_[id] != 0) return direct_[id] - 1;
    return NumberSlow(id);
  }
  int64_t block_count() const { return next_; }

 private:
  static constexpr uint64_t kDirectPerBlock = 8;  // words of the flat table a block
  static constexpr uint64_t kDirectLeast = 1024;
  uint32_t NumberSlow(uint64_t id);

  uint32_t next_ = 0;
  uint32_t scope_begin_ = 0;      // the scope's first number
  std::vector<uint32_t> direct_;  // number + 1, 0 = not seen
  absl::flat_hash_map<uint64_t, uint32_t> sparse_;
};

class RequestTraceBuilder {
 public:
  RequestTraceBuilder(std::string format, std::string source_name, int32_t block_tokens,
                      const RequestTraceOptions& options);

  // Block ids added from now on name other blocks than those before.
  void StartBlockScope() { numbering_.StartScope(); }

  // Appends a request with its block ids as the source gives them. Error: a count above its limit.
  absl::Status Add(const TraceRequest& request, absl::Span<const uint64_t> block_ids);

  // The same for ids that are numbers from 0 already, as in a container. Error: an id too large.
  absl::Status AddNumbered(const TraceRequest& request, absl::Span<const uint64_t> block_numbers);

  // The trace; the builder is spent. Errors: no request was added; numbers with gaps.
  absl::StatusOr<RequestTrace> Finish(int64_t conversation_count);

 private:
  absl::Status AddNumbers(const TraceRequest& request);
  std::vector<uint32_t> ArrivalOrder() const;
  void TakeInOrder(const std::vector<uint32_t>& order);
  std::string ContentDigest(const std::vector<uint32_t>& order) const;

  bool keep_block_ids_;
  RequestTrace trace_;
  BlockNumbering numbering_;
  int64_t numbered_count_ = 0;           // largest number given, + 1
  std::vector<uint32_t> numbers_;        // of the request being added
  std::vector<uint64_t> block_digests_;  // per request in order of adding
};

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_REQUEST_TRACE_BUILDER_H_

#include "traces/request_trace_builder.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"

#include "sim/base/digest.h"

namespace tierscope {
namespace {

absl::Status AboveLimit(absl::string_view what, int64_t limit) {
  return absl::InvalidArgumentError(
      absl::StrCat("the trace holds more than ", limit, " ", what, "; split it"));
}

absl::Status NotDense(int64_t largest, int64_t count) {
  return absl::InvalidArgumentError(
      absl::StrCat("block id ", largest, " in a trace of ", count,
                   " different block ids; number the blocks from 0 without gaps"));
}

uint64_t DigestOf(const std::vector<uint32_t>& numbers) {
  Digest digest;
  digest.Add(absl::string_view(reinterpret_cast<const char*>(numbers.data()),
                               numbers.size() * sizeof(uint32_t)));
  return digest.value();
}

}  // namespace

uint32_t BlockNumbering::NumberSlow(uint64_t id) {
  const auto found = sparse_.find(id);
  const uint32_t number = found != sparse_.end() ? found->second : next_;
  if (number == next_) ++next_;
  const uint64_t direct_limit = kDirectPerBlock * (uint64_t{next_} - scope_begin_) + kDirectLeast;
  if (id >= direct_limit) {
    sparse_.emplace(id, number);
    return number;
  }
  if (id >= direct_.size()) direct_.resize(std::min(direct_limit, 2 * id + kDirectLeast));
  direct_[id] = number + 1;
  return number;
}

RequestTraceBuilder::RequestTraceBuilder(std::string format, std::string source_name,
                                         int32_t block_tokens, const RequestTraceOptions& options)
    : keep_block_ids_(options.load_block_ids) {
  trace_.format = std::move(format);
  trace_.source_name = std::move(source_name);
  trace_.block_tokens = block_tokens;
  if (keep_block_ids_) trace_.block_begin.push_back(0);
}

absl::Status RequestTraceBuilder::Add(const TraceRequest& request,
                                      absl::Span<const uint64_t> block_ids) {
  numbers_.resize(block_ids.size());
  for (size_t i = 0; i < block_ids.size(); ++i) numbers_[i] = numbering_.NumberOf(block_ids[i]);
  return AddNumbers(request);
}

absl::Status RequestTraceBuilder::AddNumbered(const TraceRequest& request,
                                              absl::Span<const uint64_t> block_numbers) {
  numbers_.clear();
  for (const uint64_t number : block_numbers) {
    if (number >= kBlockReferenceCountMax) {
      return AboveLimit("block ids", kBlockReferenceCountMax);
    }
    numbering_.NumberOf(number);  // counts it
    numbers_.push_back(static_cast<uint32_t>(number));
    numbered_count_ = std::max(numbered_count_, static_cast<int64_t>(number) + 1);
  }
  return AddNumbers(request);
}

absl::Status RequestTraceBuilder::AddNumbers(const TraceRequest& request) {
  if (static_cast<int64_t>(trace_.requests.size()) == kRequestCountMax) {
    return AboveLimit("requests", kRequestCountMax);
  }
  trace_.block_reference_count += static_cast<int64_t>(numbers_.size());
  if (trace_.block_reference_count > kBlockReferenceCountMax) {
    return AboveLimit("block ids", kBlockReferenceCountMax);
  }
  trace_.requests.push_back(request);
  block_digests_.push_back(DigestOf(numbers_));
  if (keep_block_ids_) {
    trace_.block_ids.insert(trace_.block_ids.end(), numbers_.begin(), numbers_.end());
    trace_.block_begin.push_back(trace_.block_ids.size());
  }
  return absl::OkStatus();
}

std::vector<uint32_t> RequestTraceBuilder::ArrivalOrder() const {
  std::vector<uint32_t> order(trace_.requests.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [this](uint32_t a, uint32_t b) {
    return trace_.requests[a].arrival < trace_.requests[b].arrival;
  });
  return order;
}

void RequestTraceBuilder::TakeInOrder(const std::vector<uint32_t>& order) {
  if (std::is_sorted(order.begin(), order.end())) return;  // spares the copy of the ids
  RequestTrace sorted;
  sorted.requests.reserve(order.size());
  for (const uint32_t i : order) sorted.requests.push_back(trace_.requests[i]);
  trace_.requests = std::move(sorted.requests);
  if (!keep_block_ids_) return;
  sorted.block_ids.reserve(trace_.block_ids.size());
  sorted.block_begin.reserve(trace_.block_begin.size());
  sorted.block_begin.push_back(0);
  for (const uint32_t i : order) {
    const absl::Span<const uint32_t> ids = BlockIds(trace_, i);
    sorted.block_ids.insert(sorted.block_ids.end(), ids.begin(), ids.end());
    sorted.block_begin.push_back(sorted.block_ids.size());
  }
  trace_.block_ids = std::move(sorted.block_ids);
  trace_.block_begin = std::move(sorted.block_begin);
}

std::string RequestTraceBuilder::ContentDigest(const std::vector<uint32_t>& order) const {
  Digest digest;
  digest.Add(static_cast<uint64_t>(trace_.block_tokens));
  for (const uint32_t i : order) {
    const TraceRequest& request = trace_.requests[i];
    digest.Add(static_cast<uint64_t>(request.arrival.ns));
    digest.Add(static_cast<uint64_t>(request.input_tokens));
    digest.Add(static_cast<uint64_t>(request.output_tokens));
    digest.Add(static_cast<uint64_t>(request.think.ns));
    digest.Add(static_cast<uint64_t>(request.conversation));
    digest.Add(block_digests_[i]);
  }
  return digest.hex();
}

absl::StatusOr<RequestTrace> RequestTraceBuilder::Finish(int64_t conversation_count) {
  if (trace_.requests.empty()) {
    return absl::InvalidArgumentError("holds no request; fetch or export the trace again");
  }
  if (numbered_count_ > numbering_.block_count()) {
    return NotDense(numbered_count_ - 1, numbering_.block_count());
  }
  const std::vector<uint32_t> order = ArrivalOrder();
  trace_.digest = ContentDigest(order);
  trace_.block_count = numbering_.block_count();
  trace_.conversation_count = conversation_count;
  TakeInOrder(order);
  return std::move(trace_);
}

}  // namespace tierscope

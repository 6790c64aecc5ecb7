#include "sim/engine/cache_replay.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "sim/base/check.h"
#include "sim/engine/stack_distance.h"
#include "sim/policy/belady.h"
#include "sim/policy/clock.h"
#include "sim/policy/eviction.h"
#include "sim/policy/s3fifo.h"
#include "sim/policy/sieve.h"

namespace tierscope {
namespace {

template <typename Policy>
int64_t CountHits(int32_t slot_count, absl::Span<const uint32_t> block_ids, int64_t block_count) {
  Policy policy(slot_count);
  std::vector<int32_t> slot_of(static_cast<size_t>(block_count), -1);
  std::vector<uint32_t> block_in(static_cast<size_t>(slot_count));
  int32_t used_slots = 0;
  int64_t hits = 0;
  for (const uint32_t block : block_ids) {
    if (const int32_t held = slot_of[block]; held >= 0) {
      policy.Hit(held);
      ++hits;
      continue;
    }
    const bool is_full = used_slots == slot_count;
    const int32_t slot = is_full ? policy.Evict() : used_slots++;
    if (is_full) slot_of[block_in[static_cast<size_t>(slot)]] = -1;
    block_in[static_cast<size_t>(slot)] = block;
    slot_of[block] = slot;
    policy.Insert(slot, block);
  }
  return hits;
}

struct PolicyName {
  const char* name;
  CachePolicy policy;
};
constexpr PolicyName kPolicyNames[] = {
    {"lru", CachePolicy::kLru},       {"fifo", CachePolicy::kFifo},
    {"clock", CachePolicy::kClock},   {"sieve", CachePolicy::kSieve},
    {"s3fifo", CachePolicy::kS3Fifo}, {"belady", CachePolicy::kBelady}};

}  // namespace

std::string CachePolicyNames() {
  return absl::StrJoin(kPolicyNames, ", ", [](std::string* out, const PolicyName& known) {
    absl::StrAppend(out, known.name);
  });
}

absl::StatusOr<CachePolicy> ParseCachePolicy(absl::string_view name) {
  for (const PolicyName& known : kPolicyNames) {
    if (name == known.name) return known.policy;
  }
  if (name.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a policy is missing; give one or more of ", CachePolicyNames()));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown eviction policy '", name, "'; use one of ", CachePolicyNames()));
}

absl::StatusOr<int64_t> ParseCacheCapacity(absl::string_view text) {
  if (text == "infinite") return kCacheCapacityInfinite;
  const bool is_number = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c));
  });
  int64_t blocks = 0;
  if (is_number && absl::SimpleAtoi(text, &blocks) && blocks > 0) return blocks;
  if (text.empty()) {
    return absl::InvalidArgumentError(
        "a capacity is missing; give a number of blocks, or infinite");
  }
  return absl::InvalidArgumentError(absl::StrCat("capacity '", text,
                                                 "' is not a number of blocks; give a whole number "
                                                 "above 0, or infinite"));
}

int64_t CountCacheHits(CachePolicy policy, int64_t capacity_blocks,
                       absl::Span<const uint32_t> block_ids, int64_t block_count) {
  TIERSCOPE_CHECK(capacity_blocks > 0);
  TIERSCOPE_CHECK(block_count <= std::numeric_limits<int32_t>::max());
  TIERSCOPE_CHECK(block_ids.size() <= std::numeric_limits<uint32_t>::max());
  // A cache that holds every block never evicts, so larger ones behave alike.
  const auto slot_count = static_cast<int32_t>(std::min(capacity_blocks, block_count));
  switch (policy) {
    case CachePolicy::kLru:
      return CountHits<LruEviction>(slot_count, block_ids, block_count);
    case CachePolicy::kFifo:
      return CountHits<FifoEviction>(slot_count, block_ids, block_count);
    case CachePolicy::kClock:
      return CountHits<ClockEviction>(slot_count, block_ids, block_count);
    case CachePolicy::kSieve:
      return CountHits<SieveEviction>(slot_count, block_ids, block_count);
    case CachePolicy::kS3Fifo:
      return CountHits<S3FifoEviction>(slot_count, block_ids, block_count);
    case CachePolicy::kBelady:
      return CountBeladyHits(slot_count, NextUses(block_ids, block_count));
  }
  TIERSCOPE_CHECK(false);
}

std::vector<int64_t> CountCacheHitsAtEach(CachePolicy policy, absl::Span<const int64_t> capacities,
                                          absl::Span<const uint32_t> block_ids,
                                          int64_t block_count) {
  if (policy == CachePolicy::kLru && capacities.size() > 1) {
    return CountLruHits(capacities, block_ids, block_count);
  }
  std::vector<int64_t> hits;
  for (const int64_t capacity : capacities) {
    hits.push_back(CountCacheHits(policy, capacity, block_ids, block_count));
  }
  return hits;
}

int64_t CountDistinctBlocks(absl::Span<const uint32_t> block_ids, int64_t block_count) {
  std::vector<bool> seen(static_cast<size_t>(block_count));
  int64_t distinct_blocks = 0;
  for (const uint32_t block : block_ids) {
    if (!seen[block]) ++distinct_blocks;
    seen[block] = true;
  }
  return distinct_blocks;
}

}  // namespace tierscope

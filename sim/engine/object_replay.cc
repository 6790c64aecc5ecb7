#include "sim/engine/object_replay.h"

#include <algorithm>
#include <deque>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "sim/base/check.h"
#include "sim/base/units.h"
#include "sim/policy/belady.h"
#include "sim/policy/clock.h"
#include "sim/policy/eviction.h"
#include "sim/policy/s3fifo.h"
#include "sim/policy/sieve.h"

namespace tierscope {
namespace {

struct Accesses {
  absl::Span<const uint32_t> ids;
  absl::Span<const uint32_t> bytes;
  int64_t object_count;
};

constexpr int64_t kOut = -1;

// An object's slot is its id: as many slots as objects, so only bytes run out.
template <typename Policy>
ObjectHits Replay(Policy policy, int64_t capacity_bytes, const Accesses& accesses) {
  std::vector<int64_t> held_bytes(static_cast<size_t>(accesses.object_count), kOut);
  int64_t free_bytes = capacity_bytes;
  ObjectHits result;
  for (size_t i = 0; i < accesses.ids.size(); ++i) {
    const uint32_t id = accesses.ids[i];
    const int64_t wanted_bytes = accesses.bytes[i];
    if (held_bytes[id] != kOut) {
      policy.Hit(static_cast<int32_t>(id));
      ++result.hits;
      continue;
    }
    result.missed_bytes += wanted_bytes;
    if (wanted_bytes > capacity_bytes) continue;
    while (free_bytes < wanted_bytes) {
      int64_t& victim_bytes = held_bytes[static_cast<size_t>(policy.Evict())];
      free_bytes += victim_bytes;
      victim_bytes = kOut;
    }
    free_bytes -= wanted_bytes;
    held_bytes[id] = wanted_bytes;
    if constexpr (requires { policy.Insert(0, id, accesses.bytes[i]); }) {
      policy.Insert(static_cast<int32_t>(id), id, accesses.bytes[i]);
    } else {
      policy.Insert(static_cast<int32_t>(id), id);
    }
  }
  return result;
}

// MIN's state: residents by the position of their next use, and the sizes of those without one.
class BeladyObjects {
 public:
  explicit BeladyObjects(const Accesses& accesses)
      : accesses_(accesses),
        next_uses_(NextUses(accesses.ids, accesses.object_count)),
        next_of_residents_(next_uses_.size()),
        held_bytes_(static_cast<size_t>(accesses.object_count)) {}

  bool TakeHit(size_t access) { return next_of_residents_.Take(access); }

  void Hold(size_t access) {
    if (next_uses_[access] < next_uses_.size()) {
      next_of_residents_.Insert(next_uses_[access]);
    } else {
      never_again_bytes_.push_back(held_bytes_[accesses_.ids[access]]);
    }
  }
  void Enter(size_t access) {
    held_bytes_[accesses_.ids[access]] = accesses_.bytes[access];
    Hold(access);
  }

  // The victim's bytes.
  int64_t Evict() {
    if (!never_again_bytes_.empty()) {
      const int64_t victim_bytes = never_again_bytes_.front();
      never_again_bytes_.pop_front();
      return victim_bytes;
    }
    const size_t farthest = next_of_residents_.Largest();
    next_of_residents_.Take(farthest);
    return held_bytes_[accesses_.ids[farthest]];
  }

 private:
  Accesses accesses_;
  std::vector<uint32_t> next_uses_;
  PositionSet next_of_residents_;
  std::vector<int64_t> held_bytes_;
  std::deque<int64_t> never_again_bytes_;  // the one used first in front
};

ObjectHits ReplayBelady(int64_t capacity_bytes, const Accesses& accesses) {
  BeladyObjects objects(accesses);
  int64_t free_bytes = capacity_bytes;
  ObjectHits result;
  for (size_t i = 0; i < accesses.ids.size(); ++i) {
    const int64_t wanted_bytes = accesses.bytes[i];
    if (objects.TakeHit(i)) {
      ++result.hits;
      objects.Hold(i);
      continue;
    }
    result.missed_bytes += wanted_bytes;
    if (wanted_bytes > capacity_bytes) continue;
    while (free_bytes < wanted_bytes) free_bytes += objects.Evict();
    free_bytes -= wanted_bytes;
    objects.Enter(i);
  }
  return result;
}

struct ByteUnit {
  absl::string_view name;
  int64_t bytes;
};
constexpr ByteUnit kByteUnits[] = {
    {"B", 1}, {"KiB", kKiB}, {"MiB", kMiB}, {"GiB", kGiB}, {"TiB", kGiB* kKiB}};

}  // namespace

absl::StatusOr<int64_t> ParseCacheBytes(absl::string_view text) {
  if (text == "infinite") return kCacheCapacityInfinite;
  const auto digits_end = std::find_if_not(text.begin(), text.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c));
  });
  const auto digit_count = static_cast<size_t>(digits_end - text.begin());
  int64_t number = 0;
  const bool is_number = absl::SimpleAtoi(text.substr(0, digit_count), &number) && number > 0;
  if (is_number && digit_count == text.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("capacity '", text,
                     "' has no unit, and an oracleGeneral file is replayed in "
                     "bytes: write ",
                     text, "B, ", text, "MiB or ", text, "GiB"));
  }
  if (is_number) {
    for (const ByteUnit& unit : kByteUnits) {
      if (text.substr(digit_count) != unit.name) continue;
      if (number <= kCacheCapacityInfinite / unit.bytes) return number * unit.bytes;
    }
  }
  if (text.empty()) {
    return absl::InvalidArgumentError(
        "a capacity is missing; give one such as 128MiB, or infinite");
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "capacity '", text,
      "' is not a number of bytes; give a whole number above 0 and B, KiB, MiB, GiB or "
      "TiB, such as 128MiB, or infinite"));
}

ObjectHits CountObjectHits(CachePolicy policy, int64_t capacity_bytes,
                           absl::Span<const uint32_t> object_ids,
                           absl::Span<const uint32_t> object_bytes, int64_t object_count) {
  TIERSCOPE_CHECK(capacity_bytes > 0 && object_ids.size() == object_bytes.size());
  TIERSCOPE_CHECK(object_count <= std::numeric_limits<int32_t>::max());
  const Accesses accesses = {object_ids, object_bytes, object_count};
  const auto slots = static_cast<int32_t>(object_count);
  switch (policy) {
    case CachePolicy::kLru:
      return Replay(LruEviction(slots), capacity_bytes, accesses);
    case CachePolicy::kFifo:
      return Replay(FifoEviction(slots), capacity_bytes, accesses);
    case CachePolicy::kClock:
      return Replay(ClockEviction(slots), capacity_bytes, accesses);
    case CachePolicy::kSieve:
      return Replay(SieveEviction(slots), capacity_bytes, accesses);
    case CachePolicy::kS3Fifo:
      return Replay(S3FifoEviction::Weighted(slots, capacity_bytes), capacity_bytes, accesses);
    case CachePolicy::kBelady:
      return ReplayBelady(capacity_bytes, accesses);
  }
  TIERSCOPE_CHECK(false);
}

}  // namespace tierscope

#include "sim/demand/demand_bytes.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "sim/base/check.h"
#include "sim/base/digest.h"

namespace tierscope {
namespace {

constexpr int64_t kPositionsMax = int64_t{1} << 24;

template <typename T>
concept Plain = std::is_trivially_copyable_v<T>;

class Writer {
 public:
  template <Plain T>
  void Value(const T& value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  template <typename Array>
  void Values(const Array& array) {
    Value(static_cast<uint64_t>(array.size()));
    if (array.empty()) return;
    bytes_.append(reinterpret_cast<const char*>(array.data()),
                  array.size() * sizeof(typename Array::value_type));
  }
  // For the number of profiles, which the reader makes room for.
  void Count(std::vector<ProfileDemand>& profiles) {
    Value(static_cast<uint64_t>(profiles.size()));
  }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// After the first value that is missing everything stays as it is.
class Reader {
 public:
  explicit Reader(absl::string_view bytes) : bytes_(bytes) {}

  template <Plain T>
  void Value(T& value) {
    Copy(&value, 1, sizeof(T));
  }
  template <typename Array>
  void Values(Array& array) {
    using T = typename Array::value_type;
    static_assert(Plain<T>);
    array.resize(CountOf(sizeof(T)));
    if (!array.empty()) Copy(array.data(), array.size(), sizeof(T));
  }
  void Count(std::vector<ProfileDemand>& profiles) { profiles.resize(CountOf(kProfileBytesMin)); }
  bool whole() const { return good_ && bytes_.empty(); }

 private:
  static constexpr size_t kProfileBytesMin = 64;

  size_t CountOf(size_t bytes_each) {
    uint64_t count = 0;
    Value(count);
    good_ = good_ && count <= bytes_.size() / bytes_each;
    return good_ ? static_cast<size_t>(count) : 0;
  }
  void Copy(void* values, size_t count, size_t bytes_each) {
    good_ = good_ && count <= bytes_.size() / bytes_each;
    if (!good_) return;
    std::memcpy(values, bytes_.data(), count * bytes_each);
    bytes_.remove_prefix(count * bytes_each);
  }

  absl::string_view bytes_;
  bool good_ = true;
};

// One order for both ways.
template <typename Stream>
void Exchange(ProfileDemand& profile, Stream& stream) {
  stream.Value(profile.prompt_tokens);
  stream.Value(profile.stride_steps);
  stream.Value(profile.position_count);
  stream.Value(profile.page_count);
  stream.Value(profile.prompt_page_count);
  stream.Value(profile.tokens_per_page);
  stream.Value(profile.lag_count);
  stream.Values(profile.formed_page);
  stream.Values(profile.want_begin);
  stream.Values(profile.want_pages);
  stream.Values(profile.touched_begin);
  stream.Values(profile.touched_pages);
  stream.Values(profile.touched_selections);
  stream.Values(profile.selections);
  stream.Values(profile.inactive);
  stream.Values(profile.late);
}

template <typename Stream>
void Exchange(WindowDemand& demand, Stream& stream) {
  stream.Value(demand.first_start);
  stream.Values(demand.trace_digest);
  stream.Values(demand.provenance);
  stream.Value(demand.csa_layers);
  stream.Value(demand.top_k);
  stream.Value(demand.stride_steps);
  int32_t coverage_known = demand.coverage_known ? 1 : 0;
  stream.Value(coverage_known);
  demand.coverage_known = coverage_known != 0;
  stream.Count(demand.profiles);
  for (ProfileDemand& profile : demand.profiles) Exchange(profile, stream);
}

uint64_t Seal(absl::string_view bytes) {
  Digest digest;
  digest.Add(bytes);
  return digest.value();
}

// Whether `begin` cuts an array of `size` into `count` parts.
bool Cuts(const std::vector<uint32_t>& begin, int64_t count, size_t size) {
  return static_cast<int64_t>(begin.size()) == count + 1 && begin.front() == 0 &&
         begin.back() == size && std::is_sorted(begin.begin(), begin.end());
}

bool Below(const std::vector<PageIndex>& pages, int32_t page_count) {
  return std::all_of(pages.begin(), pages.end(), [&](PageIndex page) { return page < page_count; });
}

// What every look-up relies on.
bool IsSound(const ProfileDemand& profile, int32_t stride_steps) {
  const int64_t positions = profile.position_count;
  if (positions < 1 || positions > kPositionsMax || profile.lag_count < 0 ||
      profile.lag_count > kPositionsMax || profile.stride_steps != stride_steps ||
      stride_steps < 1 || profile.tokens_per_page < 1 || profile.prompt_tokens < 0 ||
      profile.page_count < 0 || profile.page_count > kPagesPerProfileMax ||
      profile.prompt_page_count < 0 || profile.prompt_page_count > profile.page_count) {
    return false;
  }
  const auto sums = static_cast<size_t>(positions * (profile.lag_count + 1));
  return profile.formed_page.size() == static_cast<size_t>(positions) &&
         Cuts(profile.want_begin, positions, profile.want_pages.size()) &&
         Cuts(profile.touched_begin, positions, profile.touched_pages.size()) &&
         profile.touched_selections.size() == profile.touched_pages.size() &&
         Below(profile.want_pages, profile.page_count) &&
         Below(profile.touched_pages, profile.page_count) && profile.selections.size() == sums &&
         profile.inactive.size() == sums && (profile.late.empty() || profile.late.size() == sums);
}

bool IsSound(const WindowDemand& demand) {
  return demand.first_start >= 0 && !demand.profiles.empty() &&
         std::all_of(demand.profiles.begin(), demand.profiles.end(),
                     [&](const ProfileDemand& profile) {
                       return demand.first_start < profile.position_count &&
                              IsSound(profile, demand.stride_steps);
                     });
}

}  // namespace

std::string DemandBytes(const WindowDemand& demand, absl::string_view key) {
  TIERSCOPE_CHECK(demand.hot_buffers == nullptr);
  Writer body;
  body.Values(key);
  Exchange(const_cast<WindowDemand&>(demand), body);  // which a writer only reads
  Writer sealed;
  std::string bytes = body.Take();
  sealed.Value(Seal(bytes));
  return sealed.Take() + bytes;
}

std::optional<WindowDemand> ParseDemandBytes(absl::string_view bytes, absl::string_view key) {
  uint64_t seal = 0;
  if (bytes.size() < sizeof(seal)) return std::nullopt;
  std::memcpy(&seal, bytes.data(), sizeof(seal));
  bytes.remove_prefix(sizeof(seal));
  if (seal != Seal(bytes)) return std::nullopt;
  Reader reader(bytes);
  std::string kept_key;
  reader.Values(kept_key);
  if (kept_key != key) return std::nullopt;
  WindowDemand demand;
  Exchange(demand, reader);
  if (!reader.whole() || !IsSound(demand)) return std::nullopt;
  return demand;
}

}  // namespace tierscope

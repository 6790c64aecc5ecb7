#include "sim/demand/step_demand.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"

namespace tierscope {
namespace {

constexpr size_t kSelectionRow = 0, kColdRow = 1, kFirstMissRow = 2;

// The entry that forms at `step`, or -1: only then it has no copy in the host's pool yet.
int64_t FormedEntry(const ProfileHeader& header, int32_t step) {
  const int64_t entries = HistoryEntries(header, step);
  return entries > HistoryEntries(header, step - 1) ? entries - 1 : -1;
}

int64_t ResultBytes(const ProfileHeader& header, size_t capacities) {
  return (header.step_count() + int64_t{2}) * static_cast<int64_t>(kFirstMissRow + capacities) * 8;
}

absl::Status TooLarge(int64_t bytes) {
  return absl::ResourceExhaustedError(absl::StrCat(
      "step demand would take ", bytes, " bytes, more than ", kStepDemandBytesMax,
      "; ask for fewer or smaller hot buffers, or use a trace of fewer steps or profiles"));
}

absl::Status NeedsLayers() {
  return absl::InvalidArgumentError(
      "the selections are counted over all layers, step demand needs those of each layer; generate "
      "the trace with --per-layer, or record a Selection per layer instead of one with votes");
}

}  // namespace

ProfileStepDemand::ProfileStepDemand(int32_t step_count, size_t capacity_count)
    : step_count_(step_count),
      row_size_(static_cast<size_t>(step_count) + 2),
      sums_((kFirstMissRow + capacity_count) * row_size_) {}

void RecencyStack::Use(std::span<const uint32_t> entries, std::vector<uint64_t>* held,
                       std::span<int64_t> misses) {
  std::vector<uint64_t>& bits = *held;
  for (const uint32_t entry : entries) bits[entry >> 6] |= uint64_t{1} << (entry & 63);
  // Behind the entries used now stand the others in their order; no branch on the data.
  next_.resize(entries.size() + order_.size());
  std::copy(entries.rbegin(), entries.rend(), next_.begin());
  size_t end = entries.size(), position = 0;
  for (size_t i = 0; i < slots_->size(); ++i) {
    const size_t depth = std::min(order_.size(), static_cast<size_t>((*slots_)[i]));
    for (; position < depth; ++position) {
      const uint32_t entry = order_[position];
      next_[end] = entry;
      end += 1 - (bits[entry >> 6] >> (entry & 63) & 1);
    }
    const size_t hits = entries.size() + position - end;
    misses[i] += static_cast<int64_t>(entries.size() - hits);
  }
  for (const uint32_t entry : entries) bits[entry >> 6] = 0;
  next_.resize(std::min(end, static_cast<size_t>(slots_->back())));
  std::swap(order_, next_);
}

ProfileStepDistiller::ProfileStepDistiller(const std::vector<int32_t>& buffer_slots)
    : buffer_slots_(buffer_slots), rising_slots_(buffer_slots) {
  std::sort(rising_slots_.begin(), rising_slots_.end());
  rising_slots_.erase(std::unique(rising_slots_.begin(), rising_slots_.end()), rising_slots_.end());
}

absl::Status ProfileStepDistiller::Begin(const ProfileHeader& header) {
  if (rising_slots_.empty() || rising_slots_[0] < std::max(1, header.top_k())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a hot buffer of ", rising_slots_.empty() ? 0 : rising_slots_[0], " slots cannot hold the ",
        header.top_k(), " entries that a layer selects at a step; give at least ",
        std::max(1, header.top_k())));
  }
  if (header.selections() != SELECTIONS_FULL_HISTORY) {
    return absl::InvalidArgumentError(
        "step demand needs selections of the full history, which this trace does not hold; record "
        "them with full KV");
  }
  const int64_t history = HistoryEntries(header, header.step_count());
  const int64_t depth = std::min<int64_t>(rising_slots_.back(), history);
  const int64_t bytes =
      std::max(ResultBytes(header, buffer_slots_.size()), 4 * depth * header.csa_layer_count());
  if (bytes > kStepDemandBytesMax) return TooLarge(bytes);
  header_ = header;
  demand_ = ProfileStepDemand(header.step_count(), buffer_slots_.size());
  stacks_.assign(static_cast<size_t>(header.csa_layer_count()), RecencyStack(rising_slots_));
  held_.assign(static_cast<size_t>(history) / 64 + 1, 0);
  misses_.resize(rising_slots_.size());
  return absl::OkStatus();
}

absl::Status ProfileStepDistiller::Select(int32_t step, int32_t layer,
                                          std::span<const uint32_t> entries) {
  if (layer == kAllLayers) return NeedsLayers();
  demand_.At(kSelectionRow, step + 1) += static_cast<int64_t>(entries.size());
  const int64_t formed = FormedEntry(header_, step);
  if (!entries.empty() && entries.back() == formed) entries = entries.first(entries.size() - 1);
  demand_.At(kColdRow, step + 1) += static_cast<int64_t>(entries.size());
  std::fill(misses_.begin(), misses_.end(), 0);
  stacks_[static_cast<size_t>(layer)].Use(entries, &held_, misses_);
  for (size_t i = 0; i < buffer_slots_.size(); ++i) {
    const auto rank =
        std::lower_bound(rising_slots_.begin(), rising_slots_.end(), buffer_slots_[i]);
    demand_.At(kFirstMissRow + i, step + 1) +=
        misses_[static_cast<size_t>(rank - rising_slots_.begin())];
  }
  return absl::OkStatus();
}

ProfileStepDemand ProfileStepDistiller::Finish() {
  for (size_t row = 0; row < kFirstMissRow + buffer_slots_.size(); ++row) {
    for (int32_t step = 0; step <= header_.step_count(); ++step) {
      demand_.At(row, step + 1) += demand_.At(row, step);
    }
  }
  return std::move(demand_);
}

namespace {

class StepVisitor : public AttentionVisitor {
 public:
  explicit StepVisitor(const std::vector<int32_t>& buffer_slots) : distiller_(buffer_slots) {
    demand_.buffer_slots = buffer_slots;
  }

  absl::Status OnProfile(const ProfileHeader& profile) override {
    bytes_ += ResultBytes(profile, demand_.buffer_slots.size());
    if (bytes_ > kStepDemandBytesMax) return TooLarge(bytes_);
    return distiller_.Begin(profile);
  }
  absl::Status OnTick(int32_t, int32_t, std::span<const uint32_t>,
                      std::span<const uint8_t>) override {
    return absl::OkStatus();
  }
  absl::Status OnSelection(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                           std::span<const uint8_t>) override {
    return distiller_.Select(step, layer, entries);
  }
  absl::Status OnProfileEnd() override {
    demand_.profiles.push_back(distiller_.Finish());
    return absl::OkStatus();
  }
  void OnTraceEnd(const std::string& digest) override { demand_.trace_digest = digest; }

  StepDemand Take() { return std::move(demand_); }

 private:
  ProfileStepDistiller distiller_;
  StepDemand demand_;
  int64_t bytes_ = 0;
};

}  // namespace

absl::StatusOr<StepDemand> DistilStepDemand(const std::string& path,
                                            const std::vector<int32_t>& buffer_slots) {
  StepVisitor visitor(buffer_slots);
  TIERSCOPE_RETURN_IF_ERROR(ReadAttentionTrace(path, visitor));
  return visitor.Take();
}

}  // namespace tierscope

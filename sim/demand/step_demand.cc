#include "sim/demand/step_demand.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"

namespace tierscope {
namespace {

constexpr size_t kSelectionRow = 0, kFirstMissRow = 1;

// The entry that forms at `step`, or -1: only then it has no copy in the host's pool yet.
int64_t FormedEntry(const ProfileHeader& header, int32_t step) {
  const int64_t entries = HistoryEntries(header, step);
  return entries > HistoryEntries(header, step - 1) ? entries - 1 : -1;
}

// Ages of hits that are told apart: sub-windows back to the earliest start that a step may serve.
int32_t AgeCount(int32_t stride_steps) { return kWarmUpStepsMax / stride_steps + 2; }

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

ProfileStepDemand::ProfileStepDemand(const ProfileHeader& header, size_t capacity_count)
    : step_count_(header.step_count()),
      stride_steps_(header.tick_stride_steps()),
      position_count_(header.step_count() / header.tick_stride_steps()),
      sums_(Index(kFirstMissRow + capacity_count, 0)),
      extra_(ExtraIndex(capacity_count, 0, 0)),
      late_misses_(capacity_count) {}

int64_t ProfileStepDemand::ByteCount(const ProfileHeader& header, size_t capacity_count) {
  const auto capacities = static_cast<int64_t>(capacity_count);
  const int64_t positions = header.step_count() / header.tick_stride_steps();
  return 8 * ((1 + capacities) * (header.step_count() + int64_t{2}) +
              capacities * positions * (kWarmUpStepsMax + 1));
}

void RecencyStack::Use(int32_t step, std::span<const uint32_t> entries, std::vector<uint64_t>* held,
                       StepCounts* counts) {
  std::vector<uint64_t>& bits = *held;
  for (const uint32_t entry : entries) bits[entry >> 6] |= uint64_t{1} << (entry & 63);
  // Behind the entries used now stand the others in their order; no branch on the data.
  next_.resize(entries.size() + order_.size());
  next_step_.resize(next_.size());
  hits_.resize(entries.size() + 1);
  std::copy(entries.rbegin(), entries.rend(), next_.begin());
  std::fill_n(next_step_.begin(), entries.size(), step);
  size_t end = entries.size(), hits = 0, place = 0;
  for (size_t i = 0; i < slots_->size(); ++i) {
    const size_t depth = std::min(order_.size(), static_cast<size_t>((*slots_)[i]));
    for (; place < depth; ++place) {
      const uint32_t entry = order_[place];
      const uint64_t hit = bits[entry >> 6] >> (entry & 63) & 1;
      next_[end] = entry;
      next_step_[end] = last_step_[place];
      hits_[hits] = static_cast<uint32_t>(place);
      end += 1 - hit;
      hits += hit;
    }
    counts->misses[i] += static_cast<int64_t>(entries.size() - hits);
  }
  CountOlderHits(step, hits, counts);
  for (const uint32_t entry : entries) bits[entry >> 6] = 0;
  next_.resize(std::min(end, static_cast<size_t>(slots_->back())));
  next_step_.resize(next_.size());
  std::swap(order_, next_);
  std::swap(last_step_, next_step_);
}

void RecencyStack::CountOlderHits(int32_t step, size_t hit_count, StepCounts* counts) const {
  const int32_t ages = AgeCount(stride_steps_);
  const int32_t late_start =
      step < kWarmUpStepsMax
          ? 0
          : std::min((step - kWarmUpStepsMax) / stride_steps_, position_count_ - 1);
  size_t rank = 0;
  for (size_t i = 0; i < hit_count; ++i) {
    const uint32_t place = hits_[i];
    if (last_step_[place] == step - 1) continue;
    while (place >= static_cast<uint32_t>((*slots_)[rank])) ++rank;
    const int32_t sub_window = last_step_[place] / stride_steps_;
    const int32_t age = std::min(step / stride_steps_ - sub_window, ages - 1);
    ++counts->older_hits[rank * static_cast<size_t>(ages) + static_cast<size_t>(age)];
    counts->late[rank] += std::max(0, late_start - sub_window);
  }
}

ProfileStepDistiller::ProfileStepDistiller(const std::vector<int32_t>& buffer_slots)
    : buffer_slots_(buffer_slots), rising_slots_(buffer_slots) {
  std::sort(rising_slots_.begin(), rising_slots_.end());
  rising_slots_.erase(std::unique(rising_slots_.begin(), rising_slots_.end()), rising_slots_.end());
  for (const int32_t slots : buffer_slots_) {
    const auto at = std::lower_bound(rising_slots_.begin(), rising_slots_.end(), slots);
    rank_of_.push_back(static_cast<size_t>(at - rising_slots_.begin()));
  }
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
  const int64_t bytes = std::max(ProfileStepDemand::ByteCount(header, buffer_slots_.size()),
                                 16 * depth * header.csa_layer_count());
  if (bytes > kStepDemandBytesMax) return TooLarge(bytes);
  header_ = header;
  demand_ = ProfileStepDemand(header, buffer_slots_.size());
  stacks_.assign(static_cast<size_t>(header.csa_layer_count()),
                 RecencyStack(rising_slots_, header.tick_stride_steps(), demand_.position_count()));
  held_.assign(static_cast<size_t>(history) / 64 + 1, 0);
  open_step_ = 0;
  counts_ = StepCounts();
  counts_.misses.resize(rising_slots_.size());
  counts_.late.resize(rising_slots_.size());
  counts_.older_hits.resize(rising_slots_.size() *
                            static_cast<size_t>(AgeCount(header.tick_stride_steps())));
  return absl::OkStatus();
}

absl::Status ProfileStepDistiller::Select(int32_t step, int32_t layer,
                                          std::span<const uint32_t> entries) {
  if (layer == kAllLayers) return NeedsLayers();
  if (step != open_step_) EndStep();
  open_step_ = step;
  counts_.selections += static_cast<int64_t>(entries.size());
  const int64_t formed = FormedEntry(header_, step);
  if (!entries.empty() && entries.back() == formed) entries = entries.first(entries.size() - 1);
  counts_.fetchable += static_cast<int64_t>(entries.size());
  stacks_[static_cast<size_t>(layer)].Use(step, entries, &held_, &counts_);
  return absl::OkStatus();
}

// Books the open step.
void ProfileStepDistiller::EndStep() {
  const int32_t stride = header_.tick_stride_steps();
  demand_.sums_[demand_.Index(kSelectionRow, open_step_ + 1)] = counts_.selections;
  for (size_t c = 0; c < buffer_slots_.size(); ++c) {
    const int64_t misses = counts_.misses[rank_of_[c]];
    demand_.sums_[demand_.Index(kFirstMissRow + c, open_step_ + 1)] = misses;
    if (open_step_ % stride == 0 && open_step_ < header_.step_count()) {
      demand_.extra_[demand_.ExtraIndex(c, open_step_ / stride, 1)] = counts_.fetchable - misses;
    }
    BookExtra(c);
  }
  counts_.selections = counts_.fetchable = 0;
  std::fill(counts_.misses.begin(), counts_.misses.end(), 0);
  std::fill(counts_.late.begin(), counts_.late.end(), 0);
  std::fill(counts_.older_hits.begin(), counts_.older_hits.end(), 0);
}

// For every start before the open step the hits that it would have missed: those on entries used
// last in a sub-window before it. The start `age` - 1 sub-windows back lacks the hits of that age.
void ProfileStepDistiller::BookExtra(size_t capacity) {
  const int32_t stride = header_.tick_stride_steps(), ages = AgeCount(stride);
  int64_t hits = 0;
  for (int32_t age = ages - 1; age > 0; --age) {
    for (size_t rank = 0; rank <= rank_of_[capacity]; ++rank) {
      hits += counts_.older_hits[rank * static_cast<size_t>(ages) + static_cast<size_t>(age)];
    }
    const int32_t position = open_step_ / stride - (age - 1);
    const int32_t lag = open_step_ - position * stride;
    if (position < 1 || position >= demand_.position_count()) continue;
    if (lag == 0 || lag >= kWarmUpStepsMax) continue;
    demand_.extra_[demand_.ExtraIndex(capacity, position, lag + 1)] = hits;
  }
  for (size_t rank = 0; rank <= rank_of_[capacity]; ++rank) {
    demand_.late_misses_[capacity] += counts_.late[rank];
  }
}

ProfileStepDemand ProfileStepDistiller::Finish() {
  EndStep();
  for (size_t row = 0; row < kFirstMissRow + buffer_slots_.size(); ++row) {
    int64_t* sums = demand_.sums_.data() + demand_.Index(row, 0);
    std::partial_sum(sums, sums + header_.step_count() + 2, sums);
  }
  for (size_t c = 0; c < buffer_slots_.size(); ++c) {
    for (int32_t p = 0; p < demand_.position_count(); ++p) {
      int64_t* sums = demand_.extra_.data() + demand_.ExtraIndex(c, p, 0);
      std::partial_sum(sums, sums + kWarmUpStepsMax + 1, sums);
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
    bytes_ += ProfileStepDemand::ByteCount(profile, demand_.buffer_slots.size());
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

// Step demand: what a per-step policy such as HiSparse's swap of top-k entries fetches. Every layer
// of a request has a hot buffer of N entry slots; an entry that the layer selects and the buffer
// lacks is fetched before the layer's attention and takes the slot used least recently. Such a
// buffer belongs to one request and layer, so what it misses depends on the recording alone: counts
// per step, at every N asked for, are distilled once and looked up.
//
// Rules, close to sglang's HiSparse kernel (sim/demand/README.md has the differences):
// - A step's set counts as one access: an entry hits when the buffer holds it before the step, so a
//   buffer of top-k slots misses what the step before did not select. Evicted is the entry whose
//   last use is the longest ago; of entries last used at the same step the older, lower one.
// - The entry formed at this very step is in HBM: neither a miss nor put into the buffer.
// - Cold start: a request's buffers are empty at its own step 0, as behind a disaggregated prefill,
//   which writes the KV to the host. A warm buffer is not offered: nobody has published what one
//   would hold.
#ifndef TIERSCOPE_SIM_DEMAND_STEP_DEMAND_H_
#define TIERSCOPE_SIM_DEMAND_STEP_DEMAND_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "traces/trace.pb.h"

namespace tierscope {

// Most bytes that the demand of a trace, or the buffers of one profile being distilled, may take.
inline constexpr int64_t kStepDemandBytesMax = int64_t{512} << 20;

// Steps behind a cold start for which emptier buffers are told apart from those that have run since
// step 0. They differ while a buffer still holds entries used before the start: on dsa_glm51 with
// 8,192 slots for fewer than 40 steps.
inline constexpr int32_t kWarmUpStepsMax = 256;

// Counts of one profile, of all its layers together. Every look-up is O(1). Steps are the
// profile's, 0 .. step_count; ranges are first .. last - 1; position p is step p * stride, as in
// window demand. `capacity` is an index into the slots asked for.
class ProfileStepDemand {
 public:
  ProfileStepDemand() = default;
  ProfileStepDemand(const ProfileHeader& header, size_t capacity_count);

  int32_t step_count() const { return step_count_; }
  int32_t stride_steps() const { return stride_steps_; }
  int32_t position_count() const { return position_count_; }

  int64_t Selections(int32_t step) const { return SelectionsBetween(step, step + 1); }
  int64_t SelectionsBetween(int32_t first, int32_t last) const {
    return sums_[Index(0, last)] - sums_[Index(0, first)];
  }
  // Fetches of a request whose buffers were empty at the profile's step 0.
  int64_t Misses(size_t capacity, int32_t step) const {
    return MissesBetween(capacity, step, step + 1);
  }
  int64_t MissesBetween(size_t capacity, int32_t first, int32_t last) const {
    return sums_[Index(1 + capacity, last)] - sums_[Index(1 + capacity, first)];
  }
  // Fetches of a request whose buffers were empty at `position`, 0 <= position < position_count;
  // first is not before it.
  int64_t MissesSince(size_t capacity, int32_t position, int32_t first, int32_t last) const {
    const int32_t start = position * stride_steps_;
    return MissesBetween(capacity, first, last) + Extra(capacity, position, last - start) -
           Extra(capacity, position, first - start);
  }
  // Of those, how many are not told over all positions, being more than kWarmUpStepsMax steps
  // behind; 0 unless buffers are that slow to fill.
  int64_t late_misses(size_t capacity) const { return late_misses_[capacity]; }

  static int64_t ByteCount(const ProfileHeader& header, size_t capacity_count);

 private:
  friend class ProfileStepDistiller;
  size_t Index(size_t row, int32_t step) const {
    return row * (static_cast<size_t>(step_count_) + 2) + static_cast<size_t>(step);
  }
  size_t ExtraIndex(size_t capacity, int32_t position, int32_t lag) const {
    return (capacity * static_cast<size_t>(position_count_) + static_cast<size_t>(position)) *
               (kWarmUpStepsMax + 1) +
           static_cast<size_t>(lag);
  }
  int64_t Extra(size_t capacity, int32_t position, int32_t lag) const {
    return extra_[ExtraIndex(capacity, position, lag < kWarmUpStepsMax ? lag : kWarmUpStepsMax)];
  }

  int32_t step_count_ = 0;
  int32_t stride_steps_ = 1;
  int32_t position_count_ = 0;
  // [row][0 .. step_count + 1], sums over the steps before: selections, then misses by capacity.
  std::vector<int64_t> sums_;
  // [capacity][position][0 .. kWarmUpStepsMax], sums over the steps behind the start before: hits
  // on entries that were used last before the start.
  std::vector<int64_t> extra_;
  std::vector<int64_t> late_misses_;  // [capacity]
};

struct StepDemand {
  std::vector<int32_t> buffer_slots;  // per request and layer, as asked for
  std::vector<ProfileStepDemand> profiles;
  std::string trace_digest;
};

// What the buffers of all layers see at one step, by rising capacity.
struct StepCounts {
  int64_t selections = 0;
  int64_t fetchable = 0;        // selections less the entry formed at the step
  std::vector<int64_t> misses;  // [capacity]
  // Hits that the next smaller capacity misses, on entries not used at the step before, by the
  // sub-windows between the last use and the step: [capacity][0 .. ages - 1], older ones in the
  // last.
  std::vector<int64_t> older_hits;
  std::vector<int64_t>
      late;  // [capacity] of these, times the starts more than kWarmUpStepsMax back
};

// LRU order of one layer's entries, the last used first, cut at the largest capacity: Mattson's
// stack, kept as an array. A step costs one pass over it, and sees every capacity.
class RecencyStack {
 public:
  // `slots` rise strictly, are positive, and outlive the stack.
  RecencyStack(const std::vector<int32_t>& slots, int32_t stride_steps, int32_t position_count)
      : slots_(&slots), stride_steps_(stride_steps), position_count_(position_count) {}

  // Uses the entries of one step, rising; `held` is a bitmap over the history, clear before and
  // after. Adds to misses and older_hits.
  void Use(int32_t step, std::span<const uint32_t> entries, std::vector<uint64_t>* held,
           StepCounts* counts);

 private:
  void CountOlderHits(int32_t step, size_t hit_count, StepCounts* counts) const;

  const std::vector<int32_t>* slots_;
  int32_t stride_steps_, position_count_;
  std::vector<uint32_t> order_, next_;
  std::vector<int32_t> last_step_, next_step_;  // of the entries in order_, next_
  std::vector<uint32_t> hits_;                  // places in order_, reused
};

// Builds the demand of one profile from its selections in trace order. One owner; reusable through
// Begin. Memory: the result, 16 bytes a slot of the largest capacity and layer, 1 bit an entry.
class ProfileStepDistiller {
 public:
  // `buffer_slots`: any order, repeats allowed.
  explicit ProfileStepDistiller(const std::vector<int32_t>& buffer_slots);

  // Errors: no slots, a buffer below top-k (it could not hold one step), selections that are not of
  // the full history, or more memory than kStepDemandBytesMax.
  absl::Status Begin(const ProfileHeader& header);
  // Error: `layer` is kAllLayers. Votes do not tell which layer's buffer lacks an entry.
  absl::Status Select(int32_t step, int32_t layer, std::span<const uint32_t> entries);
  ProfileStepDemand Finish();

 private:
  void EndStep();
  void BookExtra(size_t capacity);

  std::vector<int32_t> buffer_slots_;  // as asked for
  std::vector<int32_t> rising_slots_;  // of these, sorted and each once
  std::vector<size_t> rank_of_;        // [buffer_slots_] index into rising_slots_
  ProfileHeader header_;
  ProfileStepDemand demand_;
  std::vector<RecencyStack> stacks_;  // [layer]
  std::vector<uint64_t> held_;        // bitmap over the history, clear between calls
  int32_t open_step_ = 0;
  StepCounts counts_;  // of the open step
};

// The demand of every profile of a trace file, read in one pass. Errors: those of Begin and Select
// with the profile, and those of the reader.
absl::StatusOr<StepDemand> DistilStepDemand(const std::string& path,
                                            const std::vector<int32_t>& buffer_slots);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_DEMAND_STEP_DEMAND_H_

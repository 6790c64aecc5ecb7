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
// - Cold start: the buffer is empty at step 0, as behind a disaggregated prefill, which writes the
//   KV to the host. A warm buffer is not offered: nobody has published what it would hold.
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

// Counts of one profile, of all its layers together. Every look-up is O(1). Steps are the
// profile's, 0 .. step_count; ranges are first .. last - 1.
class ProfileStepDemand {
 public:
  ProfileStepDemand() = default;
  ProfileStepDemand(int32_t step_count, size_t capacity_count);

  int32_t step_count() const { return step_count_; }
  // Selections of one step.
  int64_t Selections(int32_t step) const { return SelectionsBetween(step, step + 1); }
  int64_t SelectionsBetween(int32_t first, int32_t last) const { return Sum(0, first, last); }
  // Fetches of a step that finds its buffers empty: all selections but the entries it formed.
  // A request that starts at a later step than 0 fetches these at that step; afterwards `Misses` is
  // short of what its emptier buffers lack, for the few steps until they are full.
  int64_t ColdMisses(int32_t step) const { return Sum(1, step, step + 1); }
  // Fetches of one step when the buffers have run since step 0. `capacity` is an index into the
  // slots asked for.
  int64_t Misses(size_t capacity, int32_t step) const {
    return MissesBetween(capacity, step, step + 1);
  }
  int64_t MissesBetween(size_t capacity, int32_t first, int32_t last) const {
    return Sum(2 + capacity, first, last);
  }

 private:
  friend class ProfileStepDistiller;
  int64_t& At(size_t row, int32_t step) {
    return sums_[row * row_size_ + static_cast<size_t>(step)];
  }
  int64_t Sum(size_t row, int32_t first, int32_t last) const {
    const int64_t* sums = sums_.data() + row * row_size_;
    return sums[last] - sums[first];
  }

  int32_t step_count_ = 0;
  size_t row_size_ = 0;
  // [row][0 .. step_count + 1], sums over the steps before: selections, cold misses, misses of each
  // capacity.
  std::vector<int64_t> sums_;
};

struct StepDemand {
  std::vector<int32_t> buffer_slots;  // per request and layer, as asked for
  std::vector<ProfileStepDemand> profiles;
  std::string trace_digest;
};

// LRU order of one layer's entries, the last used first, cut at the largest capacity: Mattson's
// stack, kept as an array. A step costs one pass over it, and sees every capacity.
class RecencyStack {
 public:
  // `slots` rise strictly and are positive.
  explicit RecencyStack(const std::vector<int32_t>& slots) : slots_(&slots) {}

  // Uses the entries of one step, rising; `held` is a bitmap over the history, clear before and
  // after. Adds to misses[i] the entries that lie deeper than slots[i].
  void Use(std::span<const uint32_t> entries, std::vector<uint64_t>* held,
           std::span<int64_t> misses);

 private:
  const std::vector<int32_t>* slots_;
  std::vector<uint32_t> order_, next_;
};

// Builds the demand of one profile from its selections in trace order. One owner; reusable through
// Begin. Memory: the result, 4 bytes a slot of the largest capacity and layer, 1 bit an entry.
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
  std::vector<int32_t> buffer_slots_;  // as asked for
  std::vector<int32_t> rising_slots_;  // of these, sorted and each once
  ProfileHeader header_;
  ProfileStepDemand demand_;
  std::vector<RecencyStack> stacks_;  // [layer]
  std::vector<uint64_t> held_;        // bitmap over the history, clear between calls
  std::vector<int64_t> misses_;       // [rising_slots_], of one call
};

// The demand of every profile of a trace file, read in one pass. Errors: those of Begin and Select
// with the profile, and those of the reader.
absl::StatusOr<StepDemand> DistilStepDemand(const std::string& path,
                                            const std::vector<int32_t>& buffer_slots);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_DEMAND_STEP_DEMAND_H_

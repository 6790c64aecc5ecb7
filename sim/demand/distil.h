// Distils an attention trace into window demand, one pass, streaming.
#ifndef TIERSCOPE_SIM_DEMAND_DISTIL_H_
#define TIERSCOPE_SIM_DEMAND_DISTIL_H_

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "sim/demand/demand.h"
#include "sim/policy/page_selection.h"
#include "traces/trace.pb.h"

namespace tierscope {

enum class WantPolicy {
  kLsa,
  kRecency,
  kRandom,
  kOracle,
  kFlashMemory,
  kStreamingLlm,
  kH2o,
  kQuest,
  kTopkSwap,  // this and the next have no want lists: hot_buffers.h
  kEss,
};

// All that want lists depend on; neither hardware nor batch is among it.
struct DemandSpec {
  WantPolicy policy = WantPolicy::kLsa;
  int32_t tau_steps = 64;
  int32_t threshold_code = 128;  // an entry is wanted from this score code on
  int32_t page_kmax = 96;
  int64_t recency_entries = 2048;
  int64_t sink_entries = 0;
  uint64_t seed = 1;               // of policy `random`
  int32_t hot_buffer_entries = 0;  // of `topk_swap`, a layer
  int64_t pool_parts = 0;          // of `ess`, in kPoolParts of a prompt's entries
  int32_t pool_warmup_steps = 0;   // of `ess`
  friend auto operator<=>(const DemandSpec&, const DemandSpec&) = default;
};

// Whether a policy decides by the memory indexer's scores.
inline bool NeedsScores(WantPolicy policy) {
  return policy == WantPolicy::kLsa || policy == WantPolicy::kFlashMemory ||
         policy == WantPolicy::kQuest;
}

// Whether a policy fetches entries, which needs selections per layer.
inline bool NeedsLayers(WantPolicy policy) {
  return policy == WantPolicy::kTopkSwap || policy == WantPolicy::kEss;
}

// Whether a profile can answer the spec. Error: a threshold under its score floor, a tau that is no
// multiple of its tick stride, an oracle without selections of the full history, scores that were
// not recorded, other values than those that recorded decisions were taken with.
absl::Status CheckAnswerable(const ProfileHeader& header, const DemandSpec& spec);

// Sub-windows behind a tick for which misses are summed: a set stays active for two windows at most
// (decode waits for a late one), plus rounding.
inline int32_t LagCount(const DemandSpec& spec, int32_t stride_steps) {
  return 2 * (spec.tau_steps / stride_steps) + 2;
}

// Builds the demand of one profile from its records in trace order. One owner; reusable through
// Begin. Memory: the demand itself, one counter a page, and one bit an entry where ticks stand per
// layer.
class ProfileDistiller {
 public:
  explicit ProfileDistiller(const DemandSpec& spec) : spec_(spec) {}

  // Fails when the profile cannot answer the spec, or has too many pages.
  absl::Status Begin(const ProfileHeader& header, int32_t profile_index);
  // Entries in rising order with their score codes. Several target layers of one step count as
  // their maximum.
  void Tick(int32_t step, int32_t target_layer, std::span<const uint32_t> entries,
            std::span<const uint8_t> codes);
  // A recorded decision, pages or entries in rising order, is the want list of its tick where the
  // profile holds no scores. Error: a page outside the history.
  absl::Status Decide(int32_t step, bool is_pages, std::span<const uint32_t> ids);
  // Entries in rising order; `votes` empty means one vote each.
  void Select(int32_t step, std::span<const uint32_t> entries, std::span<const uint8_t> votes);
  ProfileDemand Finish();

 private:
  int64_t EntriesAfterStep(int32_t step) const {
    return (header_.prompt_tokens() + step + 1) / header_.tokens_per_entry();
  }
  ForcedPages ForcedAt(int32_t position) const;
  void CloseTick();
  void CloseSubWindow();
  void AppendWantList(const PageIndex* pages, int32_t count);
  void BuildBaselineWantLists();
  void BuildOracleWantLists();
  void BuildH2oWantLists();
  void BuildMissTables();
  SelectionCount LateSelections(int32_t position, int32_t sub_window) const;
  // Whether want lists come from scores.
  bool scored() const { return NeedsScores(spec_.policy); }

  DemandSpec spec_;
  ProfileHeader header_;
  int32_t profile_index_ = 0;
  ProfileDemand demand_;

  std::vector<uint8_t> density_;       // [page] of the open tick; under kQuest the greatest code
  std::vector<uint64_t> wanted_bits_;  // [entry / 64] of the open tick, when it has several layers
  int32_t open_tick_ = -1;             // its position, -1 = none
  std::vector<uint32_t> page_count_;   // [page] selections of the open sub-window
  int32_t open_sub_window_ = 0;
  // Under kFlashMemory, per sub-window, selections of entries so new that some tick whose tables
  // reach here had not seen them.
  struct YoungSelection {
    uint32_t entry;
    uint32_t votes;
  };
  std::vector<YoungSelection> young_;
  std::vector<size_t> young_begin_;
  std::vector<PageIndex> list_;
  std::vector<uint64_t> attention_;  // under kH2o: [page] selections so far, of step 0 at first
};

// Reads every profile of the trace file. Errors name the file and what to do.
absl::StatusOr<WindowDemand> DistilTrace(const std::string& path, const DemandSpec& spec);

// Adds what the header of one more profile says to what a demand says of its trace.
absl::Status AddProfileHeader(const ProfileHeader& header, WindowDemand* demand);

// The error of a trace without profiles.
absl::Status NoProfile(const std::string& path);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_DEMAND_DISTIL_H_

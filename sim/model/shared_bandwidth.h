// Processor sharing of one bandwidth among a few flows, each with a cap of its own: max-min fair,
// so a flow that its cap holds back leaves the rest to the others. Used for host DRAM, which
// recall, writeback, arriving KV and fetches from lower tiers draw on at once. All in bytes of one
// rank and integer nanoseconds.
#ifndef TIERSCOPE_SIM_MODEL_SHARED_BANDWIDTH_H_
#define TIERSCOPE_SIM_MODEL_SHARED_BANDWIDTH_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "sim/base/time.h"

namespace tierscope {

enum class Flow : uint8_t { kRecall, kWriteback, kIngest, kNvme, kRemote };
inline constexpr int kFlowCount = 5;

// At most one transfer of each kind at a time; callers queue the rest. Every change takes the
// current time, which never goes back. Cost: constant.
class SharedBandwidth {
 public:
  explicit SharedBandwidth(int64_t bytes_per_s) : capacity_(bytes_per_s) {}

  // Starts a transfer of `bytes` (> 0) at no more than `cap_bytes_per_s` (> 0). The flow was idle.
  void Start(SimTime now, Flow flow, int64_t bytes, int64_t cap_bytes_per_s);
  // Ends a flow whose completion time has come.
  void Finish(SimTime now, Flow flow);

  bool busy(Flow flow) const { return state_[Index(flow)].cap > 0; }
  // When the flow ends if nothing else changes; kSimTimeNever when idle. A Start or Finish of
  // another flow may move it: compare with what the event was scheduled for.
  SimTime CompletionTime(Flow flow) const;

 private:
  struct State {
    int64_t left = 0;  // bytes, as of last_change_
    int64_t rate = 0;
    int64_t cap = 0;  // 0 = idle
  };
  static size_t Index(Flow flow) { return static_cast<size_t>(flow); }
  void Advance(SimTime now);
  void ShareOut();

  int64_t capacity_;
  SimTime last_change_;
  std::array<State, kFlowCount> state_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_MODEL_SHARED_BANDWIDTH_H_

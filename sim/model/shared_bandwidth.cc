#include "sim/model/shared_bandwidth.h"

#include <algorithm>
#include <numeric>

#include "sim/base/check.h"
#include "sim/base/units.h"

namespace tierscope {

void SharedBandwidth::Advance(SimTime now) {
  TIERSCOPE_CHECK(now >= last_change_);
  const SimDuration passed = now - last_change_;
  for (State& state : state_) {
    if (state.cap == 0) continue;
    state.left = std::max<int64_t>(0, state.left - BytesMoved(passed, state.rate));
  }
  last_change_ = now;
}

// Water-filling: the flows with the smallest caps first; each gets its cap or an equal share of
// what is left, whichever is less.
void SharedBandwidth::ShareOut() {
  std::array<size_t, kFlowCount> order;
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return state_[a].cap < state_[b].cap; });
  int64_t sharers =
      std::count_if(state_.begin(), state_.end(), [](const State& state) { return state.cap > 0; });
  int64_t left = capacity_;
  for (size_t i : order) {
    State& state = state_[i];
    if (state.cap == 0) continue;
    state.rate = std::max<int64_t>(1, std::min(state.cap, left / sharers--));
    left -= state.rate;
  }
}

void SharedBandwidth::Start(SimTime now, Flow flow, int64_t bytes, int64_t cap_bytes_per_s) {
  TIERSCOPE_CHECK(!busy(flow) && bytes > 0 && cap_bytes_per_s > 0);
  Advance(now);
  State& state = state_[Index(flow)];
  state.left = bytes;
  state.cap = cap_bytes_per_s;
  ShareOut();
}

void SharedBandwidth::Finish(SimTime now, Flow flow) {
  Advance(now);
  State& state = state_[Index(flow)];
  TIERSCOPE_CHECK(state.cap > 0 && state.left == 0);
  state.cap = 0;
  state.rate = 0;
  ShareOut();
}

SimTime SharedBandwidth::CompletionTime(Flow flow) const {
  const State& state = state_[Index(flow)];
  if (state.cap == 0) return kSimTimeNever;
  return last_change_ + TransferDuration(state.left, state.rate);
}

}  // namespace tierscope

// Window demand: what the engine needs of an attention trace under a page policy, and no more. Flat
// arrays, built once by distil.h and then read only; shared by every run that has the same policy.
//
// Time in a profile is counted in sub-windows of `stride_steps` steps: sub-window w is steps
// w * stride + 1 .. (w + 1) * stride, and the tick of position w happens after step w * stride. A
// position past the profile's end wraps to its start.
#ifndef TIERSCOPE_SIM_DEMAND_DEMAND_H_
#define TIERSCOPE_SIM_DEMAND_DEMAND_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/base/ids.h"

namespace tierscope {

using PageIndex = uint16_t;
inline constexpr int64_t kPagesPerProfileMax = 65535;

// Selections counted over a stretch of steps; votes of layers, so one entry of one step in one
// layer counts one. `prompt` leaves out the pages that hold only generated entries.
struct SelectionCount {
  int64_t all = 0;
  int64_t prompt = 0;
  SelectionCount& operator+=(const SelectionCount& o) {
    all += o.all;
    prompt += o.prompt;
    return *this;
  }
  friend SelectionCount operator+(SelectionCount a, const SelectionCount& b) { return a += b; }
  friend SelectionCount operator-(const SelectionCount& a, const SelectionCount& b) {
    return {a.all - b.all, a.prompt - b.prompt};
  }
  friend SelectionCount operator*(const SelectionCount& a, int64_t n) {
    return {a.all * n, a.prompt * n};
  }
  friend bool operator==(const SelectionCount&, const SelectionCount&) = default;
};

class ProfileDemand {
 public:
  int64_t prompt_tokens = 0;
  int32_t stride_steps = 0;
  int32_t position_count = 0;     // ticks, and sub-windows, of the profile
  int32_t page_count = 0;         // pages of the history at the profile's end
  int32_t prompt_page_count = 0;  // pages whose first entry is a prompt entry
  int32_t tokens_per_page = 0;
  int32_t lag_count = 0;  // sub-windows behind a tick for which misses are known

  int32_t step_count() const { return position_count * stride_steps; }

  // Pages of the want list of tick `position`, in rising order.
  std::span<const PageIndex> WantList(int32_t position) const {
    const auto p = static_cast<size_t>(position);
    return {want_pages.data() + want_begin[p], want_begin[p + 1] - want_begin[p]};
  }
  // Selections in the `steps` steps that follow tick `position`, times stride_steps: a sub-window's
  // are taken as spread evenly over its steps, so a step of it counts 1 / stride_steps, and counts
  // in that unit stay whole. 0 <= steps <= lag_count * stride_steps.
  SelectionCount Selections(int32_t position, int64_t steps) const {
    return Spread(selections, position, steps);
  }
  // Those of them whose page is neither in the want list of tick `position` nor, where
  // `formed_page` says so, in HBM from birth.
  SelectionCount Inactive(int32_t position, int64_t steps) const {
    return Spread(inactive, position, steps);
  }
  // Those of Inactive whose page is in the want list: entries that formed in it after the tick.
  // None but under policies that cannot select them before the next tick.
  SelectionCount Late(int32_t position, int64_t steps) const {
    return late.empty() ? SelectionCount() : Spread(late, position, steps);
  }
  // Selections of `page` in sub-window `position`. Cost: a binary search.
  int64_t SelectionsOfPage(int32_t position, PageIndex page) const;
  // Whether `page` is in the want list of tick `position`. Cost: a binary search.
  bool Wants(int32_t position, PageIndex page) const;

  // First page that is in HBM from birth at a tick: the one open then, and all that form later;
  // page_count where a policy does not select what forms before the next tick.
  std::vector<PageIndex> formed_page;
  // CSR over positions: want lists, and per sub-window the pages selected from with their counts.
  std::vector<uint32_t> want_begin;
  std::vector<PageIndex> want_pages;
  std::vector<uint32_t> touched_begin;
  std::vector<PageIndex> touched_pages;
  std::vector<uint32_t> touched_selections;
  // [position][0..lag_count], running sums over the lag.
  std::vector<SelectionCount> selections;
  std::vector<SelectionCount> inactive;
  std::vector<SelectionCount> late;  // empty: no policy effect

 private:
  SelectionCount Spread(const std::vector<SelectionCount>& sums, int32_t position,
                        int64_t steps) const {
    const auto lag = static_cast<int32_t>(steps / stride_steps);
    const int64_t rest = steps % stride_steps;
    const SelectionCount* sum = &sums[Index(position, lag)];
    SelectionCount spread = sum[0] * stride_steps;
    if (rest > 0) spread += (sum[1] - sum[0]) * rest;
    return spread;
  }
  size_t Index(int32_t position, int32_t lag) const {
    return static_cast<size_t>(position) * static_cast<size_t>(lag_count + 1) +
           static_cast<size_t>(lag);
  }
};

struct HotBuffers;

struct WindowDemand {
  std::vector<ProfileDemand> profiles;
  // Of policies that fetch entries (hot_buffers.h): the profiles then have no want lists and
  // counts. Null under all others.
  std::shared_ptr<const HotBuffers> hot_buffers;
  int32_t first_start = 0;  // the earliest tick at which a request may start
  std::string trace_digest;
  std::string trace_name;
  std::string provenance;
  int32_t csa_layers = 0;  // of the recorded model
  int32_t top_k = 0;
  int32_t stride_steps = 0;    // tick stride of every profile
  bool coverage_known = true;  // false: the trace holds no selections of the full history
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_DEMAND_DEMAND_H_

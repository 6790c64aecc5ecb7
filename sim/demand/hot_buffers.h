// What the hot buffers of an attention trace's profiles miss, for the policies that fetch entries:
// a window demand without want lists that carries one step demand a profile.
#ifndef TIERSCOPE_SIM_DEMAND_HOT_BUFFERS_H_
#define TIERSCOPE_SIM_DEMAND_HOT_BUFFERS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "sim/demand/distil.h"
#include "sim/demand/step_demand.h"

namespace tierscope {

struct HotBuffers {
  struct Fetch {
    int64_t selections = 0;
    int64_t misses = 0;
  };
  std::vector<ProfileStepDemand> profiles;  // of one capacity
  std::vector<int32_t> slots;               // [profile], of each layer's buffer
  // Ticks before its start at which a request's buffers were empty: 0 = cold at its step 0. No
  // request starts earlier than so many ticks into its profile.
  int32_t warmup_positions = 0;

  // What a request that started at tick `position` of the profile selects and fetches at its own
  // step `step`, all layers together. Past the recording's end it goes on at the profile's step 1,
  // with buffers that were empty at its step 0. O(1).
  Fetch At(size_t profile, int32_t position, int64_t step) const;
};

// Spec of kTopkSwap or kEss. Errors: those of DistilStepDemand, a pool smaller than top-k, a
// recording shorter than the warm-up.
absl::StatusOr<WindowDemand> DistilHotBuffers(const std::string& path, const DemandSpec& spec);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_DEMAND_HOT_BUFFERS_H_

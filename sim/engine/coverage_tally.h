// Where in the context, and how long after the tick, selections hit and miss: the account of
// RequestState, taken apart. Whole sub-windows are counted while the run goes on (an addition each)
// and are looked up in the demand once, at the end; so it costs what the demand is large, not what
// the run is long.
//
// Requests that own only a part of their profile's pages are left out: their share is in `all` of
// the run's counters and not here. One thread.
#ifndef TIERSCOPE_SIM_ENGINE_COVERAGE_TALLY_H_
#define TIERSCOPE_SIM_ENGINE_COVERAGE_TALLY_H_

#include <cstdint>
#include <vector>

#include "sim/demand/demand.h"

namespace tierscope {

// Selections in units of 1 / stride (demand.h), by sub-windows since the tick and position.
struct CoverageGrid {
  static constexpr int kPromptParts = 32;  // equal parts of the prompt's pages, oldest first
  static constexpr int kPositions = kPromptParts + 1;  // the last: generated entries
  static constexpr int kLagGroupsMax = 64;

  int32_t stride_steps = 0;
  int32_t lags_per_group = 1;   // sub-windows that a row counts together
  std::vector<int64_t> all;     // [lag group][position]
  std::vector<int64_t> missed;  // the same
};

class CoverageTally {
 public:
  // Steps [from, to) since the tick of `position`, spread over sub-windows. Not `published`: the
  // request has no active set yet, and misses everything.
  void AddSteps(const ProfileDemand& demand, int32_t position, bool published, int64_t from,
                int64_t to);
  // `missed` selections of a page that the active set has and the reserve has not, in sub-window
  // `lag` since the tick.
  void AddLost(const ProfileDemand& demand, int64_t lag, PageIndex page, int64_t missed);
  void Clear();  // the warm-up is over
  // Cost: once over the pages of every sub-window that was counted, and as often as its ticks.
  CoverageGrid Sum() const;

 private:
  struct Profile {
    const ProfileDemand* demand;
    // [position of the tick][lag]: steps that were counted.
    std::vector<int64_t> published, unpublished;
    std::vector<int64_t> lost;  // [lag][position in the context]
  };
  Profile& Of(const ProfileDemand& demand);
  static void SumTicks(const Profile& profile, bool published, CoverageGrid& grid);

  std::vector<Profile> profiles_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_COVERAGE_TALLY_H_

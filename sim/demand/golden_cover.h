// What part of a trace's golden entries lies in the pages that a policy wants:
// traces/indexer_quality.h against want lists. Of the trace and the policy alone, no run changes
// it.
#ifndef TIERSCOPE_SIM_DEMAND_GOLDEN_COVER_H_
#define TIERSCOPE_SIM_DEMAND_GOLDEN_COVER_H_

#include <cstdint>
#include <vector>

#include "sim/demand/demand.h"
#include "traces/indexer_quality.h"

namespace tierscope {

struct GoldenCover {
  int64_t golden = 0;  // entries over all windows of all profiles
  int64_t active = 0;  // of these, whose page the window's tick wants, or that formed since
};

// Precondition: `profiles` are those of `demand`, in order, and it has want lists.
GoldenCover CoverGolden(const std::vector<IndexerQualityCounts>& profiles,
                        const WindowDemand& demand);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_DEMAND_GOLDEN_COVER_H_

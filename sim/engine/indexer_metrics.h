// What the memory indexer's scores are worth on the run's attention trace, at the run's threshold,
// and what part of the golden entries the policy's pages hold. Of the trace and the policy alone:
// nothing of it depends on the run.
#ifndef TIERSCOPE_SIM_ENGINE_INDEXER_METRICS_H_
#define TIERSCOPE_SIM_ENGINE_INDEXER_METRICS_H_

#include <vector>

#include "reports/schema/metrics.h"
#include "scenarios/scenario.pb.h"
#include "sim/demand/demand.h"
#include "traces/indexer_quality.h"

namespace tierscope {

// Golden entries over all profiles, and those whose page is active in their window under the want
// lists. Precondition: `profiles` are those of `demand`, in order.
struct GoldenCover {
  int64_t golden = 0;
  int64_t active = 0;
};
GoldenCover CoverGolden(const std::vector<IndexerQualityCounts>& profiles,
                        const WindowDemand& demand);

// Sets golden_recall and indexer_*. `demand` is null under FULL, `profiles` where nobody looked.
void FillIndexerMetrics(const Scenario& scenario, const WindowDemand* demand,
                        const std::vector<IndexerQualityCounts>* profiles, MetricSet* metrics);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_INDEXER_METRICS_H_

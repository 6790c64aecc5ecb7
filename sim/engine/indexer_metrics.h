// What the memory indexer's scores are worth on the run's attention trace, at the run's threshold,
// and what part of the golden entries the policy's pages hold, as metrics.
#ifndef TIERSCOPE_SIM_ENGINE_INDEXER_METRICS_H_
#define TIERSCOPE_SIM_ENGINE_INDEXER_METRICS_H_

#include <vector>

#include "reports/schema/metrics.h"
#include "scenarios/scenario.pb.h"
#include "sim/demand/demand.h"
#include "sim/demand/golden_cover.h"

namespace tierscope {

// Sets golden_recall and indexer_*. `demand` is null under FULL, `profiles` where nobody looked.
void FillIndexerMetrics(const Scenario& scenario, const WindowDemand* demand,
                        const std::vector<IndexerQualityCounts>* profiles, MetricSet* metrics);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_INDEXER_METRICS_H_

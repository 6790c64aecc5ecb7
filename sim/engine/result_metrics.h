// From what a replica counted to the metrics of reports/schema. Pure functions.
#ifndef TIERSCOPE_SIM_ENGINE_RESULT_METRICS_H_
#define TIERSCOPE_SIM_ENGINE_RESULT_METRICS_H_

#include <vector>

#include "reports/schema/result.pb.h"
#include "scenarios/scenario.pb.h"
#include "sim/demand/demand.h"
#include "sim/demand/golden_cover.h"
#include "sim/engine/memory_plan.h"
#include "sim/engine/replica.h"

namespace tierscope {

// Fills metrics and footprint. `demand` is null under policy FULL, `requests` without a request
// trace, `indexer` where nobody looked at the trace's scores. Sorts the outcome's samples.
void FillMetrics(const Scenario& scenario, const MemoryPlan& plan, const WindowDemand* demand,
                 const RequestTrace* requests, const std::vector<IndexerQualityCounts>* indexer,
                 ReplicaOutcome& outcome, RunResult* result);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_RESULT_METRICS_H_

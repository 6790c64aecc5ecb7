// What a result says in words: assumptions that its figures rest on, settings that it did not read,
// and what the run showed of itself.
#ifndef TIERSCOPE_SIM_ENGINE_NOTES_H_
#define TIERSCOPE_SIM_ENGINE_NOTES_H_

#include "reports/schema/result.pb.h"
#include "scenarios/scenario.pb.h"
#include "sim/demand/demand.h"
#include "sim/engine/memory_plan.h"
#include "sim/engine/replica.h"
#include "traces/request_trace.h"

namespace tierscope {

// Adds them to `result`. `demand` is null exactly under policy FULL; `requests` may be null.
void FillNotes(const Scenario& scenario, const MemoryPlan& plan, const WindowDemand* demand,
               const RequestTrace* requests, const ReplicaOutcome& outcome, RunResult* result);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_NOTES_H_

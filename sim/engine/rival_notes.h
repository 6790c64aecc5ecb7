// What a result says of a rival policy: what it is modelled on and what it approximates.
#ifndef TIERSCOPE_SIM_ENGINE_RIVAL_NOTES_H_
#define TIERSCOPE_SIM_ENGINE_RIVAL_NOTES_H_

#include "reports/schema/result.pb.h"
#include "scenarios/scenario.pb.h"
#include "sim/demand/demand.h"

namespace tierscope {

// Adds nothing for policies that are no rivals (scenarios/policy_kind.h).
void NoteRival(const Scenario& scenario, const WindowDemand& demand, RunResult* result);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_RIVAL_NOTES_H_

// How many equal requests each resource admits at once: closed forms, no run.
#ifndef TIERSCOPE_SIM_PLANNER_CEILINGS_H_
#define TIERSCOPE_SIM_PLANNER_CEILINGS_H_

#include <cstdint>
#include <vector>

#include "scenarios/scenario.pb.h"
#include "sim/engine/memory_plan.h"
#include "sim/planner/capacity.h"

namespace tierscope {

// Of all replicas and dp_attention groups together, as if requests spread evenly over them. For
// equal requests under admit FULL, all admitted at once: HBM, host DRAM at host_usable_fraction,
// blocks of a protected reserve (`grown_pages_max`: GrownPagesMax), FlashMemory's request slots,
// and the largest captured CUDA graph. A resource that the policy does not use is left out.
std::vector<Ceiling> AdmissionCeilings(const Scenario& scenario, const MemoryPlan& plan,
                                       int64_t context_tokens, int64_t output_tokens,
                                       int64_t grown_pages_max);

// The largest captured CUDA graph alone, for requests whose memory no arithmetic bounds. Empty
// without graphs.
std::vector<Ceiling> GraphCeilings(const Scenario& scenario);

// The same of host DRAM if all of it could be used (host_usable_fraction 1): the answer without
// that assumption. INT64_MAX without a cold pool.
int64_t WholeHostCeiling(const Scenario& scenario, const MemoryPlan& plan, int64_t context_tokens,
                         int64_t output_tokens);

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_PLANNER_CEILINGS_H_

// A scenario of the real mode small enough for tests, and what a run of it leaves behind.
#ifndef TIERSCOPE_TESTS_REAL_REAL_WORLD_H_
#define TIERSCOPE_TESTS_REAL_REAL_WORLD_H_

#include <memory>
#include <string>
#include <vector>

#include "real/backend.h"
#include "real/execution_plan.h"
#include "real/executor.h"
#include "scenarios/scenario.pb.h"
#include "sim/demand/demand.h"

namespace tierscope::testing {

// 2 requests of 2,028 tokens: 507 entries, so that the eighth page lacks five and is sealed after
// step 19. 34 steps; ticks behind steps 0, 8, 16, 24, 32 of request 0 and 0, 4, 12, 20, 28 of
// request 1; 2 pages at most beside the newest, and a reserve of 12 blocks for 18 pages.
// Synchronous, so that nothing depends on how long anything takes. `sets` as of --set.
Scenario SmallScenario(const std::vector<std::string>& sets = {});

// Want lists for a replay of it that ask for other pages at every tick, so that blocks change hands
// all the time.
WindowDemand ChurningDemand();

// A plan that is known to be good.
ExecutionPlan SmallPlan(const Scenario& scenario, RealMode mode = RealMode::kLive,
                        const WindowDemand* demand = nullptr);

// One thread a stream.
std::unique_ptr<Backend> SmallBackend();

// Runs one profiled pass.
PassRecord RunOnce(const ExecutionPlan& plan, const ExecutorOptions& options);

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_REAL_REAL_WORLD_H_

// A scenario of the real mode small enough for tests, and what a run of it leaves behind.
#ifndef TIERSCOPE_TESTS_REAL_REAL_WORLD_H_
#define TIERSCOPE_TESTS_REAL_REAL_WORLD_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
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
// What makes it of scenarios/cpu_small.txtpb.
std::vector<std::string> SmallSets();

// Want lists for a replay of it that ask for other pages at every tick, so that blocks change hands
// all the time.
WindowDemand ChurningDemand();

// A plan that is known to be good.
ExecutionPlan SmallPlan(const Scenario& scenario, RealMode mode = RealMode::kLive,
                        const WindowDemand* demand = nullptr);

// The CPU backend, one thread a stream.
std::unique_ptr<Backend> SmallCpuBackend();
// The backend that this binary's tests are about: the CPU's (small_backend.cc), or CUDA's on the
// stand-in runtime (cuda_world.cc).
std::unique_ptr<Backend> SmallBackend();

// Runs one profiled pass on it, or on another backend.
PassRecord RunOnce(const ExecutionPlan& plan, const ExecutorOptions& options);
PassRecord RunOnceOn(Backend& backend, const ExecutionPlan& plan, const ExecutorOptions& options);

// What a pass decided and moved, and nothing of when.
struct Decided {
  std::map<std::pair<int32_t, int64_t>, std::vector<PageIndex>> lists;  // [request, own step]
  std::vector<int64_t> recalled, evicted;                               // [job]
  std::vector<int64_t> publish_steps;
  std::vector<std::pair<int64_t, int32_t>> writebacks;          // step, request
  std::vector<std::vector<std::vector<PageIndex>>> sets, lost;  // [request][change]
  int64_t evicted_for_growth = 0;
  int32_t blocks_peak = 0;
  int64_t steps = 0;
  friend bool operator==(const Decided&, const Decided&) = default;
};
Decided DecidedIn(const PassRecord& pass);

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_REAL_REAL_WORLD_H_

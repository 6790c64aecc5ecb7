// The event loop reuses its memory: a run eight times as long asks for no more of it, but for what
// its statistics keep of every request.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/fuzz/allocation_meter.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

constexpr double kShortS = 100, kLongS = 800;
// Five sets of samples in arrays that double three times on the way, in each of two replicas, and
// queues that come to their greatest length late.
constexpr int64_t kStatisticsMax = 40;

struct Cost {
  int64_t allocations = 0;
  int64_t steps = 0, finished = 0, preemptions = 0, evicted = 0;
};

// Ten sub-windows with half of the prompt's pages wanted at each tick.
WindowDemand RestlessDemand(const Scenario& scenario) {
  Rng rng(7);
  std::vector<ToyWindow> windows(10);
  for (ToyWindow& window : windows) {
    for (PageIndex page = 0; page < 8; ++page) {
      if (rng.NextBelow(2) == 0) window.scored_pages.push_back(page);
      window.selections.push_back({page, 1});
    }
  }
  return ToyDemand(scenario, 8, 4, windows);
}

// Of the loop alone: what is made before it and after it costs the same for any length.
Cost CostOf(Scenario scenario, const WindowDemand* demand, double simulated_s) {
  scenario.mutable_engine()->set_simulated_s(simulated_s);
  const absl::StatusOr<MemoryPlan> plan = MakeMemoryPlan(scenario);
  EXPECT_TRUE(plan.ok()) << plan.status();
  Fleet fleet(scenario, *plan, demand, nullptr, nullptr);
  const auto before = static_cast<int64_t>(AllocationCount());
  const ReplicaOutcome outcome = fleet.Run();
  const Counters& c = outcome.counters;
  return {static_cast<int64_t>(AllocationCount()) - before, c.steps, outcome.finished,
          c.preemptions, c.pages_evicted};
}

constexpr char kWorkload[] = R"(
  workload { arrivals: POISSON concurrency: 8 requests_per_s: 10 context_tokens: 2048
             output_tokens: 40 }
  hardware { host_link { gather_bytes_per_s: 1000000000 gather_unaligned_factor: 0.1 } })";

void ExpectNoGrowth(const std::string& text, bool preempts, bool evicts) {
  SCOPED_TRACE(text);
  const Scenario scenario = ToyScenario(absl::StrCat(kWorkload, text));
  WindowDemand demand;
  const bool tiered = scenario.policy().kind() != Policy::FULL;
  if (tiered) demand = RestlessDemand(scenario);
  const Cost shorter = CostOf(scenario, tiered ? &demand : nullptr, kShortS);
  const Cost longer = CostOf(scenario, tiered ? &demand : nullptr, kLongS);
  EXPECT_LE(longer.allocations - shorter.allocations, kStatisticsMax);
  EXPECT_GT(shorter.steps, 5'000);
  EXPECT_GT(longer.steps, 7 * shorter.steps);
  EXPECT_GT(longer.finished, 6 * shorter.finished);
  EXPECT_GT(shorter.finished, 150);
  EXPECT_EQ(shorter.preemptions > 20, preempts) << shorter.preemptions;
  EXPECT_EQ(shorter.evicted > 100, evicts) << shorter.evicted;
}

TEST(AllocationTest, LsaReusesItsMemory) {
  for (const char* eviction : {"LRU_PROTECTED", "LRU", "S3FIFO", "SIEVE", "BELADY"}) {
    ExpectNoGrowth(absl::StrCat(" policy { kind: LSA tau_steps: 4 reserve_entries: 3584 eviction: ",
                                eviction, " }"),
                   false, true);
  }
}

TEST(AllocationTest, FlashMemoryReusesItsMemory) {
  for (const char* eviction : {"FIFO", "LRU", "CLOCK"}) {
    ExpectNoGrowth(absl::StrCat(" policy { kind: FLASHMEMORY tau_steps: 4 reserve_entries: ",
                                128 * 512 + 1 + 64 * 20, " eviction: ", eviction, " }"),
                   false, true);
  }
}

TEST(AllocationTest, QueuesAndPrefillReuseTheirMemory) {
  const char* pool = " engine { prefill: DISAGGREGATED prefill_tokens_per_s: 40000 }";
  const char* chunks = " engine { prefill: COLOCATED_CHUNKED prefill_tokens_per_s: 40000 }";
  const char* full = " policy { kind: FULL tau_steps: 4 }";
  ExpectNoGrowth(absl::StrCat(full, pool), false, false);
  ExpectNoGrowth(absl::StrCat(full, chunks), false, false);
  ExpectNoGrowth(absl::StrCat(full, pool, " engine { replicas: 2 }"), false, false);
  ExpectNoGrowth(absl::StrCat(" policy { kind: QUEST tau_steps: 4 }", pool), false, false);
}

// HBM for seven requests as they come, not as they end: who grows has the youngest preempted.
TEST(AllocationTest, PreemptionReusesItsMemory) {
  const char* tight = R"( policy { kind: FULL tau_steps: 4 } hardware { hbm_bytes: 16200000 }
    workload { output_tokens: 300 requests_per_s: 3 } engine { admit: OPTIMISTIC preemption: )";
  ExpectNoGrowth(absl::StrCat(tight, "SWAP }"), true, false);
  ExpectNoGrowth(
      absl::StrCat(tight, "RECOMPUTE prefill: DISAGGREGATED prefill_tokens_per_s: 400000 }"), true,
      false);
}

}  // namespace
}  // namespace tierscope::testing

// Small random worlds under every combination of policy, publish, phase, eviction and recall path:
// what holds in each of them, whatever the times.
#include <numeric>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "sim/engine/coverage_tally.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

constexpr int32_t kStride = 4;
constexpr int32_t kPromptPages = 12;

struct World {
  Scenario scenario;
  std::vector<ToyWindow> windows;
};

World RandomWorld(Rng& rng) {
  const auto one_of = [&](std::initializer_list<const char*> names) {
    return names.begin()[rng.NextBelow(names.size())];
  };
  const bool flashmemory = rng.NextBelow(2) == 0;
  const std::string eviction =
      one_of({"LRU_PROTECTED", "LRU", "FIFO", "CLOCK", "S3FIFO", "SIEVE", "BELADY"});
  const std::string publish = one_of({"ON_COMPLETION", "NEXT_TICK"});
  const uint64_t kmax = 1 + rng.NextBelow(6);
  const bool protects = eviction == "LRU_PROTECTED";
  // What one request can need, or under flashmemory anything; a little more at most.
  uint64_t pages = 1;
  if (!flashmemory) pages = 2 * (kmax + 4) + 6;
  if (flashmemory && protects) pages = 2 * kmax;
  pages += rng.NextBelow(12);
  const uint64_t entries = pages * 64 + (flashmemory ? 128 * 512 + 1 : 0);
  World world;
  world.scenario = ToyScenario(absl::StrCat(
      "workload { context_tokens: ", kPromptPages * 256, " request_limit: 10 output_tokens: ",
      1 + rng.NextBelow(60), " concurrency: ", 1 + rng.NextBelow(4),
      " attention { random_offset: false } } engine { simulated_s: 0 level1_interference: 1",
      " gather_interference: 0.5 host_contention_ms_per_step: ", rng.NextBelow(2),
      " } policy { kind: ", flashmemory ? "FLASHMEMORY" : "LSA", " eviction: ", eviction,
      " publish: ", publish, " phase: ", one_of({"OWN_STEPS", "ALIGNED", "STAGGERED"}),
      " level1: ", one_of({"SYNC", "ASYNC"}),
      " recall_path: ", one_of({"COPY_ENGINE", "STAGED", "GATHER_KERNEL"}), " layout: ",
      one_of({"PAGE_MAJOR", "LAYER_MAJOR"}), " tau_steps: ", kStride * (1 + rng.NextBelow(4)),
      " page_kmax: ", kmax, " reserve_entries: ", entries, " publish_fixed_ms: ", rng.NextBelow(3),
      rng.NextBelow(2) == 0 ? " level1_fixed_ms: 14" : "", " }"));
  // From a page in 0.2 ms to one in 50: jobs end within a step or are late for the next tick.
  const int64_t rate = 5'000'000'000 >> rng.NextBelow(9);
  Link* link = world.scenario.mutable_hardware()->mutable_host_link();
  link->set_peak_bytes_per_s(rate);
  link->set_gather_bytes_per_s(rate);
  link->set_gather_unaligned_factor(0.1);
  link->set_pageable_bytes_per_s(rate);
  link->set_copy_submit_us(6);
  world.scenario.mutable_node()->set_host_gather_bytes_per_s(rate);
  world.windows.resize(18);
  for (ToyWindow& window : world.windows) {
    for (PageIndex page = 0; page < kPromptPages; ++page) {
      if (rng.NextBelow(3) == 0) window.scored_pages.push_back(page);
      if (rng.NextBelow(3) == 0) {
        window.selections.push_back({page, static_cast<int>(1 + rng.NextBelow(4))});
      }
    }
  }
  return world;
}

// Selections of one request that decodes `output_tokens`: of the steps after its step 0.
int64_t SelectionsOfRequest(const World& world, int64_t output_tokens) {
  int64_t all = 0;
  for (int64_t step = 0; step < output_tokens - 1; ++step) {
    const auto window = static_cast<size_t>(step / kStride) % world.windows.size();
    for (const auto& [page, count] : world.windows[window].selections) all += count;
  }
  return all;
}

TEST(RandomWorldsTest, NothingIsLostOrInvented) {
  Rng rng(31);
  for (int round = 0; round < 600; ++round) {
    const World world = RandomWorld(rng);
    const Policy& policy = world.scenario.policy();
    SCOPED_TRACE(absl::StrCat(round, "\n", world.scenario.ShortDebugString()));
    const WindowDemand demand = ToyDemand(world.scenario, kPromptPages, kStride, world.windows);
    CoverageTally tally;
    ReplicaOptions options;
    options.coverage = &tally;
    const ReplicaOutcome outcome = RunToy(world.scenario, &demand, nullptr, options).outcome;
    const Counters& c = outcome.counters;
    ASSERT_EQ(outcome.arrived, 10);
    ASSERT_EQ(outcome.finished, 10);
    ASSERT_TRUE(outcome.violations.empty());
    ASSERT_EQ(c.recall_bytes, c.pages_recalled * 1'000'000);
    // However often sets change, each selection of each step is counted once.
    const int64_t selections =
        10 * SelectionsOfRequest(world, world.scenario.workload().output_tokens()) * kStride;
    ASSERT_EQ(c.selections.all, selections);
    ASSERT_GE(c.inactive.all, 0);
    ASSERT_GE(c.evicted.all, 0);
    ASSERT_LE(c.inactive.all + c.evicted.all, selections);
    // Taken apart by position and step they are the same ones.
    const CoverageGrid grid = tally.Sum();
    ASSERT_EQ(std::accumulate(grid.all.begin(), grid.all.end(), int64_t{0}), selections);
    ASSERT_EQ(std::accumulate(grid.missed.begin(), grid.missed.end(), int64_t{0}),
              c.inactive.all + c.evicted.all);
    for (size_t i = 0; i < grid.all.size(); ++i) ASSERT_LE(grid.missed[i], grid.all[i]);
    if (policy.level1() == Policy::SYNC && policy.eviction() == Policy::LRU_PROTECTED) {
      ASSERT_EQ(c.evicted.all, 0);
    }
    SimDuration stall;
    for (const SimDuration d : c.stall) {
      ASSERT_GE(d.ns, 0);
      stall += d;
    }
    ASSERT_EQ((c.decode - stall).ns, c.steps * 10'000'000);  // a step is 10 ms without stall
  }
}

}  // namespace
}  // namespace tierscope::testing

// Small cases around changes of the active and the held set, worked by hand; each stood in the way
// of the slow model of slow_world_test.cc once. The toy world (testing/toy.h): a step takes 10 ms,
// level 1 scores 1 ms, a page takes 1 ms on the link.
#include <map>

#include "gtest/gtest.h"

#include "tests/engine/slow_world.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

// 5 pages and 6 tokens of prompt, a token an entry: page 5 is open at the first tick and in its
// list. Ticks after steps 0, 4, ... 20 want pages 0, 1, 2, 3, 4 and 0 again, beside page 5. Five
// blocks, FIFO: pages 0, 5, 1, 2, 3; page 4 takes the block of page 0, and page 0 not that of page
// 5, which is being filled, but of page 1.
TEST(SetChangeTest, ThePageThatFillsIsPinnedThoughTheFirstListHadIt) {
  const Scenario scenario = ToyScenario(R"(
    model { csa_tokens_per_entry: 1 }
    workload { context_tokens: 326 output_tokens: 22 request_limit: 1
      attention { random_offset: false } }
    engine { simulated_s: 0 }
    policy { kind: LSA tau_steps: 4 page_kmax: 1 eviction: FIFO reserve_entries: 320 })");
  RawProfile profile;
  profile.prompt_tokens = 326;
  profile.stride = 4;
  profile.positions = 6;
  for (uint32_t page : {0, 1, 2, 3, 4, 0}) {
    profile.ticks.push_back({{-1, {{page * 64, 255}}}});
  }
  profile.selected.assign(24, {});
  const WindowDemand demand = Distil(scenario, {profile});
  const ReplicaOutcome outcome = RunToy(scenario, &demand).outcome;
  EXPECT_EQ(outcome.counters.pages_recalled, 2 + 5);
  EXPECT_EQ(outcome.counters.pages_evicted, 2);
}

// A tick at 8 tokens of a prompt of 60, windows of 160: pages 1 and 2 form after it, and page 1 is
// full at step 68. Lost at step 100, before the tick's set is published, it is missed; what the
// set's own list holds, or was lost before the tick, is for the publish to find.
TEST(SetChangeTest, WhatFormedAfterTheTickAndWasLostBeforeItsPublishStaysLost) {
  const Scenario scenario = ToyScenario(
      "model { csa_tokens_per_entry: 1 } policy { kind: LSA tau_steps: 160 page_kmax: 1 }");
  RawProfile profile;
  profile.prompt_tokens = 60;
  profile.stride = 8;
  profile.positions = 40;
  profile.ticks.resize(40);
  profile.selected.assign(320, {{64, 1}});  // page 1
  RequestState request;
  const WindowDemand demand = Distil(scenario, {profile});
  request.demand = &demand.profiles[0];
  request.arrival.context_tokens = 60;
  request.active_window = 0;
  request.lost = {{0, 100}, {1, 100}};
  request.KeepLostSinceTick();
  ASSERT_EQ(request.lost.size(), 1u);
  EXPECT_EQ(request.lost[0].page, 1);
  Counters counters;
  request.Account(120, counters);
  EXPECT_EQ(counters.evicted.all, 20 * 8);  // steps 101 to 120, in eighths
  EXPECT_EQ(counters.inactive.all, 0);
  request.active_window = 14;  // behind step 112: page 1 is in no list of it and was lost before
  request.KeepLostSinceTick();
  EXPECT_TRUE(request.lost.empty());
}

// A chunk of 2,048 tokens takes 2.048 ms and gives the first token; the first tick is due then, and
// flashmemory decodes on beside it: two steps of 10 ms, and the list of one page is published at
// 2.048 + 1 + 1. Step 1 misses all 4 selections; step 2 the 1 of page 5, which is not in the list.
TEST(SetChangeTest, FlashMemoryDecodesBehindAChunkedPrefill) {
  const Scenario scenario = ToyScenario(R"(
    workload { context_tokens: 2048 output_tokens: 3 request_limit: 1
      attention { random_offset: false } }
    engine { simulated_s: 0 prefill: COLOCATED_CHUNKED prefill_tokens_per_s: 1e6 }
    policy { kind: FLASHMEMORY tau_steps: 4 page_kmax: 2 eviction: FIFO reserve_entries: 71937 })");
  const WindowDemand demand =
      ToyDemand(scenario, 8, 4, std::vector<ToyWindow>(4, {{0}, {{0, 3}, {5, 1}}}));
  const ToyRun run = RunToy(scenario, &demand);
  EXPECT_EQ(run.diary,
            "0 step of 0 for 2.048\n2.048 step of 1 for 10\n2.048 scored 1 until 3.048\n"
            "3.048 recalled 2 until 5.048\n5.048 published\n12.048 step of 1 for 10");
  EXPECT_EQ(run.outcome.finished, 1);
  EXPECT_EQ(run.outcome.stuck, "");
  EXPECT_EQ(run.outcome.counters.inactive, (SelectionCount{5, 5} * 4));
}

// Ticks after steps 0 and 4, at 10 and 53 ms; the horizon of 60 ms cuts step 5, in which, if level
// 1 is asynchronous, the second list is published. Steps 1 to 4 count, 2 selections each.
TEST(SetChangeTest, AStepThatTheHorizonCutsIsNotCounted) {
  for (const char* level1 : {"SYNC", "ASYNC"}) {
    const Scenario scenario = ToyScenario(std::string(R"(
      workload { context_tokens: 2048 output_tokens: 30 request_limit: 1
        attention { random_offset: false } }
      engine { simulated_s: 0.06 }
      policy { kind: LSA tau_steps: 4 page_kmax: 2 level1: )") +
                                          level1 + " }");
    const WindowDemand demand =
        ToyDemand(scenario, 8, 4, std::vector<ToyWindow>(8, {{0}, {{0, 2}}}));
    const Counters c = RunToy(scenario, &demand).outcome.counters;
    EXPECT_EQ(c.steps, 5);
    EXPECT_EQ(c.selections, (SelectionCount{4 * 2, 4 * 2} * 4)) << level1;
  }
}

}  // namespace
}  // namespace tierscope::testing

// Optimistic admission and chunked prefill, worked out by hand. The toy world (testing/toy.h): a
// step takes 10 ms, a page holds 256 tokens. Under FULL a token is promised at 1,000 bytes of HBM
// and holds 3,906.5 bytes of KV; either way over the host link moves 1 GB/s.
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "sim/engine/replica.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

// HBM for 2,048 tokens, 8 pages.
Scenario EightPages(const std::string& more) {
  Scenario scenario = ToyScenario(R"(
    workload { arrivals: TRACE concurrency: 0 trace: "toy" }
    policy { kind: FULL tau_steps: 100000 } engine { simulated_s: 0 admit: OPTIMISTIC } )" +
                                  more);
  scenario.mutable_hardware()->set_hbm_bytes(2'048'000);
  return scenario;
}

SimTime Ms(int64_t ms) { return SimTime{ms * 1'000'000}; }

// A and B of 768 + 300 tokens are promised 4 pages each (770 tokens are used once two steps have
// run), which is all there is. After 256 steps, at 2,560 ms, both hold 1,024 tokens; A needs a page
// more, and B, the younger, is preempted. Its 1,024 x 3,906.5 bytes need 4.000256 ms to the host,
// and the next step waits for them. A's last 44 steps end at 3,004.000256; B comes back, 4.000256
// ms, and runs its last 44.
TEST(PreemptionTest, SwapOutAndIn) {
  const Scenario scenario = EightPages("engine { preemption: SWAP }");
  RequestTrace trace;
  trace.requests = {{Ms(0), 768, 300, {}, -1}, {Ms(0), 768, 300, {}, -1}};
  ToyRun run = RunToy(scenario, nullptr, &trace);
  Counters& c = run.outcome.counters;
  EXPECT_EQ(run.outcome.finished, 2);
  EXPECT_EQ(c.preemptions, 1);
  EXPECT_EQ(c.tokens_recomputed, 0);
  EXPECT_EQ(c.swap_out_bytes, 4'000'256);
  EXPECT_EQ(c.swap_in_bytes, 4'000'256);
  EXPECT_EQ(c.StallOf(StallCause::kEviction).ns, 4'000'256);
  EXPECT_NE(run.diary.find("2560 waited for eviction until 2564"), std::string::npos);
  EXPECT_EQ(c.steps, 256 + 44 + 44);
  EXPECT_EQ(c.output_tokens, 600);
  EXPECT_EQ(c.latency_ns.values(), (std::vector<int64_t>{3'004'000'256, 3'448'000'512}));
  // The gap is in B's time per token; its wait for memory is queue time.
  EXPECT_EQ(c.tpot_ns.values()[1], (3'448'000'512 - 10'000'000) / 299);
  EXPECT_EQ(c.queue_ns.values(), (std::vector<int64_t>{0, 444'000'256}));
  EXPECT_EQ(run.outcome.peaks.tokens_reserved, 2048);
  EXPECT_TRUE(run.outcome.violations.empty());
}

// The same; C arrives at 100 ms and would fit beside A once B is out (770 of 980 tokens), but B
// stands in front of it.
TEST(PreemptionTest, ThePreemptedRequestGoesToTheFront) {
  const Scenario scenario = EightPages("engine { preemption: SWAP }");
  RequestTrace trace;
  trace.requests = {
      {Ms(0), 768, 300, {}, -1}, {Ms(0), 768, 300, {}, -1}, {Ms(100), 768, 2, {}, -1}};
  const ToyRun run = RunToy(scenario, nullptr, &trace);
  // C is admitted with B at 3,004.000256 and decodes while B's KV comes back.
  EXPECT_EQ(run.outcome.counters.queue_ns.values()[1], 2'904'000'256);
  EXPECT_EQ(run.outcome.counters.latency_ns.values()[1], 2'904'000'256 + 20'000'000);
  EXPECT_EQ(run.outcome.finished, 3);
}

// Chunks of 1,024 tokens at a million a second. Step 1 prefills A and 256 tokens of B (1.024 ms)
// and gives A its first token; step 2 decodes A and prefills B's other 512 (10.512 ms). 254 steps
// later, at 2,551.536, A has 256 tokens and needs a page; B with its 255 is dropped. A ends 44
// steps later at 2,991.536. B's 768 + 255 tokens are prefilled again in 1.023 ms, which gives it
// its 256th token, and 44 steps more.
TEST(PreemptionTest, RecomputeByChunks) {
  const Scenario scenario = EightPages(
      "engine { prefill: COLOCATED_CHUNKED prefill_tokens_per_s: 1e6 prefill_chunk_tokens: 1024 }");
  RequestTrace trace;
  trace.requests = {{Ms(0), 768, 300, {}, -1}, {Ms(0), 768, 300, {}, -1}};
  const ToyRun run = RunToy(scenario, nullptr, &trace);
  const Counters& c = run.outcome.counters;
  EXPECT_EQ(c.preemptions, 1);
  EXPECT_EQ(c.tokens_recomputed, 1023);
  EXPECT_EQ(c.swap_out_bytes, 0);
  EXPECT_EQ(c.ttft_ns.values(), (std::vector<int64_t>{1'024'000, 11'536'000}));
  EXPECT_EQ(c.latency_ns.values(), (std::vector<int64_t>{2'991'536'000, 3'432'559'000}));
  EXPECT_EQ(c.tpot_ns.values()[1], (3'432'559'000 - 11'536'000) / 299);
  EXPECT_EQ(c.steps, 1 + 254 + 44 + 44);  // two only prefill
  EXPECT_EQ(c.prefill_only.ns, 1'024'000 + 1'023'000);
  EXPECT_EQ(c.output_tokens, 600);
  EXPECT_TRUE(run.outcome.violations.empty());
}

// Behind a prefill pool of 102,400 tokens a second: 7.5 ms for a prompt of 768, one at a time, and
// 768 x 3,906.5 bytes over the network in 3.000192 ms. A decodes from 10.500192, B from 18.000192
// on: at a boundary, 20.500192. A has 256 tokens at 2,570.500192; B has 255 and is dropped. Its
// 1,023 tokens take 9.990234 ms of prefill; admitted when A ends at 3,010.500192, it gets its KV in
// 3.996349 ms and decodes 45 steps more.
TEST(PreemptionTest, RecomputeThroughThePrefillPool) {
  const Scenario scenario =
      EightPages("engine { prefill: DISAGGREGATED prefill_tokens_per_s: 102400 }");
  RequestTrace trace;
  trace.requests = {{Ms(0), 768, 300, {}, -1}, {Ms(0), 768, 300, {}, -1}};
  const ToyRun run = RunToy(scenario, nullptr, &trace);
  const Counters& c = run.outcome.counters;
  EXPECT_EQ(c.preemptions, 1);
  EXPECT_EQ(c.tokens_recomputed, 1023);
  EXPECT_EQ(c.latency_ns.values()[0], 3'010'500'192);
  EXPECT_EQ(c.latency_ns.values()[1], 3'010'500'192 + 3'996'349 + 450'000'000);
  // Ready again after its second prefill: waited from there.
  EXPECT_EQ(c.queue_ns.values()[1], 3'010'500'192 - (2'570'500'192 + 9'990'234));
  EXPECT_EQ(c.output_tokens, 600);
  EXPECT_TRUE(run.outcome.violations.empty());
}

// Promised in full, the second request waits for the first; and one that can never fit is rejected
// however little it is promised at first.
TEST(PreemptionTest, FullAdmissionNeverPreemptsAndNobodyFitsMoreThanThereIs) {
  Scenario scenario = EightPages("engine { preemption: SWAP }");
  RequestTrace trace;
  trace.requests = {{Ms(0), 768, 300, {}, -1}, {Ms(0), 768, 300, {}, -1}, {Ms(0), 8, 2041, {}, -1}};
  EXPECT_EQ(RunToy(scenario, nullptr, &trace).outcome.rejected, 1);
  trace.requests[2].output_tokens = 2040;
  const ReplicaOutcome all = RunToy(scenario, nullptr, &trace).outcome;
  EXPECT_EQ(all.rejected, 0);
  EXPECT_EQ(all.finished, 3);
  scenario.mutable_engine()->set_admit(Engine::FULL);
  const ReplicaOutcome full = RunToy(scenario, nullptr, &trace).outcome;
  EXPECT_EQ(full.counters.preemptions, 0);
  EXPECT_EQ(full.peaks.requests_admitted, 1);
  EXPECT_EQ(full.finished, 3);
}

// Room to swap is promised at admission: with host DRAM for the KV of one request of 1,068 tokens
// (4,172,142 bytes) but not two, the second waits, though HBM would have it.
TEST(PreemptionTest, SwapNeedsHostRoom) {
  Scenario scenario = EightPages("engine { preemption: SWAP }");
  scenario.mutable_node()->set_host_bytes(8'344'283);
  RequestTrace trace;
  trace.requests = {{Ms(0), 768, 300, {}, -1}, {Ms(0), 768, 300, {}, -1}};
  const ReplicaOutcome one = RunToy(scenario, nullptr, &trace).outcome;
  EXPECT_EQ(one.peaks.requests_admitted, 1);
  EXPECT_EQ(one.counters.preemptions, 0);
  scenario.mutable_node()->set_host_bytes(8'344'284);
  const ReplicaOutcome two = RunToy(scenario, nullptr, &trace).outcome;
  EXPECT_EQ(two.peaks.requests_admitted, 2);
  EXPECT_EQ(two.peaks.swap_bytes_reserved, 8'344'284);
  EXPECT_EQ(two.peaks.swap_bytes_in_use, 4'000'256);
}

// The first ticks want the newest page alone, 7, and 8 is open: 2 blocks a request. Later ones want
// 0 to 3 and the newest, 8, which is the open one: 5 blocks. Of 9 blocks a request may pin 7 (4, a
// forced page, an open one and one that grows), so FULL admits one. OPTIMISTIC lets the second in
// beside the first's 2 and puts it out when the longer lists come.
TEST(PreemptionTest, ReserveBlocksRunOut) {
  Scenario scenario = ToyScenario(R"(
    workload { arrivals: TRACE concurrency: 0 trace: "toy" attention { random_offset: false } }
    policy { kind: LSA tau_steps: 4 page_kmax: 4 reserve_entries: 576 }
    engine { simulated_s: 0 admit: OPTIMISTIC preemption: SWAP })");
  std::vector<ToyWindow> windows(16, ToyWindow{{0, 1, 2, 3}, {{0, 1}}});
  for (int w = 0; w < 4; ++w) windows[static_cast<size_t>(w)].scored_pages.clear();
  RequestTrace trace;
  trace.requests = {{Ms(0), 2048, 40, {}, -1}, {Ms(0), 2048, 40, {}, -1}};
  for (const auto level1 : {Policy::ASYNC, Policy::SYNC}) {
    scenario.mutable_policy()->set_level1(level1);
    const WindowDemand demand = ToyDemand(scenario, 8, 4, windows);
    const ToyRun toy = RunToy(scenario, &demand, &trace);
    const ReplicaOutcome& run = toy.outcome;
    EXPECT_EQ(run.finished, 2);
    EXPECT_EQ(run.peaks.requests_admitted, 2);
    EXPECT_EQ(run.counters.preemptions, 1);
    EXPECT_EQ(run.counters.output_tokens, 80);
    EXPECT_LE(run.peaks.blocks_in_use, 9);
    EXPECT_EQ(run.counters.evicted, (SelectionCount{0, 0}));
    EXPECT_TRUE(run.violations.empty());
    Scenario full = scenario;
    full.mutable_engine()->set_admit(Engine::FULL);
    EXPECT_EQ(RunToy(full, &demand, &trace).outcome.peaks.requests_admitted, 1);
  }
}

// HBM for 2,048 tokens of index keys, a quarter of a byte each, beside a reserve of 100 pages.
Scenario EightPagesTiered(const std::string& more) {
  Scenario scenario = ToyScenario(R"(
    workload { arrivals: TRACE concurrency: 0 trace: "toy" attention { random_offset: false } }
    policy { kind: LSA } engine { simulated_s: 0 admit: OPTIMISTIC preemption: SWAP } )" +
                                  more);
  scenario.mutable_hardware()->set_hbm_bytes(100'000'000 + 512);
  return scenario;
}

// The second request comes at any time around the boundary at which the first grows: waiting,
// joining, with its first tick due, cold or decoding, it is put out cleanly. In one of these runs
// it has just made its first token, and its tick is due at that same boundary.
TEST(PreemptionTest, AVictimAtAnyStage) {
  for (const char* level1 : {"ASYNC", "SYNC"}) {
    const Scenario scenario =
        EightPagesTiered(absl::StrCat("policy { tau_steps: 64 level1: ", level1, " }"));
    const std::vector<ToyWindow> windows(128, ToyWindow{{5, 6}, {{7, 1}}});
    const WindowDemand demand = ToyDemand(scenario, 8, 4, windows);
    int preempted = 0;
    for (int64_t arrival = 2'500; arrival < 2'620; ++arrival) {
      RequestTrace trace;
      trace.requests = {{Ms(0), 768, 400, {}, -1}, {Ms(arrival), 768, 300, {}, -1}};
      const ReplicaOutcome run = RunToy(scenario, &demand, &trace).outcome;
      ASSERT_EQ(run.finished, 2) << arrival;
      ASSERT_TRUE(run.violations.empty()) << arrival << ": " << run.violations[0].what;
      ASSERT_EQ(run.counters.output_tokens, 700);
      preempted += run.counters.preemptions > 0 ? 1 : 0;
    }
    EXPECT_GT(preempted, 40);
  }
}

// The warm-up of 512 steps ends while the second request is out. One selection a step: after it,
// the first makes its last 700 - 512, the second its last 300 - 256, and what the second selected
// before it was put out is not counted. Counts are in units of 1 / stride.
TEST(PreemptionTest, WhatAVictimSelectedBeforeTheWarmUpsEndIsNotCounted) {
  const Scenario scenario =
      EightPagesTiered("policy { tau_steps: 512 } engine { warmup_windows: 1 }");
  const std::vector<ToyWindow> windows(256, ToyWindow{{6, 7}, {{7, 1}}});
  const WindowDemand demand = ToyDemand(scenario, 8, 4, windows);
  RequestTrace trace;
  trace.requests = {{Ms(0), 768, 700, {}, -1}, {Ms(0), 768, 300, {}, -1}};
  const ReplicaOutcome run = RunToy(scenario, &demand, &trace).outcome;
  EXPECT_EQ(run.counters.preemptions, 0);  // it came before the warm-up's end
  EXPECT_GT(run.counters.swap_in_bytes, 0);
  EXPECT_EQ(run.counters.selections.all, (188 + 44) * 4);
}

// 1,000 tokens at 100,000 a second in chunks of 400: 4, 4 and 2 ms, and the first token at 10. B
// arrives at 15 and is let in at 20. The step decodes A for its third token, which leaves 399 of
// the budget: all of B's prompt, 3.99 ms.
TEST(ChunkedPrefillTest, ChunksLengthenStepsAndGiveTheFirstToken) {
  Scenario scenario = EightPages(
      "engine { prefill: COLOCATED_CHUNKED prefill_tokens_per_s: 1e5 prefill_chunk_tokens: 400 }");
  scenario.mutable_engine()->set_admit(Engine::FULL);
  RequestTrace trace;
  trace.requests = {{Ms(0), 1000, 3, {}, -1}, {Ms(15), 399, 2, {}, -1}};
  const ToyRun run = RunToy(scenario, nullptr, &trace);
  EXPECT_EQ(run.diary,
            "0 step of 0 for 4\n4 step of 0 for 4\n8 step of 0 for 2\n10 step of 1 for 10\n"
            "20 step of 1 for 13.99\n33.99 step of 1 for 10");
  const Counters& c = run.outcome.counters;
  EXPECT_EQ(c.ttft_ns.values(), (std::vector<int64_t>{10'000'000, 18'990'000}));
  EXPECT_EQ(c.tpot_ns.values(), (std::vector<int64_t>{11'995'000, 10'000'000}));
  EXPECT_EQ(c.output_tokens, 5);
  EXPECT_EQ(c.decode_tokens, 3);
  EXPECT_EQ(c.steps, 3);
  EXPECT_EQ(c.decode.ns, 33'990'000);
  EXPECT_EQ(c.prefill_only.ns, 10'000'000);
}

// First come, first served: A's prompt of 300 leaves 100 of a chunk of 400 to B.
TEST(ChunkedPrefillTest, TheBudgetIsSharedInOrder) {
  const Scenario scenario = EightPages(
      "engine { prefill: COLOCATED_CHUNKED prefill_tokens_per_s: 1e5 prefill_chunk_tokens: 400 }");
  RequestTrace trace;
  trace.requests = {{Ms(0), 300, 1, {}, -1}, {Ms(0), 300, 1, {}, -1}};
  const ToyRun run = RunToy(scenario, nullptr, &trace);
  EXPECT_EQ(run.diary, "0 step of 0 for 4\n4 step of 0 for 2");
  EXPECT_EQ(run.outcome.counters.ttft_ns.values(), (std::vector<int64_t>{4'000'000, 6'000'000}));
}

// Under a tiered policy the prompt's KV goes to the cold pool as it is produced: a chunk of 1,024
// tokens is 4 pages. Half of the prompt is on its way (4 ms at 1 GB/s, from 10.24 on) while the
// other half is prefilled; after the last chunk at 20.48 the first tick scores (1 ms) and recalls 3
// pages (3 ms) beside the second half's writeback.
TEST(ChunkedPrefillTest, TieredPromptsAreWrittenBackAndRecalled) {
  Scenario scenario = ToyScenario(R"(
    workload { context_tokens: 2048 output_tokens: 3 request_limit: 1 attention { random_offset: false } }
    policy { kind: LSA tau_steps: 8 }
    engine { simulated_s: 0 prefill: COLOCATED_CHUNKED prefill_tokens_per_s: 1e5
             prefill_chunk_tokens: 1024 })");
  const std::vector<ToyWindow> windows(4, ToyWindow{{0, 1}, {{0, 3}}});
  const WindowDemand demand = ToyDemand(scenario, 8, 4, windows);
  const ToyRun run = RunToy(scenario, &demand);
  EXPECT_EQ(
      run.diary,
      "0 step of 0 for 10.24\n10.24 step of 0 for 10.24\n20.48 scored 1 until 21.48\n"
      "21.48 recalled 3 until 24.48\n24.48 published\n"
      "20.48 waited for admission until 24.48\n24.48 step of 1 for 10\n34.48 step of 1 for 10");
  EXPECT_EQ(run.outcome.counters.ttft_ns.values(), (std::vector<int64_t>{20'480'000}));
  // Host DRAM of 1.5 GB/s is shared: at 21.48 the writeback has 3 pages left, the recall all 3, and
  // both move at half of it, 4 ms.
  scenario.mutable_node()->set_dram_bytes_per_s_per_socket(1'500'000'000);
  EXPECT_NE(RunToy(scenario, &demand).diary.find("21.48 recalled 3 until 25.48"),
            std::string::npos);
}

}  // namespace
}  // namespace tierscope::testing

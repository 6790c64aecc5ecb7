// Hand-worked examples, one kind of event each. The toy world (testing/toy.h): a step takes 10 ms,
// a level-1 job scores 1 ms, a page takes 1 ms on the link.
#include "sim/engine/replica.h"

#include "gtest/gtest.h"

#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

// Pages 0..7 behind the prompt; the same want list and the same selections at every tick: pages 0
// and 1 are scored, pages 0 (3 per step) and 5 (1 per step) are selected.
std::vector<ToyWindow> Steady(int windows) {
  return std::vector<ToyWindow>(static_cast<size_t>(windows), ToyWindow{{0, 1}, {{0, 3}, {5, 1}}});
}

// The engine counts a selection as 1 / stride each; profiles here have a stride of 4.
SelectionCount Selections(int64_t of_prompt_pages) {
  return SelectionCount{of_prompt_pages, of_prompt_pages} * 4;
}

constexpr char kOneRequest[] = R"(
  workload { context_tokens: 2048 output_tokens: 9 request_limit: 1 attention { random_offset: false } }
  policy { kind: LSA tau_steps: 4 }
  engine { simulated_s: 0 })";

TEST(ReplicaTest, FullStepsBackToBackAndTheNextRequestJoinsAtTheBoundary) {
  const Scenario scenario = ToyScenario(R"(
    workload { context_tokens: 2048 output_tokens: 3 request_limit: 2 }
    policy { kind: FULL tau_steps: 100 } engine { simulated_s: 0 })");
  const ToyRun run = RunToy(scenario, nullptr);
  EXPECT_EQ(run.diary,
            "0 step of 1 for 10\n10 step of 1 for 10\n20 step of 1 for 10\n"
            "30 step of 1 for 10\n40 step of 1 for 10\n50 step of 1 for 10");
  EXPECT_EQ(run.outcome.finished, 2);
  EXPECT_EQ(run.outcome.counters.output_tokens, 6);
  EXPECT_EQ(run.outcome.counters.ttft_ns.values(), (std::vector<int64_t>{10'000'000, 10'000'000}));
  EXPECT_EQ(run.outcome.counters.tpot_ns.values(), (std::vector<int64_t>{10'000'000, 10'000'000}));
  EXPECT_EQ(run.outcome.counters.latency_ns.values(),
            (std::vector<int64_t>{30'000'000, 30'000'000}));
}

// Sync: after step 0 (10 ms) score 1 ms, recall 3 pages (0, 1 and the newest, 7, which is forced) 3
// ms; steps 1..4; the tick after step 4 scores 1 ms and finds all pages held; steps 5..8. The first
// job is the price of admission, the second is index time.
TEST(ReplicaTest, SynchronousLevel1StopsDecode) {
  const Scenario scenario = ToyScenario(std::string(kOneRequest) + "policy { level1: SYNC }");
  const WindowDemand demand = ToyDemand(scenario, 8, 4, Steady(4));
  const ToyRun run = RunToy(scenario, &demand);
  EXPECT_EQ(run.diary,
            "0 step of 1 for 10\n10 scored 1 until 11\n11 recalled 3 until 14\n14 published\n"
            "10 waited for level1 until 14\n14 step of 1 for 10\n24 step of 1 for 10\n"
            "34 step of 1 for 10\n44 step of 1 for 10\n54 scored 1 until 55\n55 published\n"
            "54 waited for level1 until 55\n55 step of 1 for 10\n65 step of 1 for 10\n"
            "75 step of 1 for 10\n85 step of 1 for 10");
  EXPECT_EQ(run.outcome.end.ns, 95'000'000);
}

// The same with a window of 8: stalls by cause.
TEST(ReplicaTest, SynchronousStallsByCause) {
  const Scenario scenario =
      ToyScenario(std::string(kOneRequest) +
                  "policy { level1: SYNC tau_steps: 8 } workload { output_tokens: 12 }");
  const WindowDemand demand = ToyDemand(scenario, 8, 4, Steady(4));
  ToyRun run = RunToy(scenario, &demand);
  Counters& c = run.outcome.counters;
  EXPECT_EQ(c.StallOf(StallCause::kAdmission).ns, 4'000'000);
  EXPECT_EQ(c.StallOf(StallCause::kIndex).ns, 1'000'000);
  EXPECT_EQ(c.StallOf(StallCause::kTransfer).ns, 0);
  EXPECT_EQ(c.decode.ns, 125'000'000);  // 12 steps and 5 ms of waits
  EXPECT_EQ(c.pages_wanted, 6);
  EXPECT_EQ(c.pages_recalled, 3);
  EXPECT_EQ(c.recall_bytes, 3'000'000);
  EXPECT_EQ(c.link_busy.ns, 3'000'000);
  EXPECT_EQ(c.sideband_busy.ns, 5'000'000);
}

// 11 steps after step 0, 4 selections each: two sub-windows of 4 steps and 3 steps of a third,
// which count by their share. Page 5 is never active, page 0 always: a quarter is missed.
TEST(ReplicaTest, InactiveMisses) {
  const Scenario scenario =
      ToyScenario(std::string(kOneRequest) +
                  "policy { level1: SYNC tau_steps: 8 } workload { output_tokens: 12 }");
  const WindowDemand demand = ToyDemand(scenario, 8, 4, Steady(4));
  const Counters c = RunToy(scenario, &demand).outcome.counters;
  EXPECT_EQ(c.selections, Selections(44));
  EXPECT_EQ(c.inactive, Selections(11));
  EXPECT_EQ(c.evicted, Selections(0));
}

// Async: the first tick takes the request out of the batch until its pages are there (nobody else
// decodes, so the stream waits for admission); later ticks run beside decode, and the step in
// progress keeps the old set. Tick after step 4 at 54: scored 55, all held, published 55 while step
// 5 runs.
TEST(ReplicaTest, AsynchronousLevel1RunsBesideDecode) {
  const Scenario scenario = ToyScenario(std::string(kOneRequest) +
                                        "policy { tau_steps: 8 } workload { output_tokens: 11 }");
  std::vector<ToyWindow> windows = Steady(4);
  windows[2] = ToyWindow{{0, 5}, {{0, 3}, {5, 1}}};  // the tick after step 8 brings page 5
  const WindowDemand demand = ToyDemand(scenario, 8, 4, windows);
  ToyRun run = RunToy(scenario, &demand);
  EXPECT_EQ(run.diary,
            "0 step of 1 for 10\n10 scored 1 until 11\n11 recalled 3 until 14\n14 published\n"
            "10 waited for admission until 14\n14 step of 1 for 10\n24 step of 1 for 10\n"
            "34 step of 1 for 10\n44 step of 1 for 10\n54 step of 1 for 10\n64 step of 1 for 10\n"
            "74 step of 1 for 10\n84 step of 1 for 10\n94 step of 1 for 10\n94 scored 1 until 95\n"
            "95 recalled 1 until 96\n96 published\n104 step of 1 for 10");
  EXPECT_EQ(run.outcome.counters.StallOf(StallCause::kAdmission).ns, 4'000'000);
  EXPECT_EQ(run.outcome.counters.pages_recalled, 4);
}

// A change counts from the next step. The tick after step 4 (tau 4) brings page 5; published at 56
// during step 5, which keeps the old set, it serves from step 6 on, in the middle of a sub-window.
TEST(ReplicaTest, APublishCountsFromTheNextStep) {
  const Scenario scenario = ToyScenario(std::string(kOneRequest) +
                                        "workload { output_tokens: 13 }"
                                        " policy { tau_steps: 4 }");
  std::vector<ToyWindow> windows = Steady(4);
  windows[1].scored_pages = windows[2].scored_pages = {0, 5};
  const WindowDemand demand = ToyDemand(scenario, 8, 4, windows);
  // 12 steps after step 0, 4 selections each, 1 of them of page 5.
  const Counters async = RunToy(scenario, &demand).outcome.counters;
  EXPECT_EQ(async.selections, Selections(48));
  EXPECT_EQ(async.inactive, Selections(5));  // in steps 1 to 5
  // Synchronous: the new set is there before step 5.
  Scenario sync = scenario;
  sync.mutable_policy()->set_level1(Policy::SYNC);
  EXPECT_EQ(RunToy(sync, &demand).outcome.counters.inactive, Selections(4));
  // Published at the next tick: what was asked for after step 4 serves from step 9 on. Asked for
  // only then, it would come too late for all three.
  Scenario late = scenario;
  late.mutable_policy()->set_publish(Policy::NEXT_TICK);
  EXPECT_EQ(RunToy(late, &demand).outcome.counters.inactive, Selections(8));
  windows[1].scored_pages = {0, 1};
  const WindowDemand later = ToyDemand(scenario, 8, 4, windows);
  EXPECT_EQ(RunToy(late, &later).outcome.counters.inactive, Selections(12));
}

// Two requests of a class each tick on their own steps; the second arrives while the first decodes.
// Its first job (score 1 ms, 40 pages = 40 ms) is in flight when the first one's tick falls due:
// decode waits for it to be published before the next job may start.
TEST(ReplicaTest, ADueTickJoinsTheJobInFlight) {
  const Scenario scenario = ToyScenario(R"(
    workload { arrivals: TRACE concurrency: 0 trace: "toy" attention { random_offset: false } }
    policy { kind: LSA tau_steps: 4 page_kmax: 40 }
    engine { simulated_s: 0 })");
  ToyWindow many;
  for (PageIndex page = 0; page < 39; ++page) many.scored_pages.push_back(page);
  many.selections = {{0, 1}};
  const WindowDemand demand = ToyDemand(scenario, 48, 4, std::vector<ToyWindow>(4, many));
  RequestTrace trace;
  trace.requests = {{SimTime{0}, 48 * 256, 7, {}, -1}, {SimTime{55'000'000}, 48 * 256, 2, {}, -1}};
  ToyRun run = RunToy(scenario, &demand, &trace);
  // First: step 0 ends 10, score to 11, 40 pages to 51. Steps 1.. from 51: 51, 61, 71, 81 with the
  // second request's step 0 in the step at 61..71. Its job starts at 71: scored 72, recalled 112.
  // The first one's tick after step 4 is due at 91 and joins until 112.
  EXPECT_EQ(
      run.diary,
      "0 step of 1 for 10\n10 scored 1 until 11\n11 recalled 40 until 51\n51 published\n"
      "10 waited for admission until 51\n51 step of 1 for 10\n61 step of 2 for 10\n"
      "71 step of 1 for 10\n71 scored 1 until 72\n81 step of 1 for 10\n72 recalled 40 until 112\n"
      "112 published\n91 waited for join until 112\n112 step of 2 for 10\n"
      "112 scored 1 until 113\n113 published\n122 step of 1 for 10");
}

// Interference: half of the overlap with scoring, and the HBM time of recall writes. Scoring takes
// 1 ms (0.5 ms of lengthening); at 1 GB/s of HBM a recalled page costs the following step 1 ms.
TEST(ReplicaTest, InterferenceLengthensSteps) {
  Scenario scenario = ToyScenario(std::string(kOneRequest) + R"(
    policy { tau_steps: 8 } workload { output_tokens: 12 }
    engine { level1_interference: 0.5 recall_interference: 1 })");
  scenario.mutable_hardware()->set_hbm_bytes_per_s(1'000'000'000);
  // Level 1 reads index keys from the slow HBM too: 1 byte an entry, 512 entries: 512 ns more.
  std::vector<ToyWindow> windows = Steady(4);
  windows[2].scored_pages = {0, 5};
  const WindowDemand demand = ToyDemand(scenario, 8, 4, windows);
  const ToyRun run = RunToy(scenario, &demand);
  const Counters& c = run.outcome.counters;
  const int64_t recall_write_ns = 1'000'000;  // of the second tick; nobody decoded beside the first
  const int64_t scoring_ns =
      1'000'000 + (8 * 64 + 2);  // 8 pages and 9 generated tokens: 514 entries
  EXPECT_EQ(c.stall[static_cast<size_t>(StallCause::kInterference)].ns,
            recall_write_ns + scoring_ns / 2);
}

// A page holds 256 tokens. The prompt fills 8 of them, so page 8 opens with the first generated
// entries and is full after 256 steps: it goes back to the host and page 9 opens; after 512
// page 10.
TEST(ReplicaTest, GeneratedPagesGrowAndAreWrittenBack) {
  const Scenario scenario = ToyScenario(R"(
    workload { context_tokens: 2048 output_tokens: 600 request_limit: 1 attention { random_offset: false } }
    policy { kind: LSA tau_steps: 1024 } engine { simulated_s: 0 })");
  const WindowDemand demand = ToyDemand(scenario, 8, 512, Steady(2));
  const ToyRun run = RunToy(scenario, &demand);
  EXPECT_EQ(run.outcome.counters.pages_written_back, 2);  // after 256 and 512 steps
  EXPECT_EQ(run.outcome.counters.pages_recalled, 3);
  EXPECT_EQ(run.outcome.peaks.blocks_in_use, 6);  // 3 recalled, 3 grown
  EXPECT_EQ(run.outcome.peaks.host_pages_in_use, 10);
  EXPECT_EQ(run.outcome.peaks.host_pages_reserved, 11);  // 2,648 tokens
  EXPECT_TRUE(run.outcome.violations.empty());
}

// FIFO does not protect live pages: two requests of 3 wanted pages and an open one need 8 blocks,
// there are 7, and the last block the second takes is the first one's oldest page. The first keeps
// that page in its active set and misses it.
TEST(ReplicaTest, UnprotectedEvictionMissesLivePages) {
  const Scenario scenario = ToyScenario(R"(
    workload { arrivals: TRACE concurrency: 0 trace: "toy" attention { random_offset: false } }
    policy { kind: LSA tau_steps: 64 page_kmax: 2 eviction: FIFO reserve_entries: 448 level1: SYNC }
    engine { simulated_s: 0 })");
  const WindowDemand demand = ToyDemand(scenario, 8, 4, Steady(32));
  RequestTrace trace;
  trace.requests = {{SimTime{0}, 2048, 14, {}, -1}, {SimTime{1'000'000}, 2048, 14, {}, -1}};
  const ToyRun run = RunToy(scenario, &demand, &trace);
  const Counters& c = run.outcome.counters;
  // The first request's step 0 ends at 10 and its job at 14; the second joins at 14, its job after
  // its step 0 ends at 28, and its page 8 then opens in the block of the first one's page 0. The
  // first has completed steps 0 and 1: it misses page 0 in steps 2 to 13, 3 selections each.
  EXPECT_EQ(c.pages_evicted, 1);
  EXPECT_EQ(c.evicted, Selections(36));
  // Page 5 is inactive for both: 13 steps x 1 selection each.
  EXPECT_EQ(c.inactive, Selections(26));
  Scenario protecting = scenario;
  protecting.mutable_policy()->set_eviction(Policy::LRU_PROTECTED);
  protecting.mutable_policy()->set_reserve_entries(6400);
  EXPECT_EQ(RunToy(protecting, &demand, &trace).outcome.counters.evicted, Selections(0));
}

// Disaggregated: prefill 2,048 tokens at 102,400 a second (20 ms), then the KV over the network:
// page bytes 8 x 1 MB and 512 index keys of 1 byte at 1 GB/s, 8.000512 ms; then decode.
TEST(ReplicaTest, DisaggregatedPrefillPrecedesDecode) {
  const Scenario scenario = ToyScenario(R"(
    workload { context_tokens: 2048 output_tokens: 2 request_limit: 1 attention { random_offset: false } }
    policy { kind: LSA tau_steps: 8 }
    engine { simulated_s: 0 prefill: DISAGGREGATED prefill_tokens_per_s: 102400 })");
  const WindowDemand demand = ToyDemand(scenario, 8, 4, Steady(4));
  const ToyRun run = RunToy(scenario, &demand);
  ASSERT_EQ(run.outcome.counters.ttft_ns.count(), 1);
  EXPECT_EQ(run.outcome.counters.ttft_ns.values()[0], 20'000'000 + 8'000'512 + 10'000'000);
  EXPECT_EQ(run.outcome.counters.queue_ns.values()[0], 0);
}

// Host DRAM is shared: of its 2 GB/s an ingest capped at 1 GB/s takes half, and a recall of a link
// of 4 GB/s gets the other half while it lasts. Queue time is what sharing adds to a synchronous
// recall.
TEST(ReplicaTest, RecallSharesHostDramWithArrivingKv) {
  Scenario scenario = ToyScenario(R"(
    workload { arrivals: TRACE concurrency: 0 trace: "toy" attention { random_offset: false } }
    policy { kind: LSA tau_steps: 4 level1: SYNC page_kmax: 8 recency_entries: 512 }
    engine { simulated_s: 0 prefill: DISAGGREGATED prefill_tokens_per_s: 1e9 prefill_instances: 2 })");
  scenario.mutable_hardware()->mutable_host_link()->set_peak_bytes_per_s(4'000'000'000);
  const WindowDemand demand = ToyDemand(scenario, 8, 4, Steady(4));
  RequestTrace trace;
  trace.requests = {{SimTime{0}, 2048, 2, {}, -1}, {SimTime{12'000'000}, 4096, 2, {}, -1}};
  const ToyRun run = RunToy(scenario, &demand, &trace);
  // First: prefill 2.048 us, ingest 8.000512 ms, step 0 from 8.00256 to 18.00256, scored 19.00256.
  // The second one's ingest runs from 12.004096 for 16 ms and takes 1 GB/s of 2, so the 9 pages
  // (recency forces all 8 and the one that opens) move at 1 GB/s. Alone they would move at 2 GB/s.
  EXPECT_NE(run.diary.find("recalled 8 until 27.0026"), std::string::npos) << run.diary;
}

// A request of 512 tokens on a profile of 8 prompt pages owns the newest two of them, 6 and 7: page
// 0 is neither recalled nor selected from. 9 steps after step 0, one selection each of pages 6 and
// 7. Page 7 is forced at the first tick; at the second, after step 8, the newest is page 8, which
// opened since, and step 9 misses page 7.
TEST(ReplicaTest, AShortRequestHasItsOwnPagesOnly) {
  const Scenario scenario = ToyScenario(R"(
    workload { context_tokens: 512 output_tokens: 10 request_limit: 1 attention { random_offset: false } }
    policy { kind: LSA tau_steps: 8 level1: SYNC } engine { simulated_s: 0 })");
  const std::vector<std::pair<PageIndex, int>> selected = {{0, 3}, {6, 1}, {7, 1}};
  const WindowDemand both =
      ToyDemand(scenario, 8, 4, std::vector<ToyWindow>(4, ToyWindow{{0, 6}, selected}));
  const Counters held = RunToy(scenario, &both).outcome.counters;
  EXPECT_EQ(held.pages_recalled, 2);
  EXPECT_EQ(held.selections, Selections(18));
  EXPECT_EQ(held.inactive, Selections(1));
  const WindowDemand newest =
      ToyDemand(scenario, 8, 4, std::vector<ToyWindow>(4, ToyWindow{{0}, selected}));
  const Counters missed = RunToy(scenario, &newest).outcome.counters;
  EXPECT_EQ(missed.pages_recalled, 1);
  EXPECT_EQ(missed.inactive, Selections(8 + 2));
}

// The recall of 3 pages (0, 1 and 7) by each path. Copy engine: 3 ms. Gather kernel at 2 pages a
// ms: 1.5 ms. Staged: the CPU copies 1 page a ms and takes half of the DRAM's 4 for it, 3 ms; then
// 3 copies of 0.1 ms and 2 pages a ms, 1.8 ms; the scatter reads and writes 6 MB of HBM, 6 ns.
TEST(ReplicaTest, RecallPaths) {
  Scenario scenario = ToyScenario(std::string(kOneRequest) +
                                  "policy { tau_steps: 8 } workload { output_tokens: 2 }");
  Link* link = scenario.mutable_hardware()->mutable_host_link();
  link->set_peak_bytes_per_s(4'000'000'000);
  link->set_gather_bytes_per_s(2'000'000'000);
  link->set_gather_unaligned_factor(0.25);
  link->set_pageable_bytes_per_s(2'000'000'000);
  link->set_copy_submit_us(100);
  scenario.mutable_node()->set_host_gather_bytes_per_s(1'000'000'000);
  scenario.mutable_node()->set_dram_bytes_per_s_per_socket(4'000'000'000);
  scenario.mutable_hardware()->set_hbm_bytes_per_s(1'000'000'000'000'000);
  const WindowDemand demand = ToyDemand(scenario, 8, 4, Steady(4));
  const auto published = [&](Policy::RecallPath path) {
    scenario.mutable_policy()->set_recall_path(path);
    const ReplicaOutcome outcome = RunToy(scenario, &demand).outcome;
    EXPECT_EQ(outcome.counters.recall_bytes, 3'000'000);
    // Step 0, scoring (its 512 keys take no ns at this HBM), the recall, step 1.
    return std::pair{outcome.end.ns - 21'000'000, outcome.counters.link_busy.ns};
  };
  EXPECT_EQ(published(Policy::COPY_ENGINE), (std::pair<int64_t, int64_t>{750'000, 750'000}));
  EXPECT_EQ(published(Policy::GATHER_KERNEL), (std::pair<int64_t, int64_t>{1'500'000, 1'500'000}));
  const auto [staged, on_link] = published(Policy::STAGED);
  EXPECT_NEAR(static_cast<double>(staged), 4'800'006.0, 2.0);  // rates are whole bytes a second
  EXPECT_NEAR(static_cast<double>(on_link), 1'800'000.0, 2.0);
  scenario.mutable_policy()->set_gather_item_bytes(584);
  EXPECT_EQ(published(Policy::GATHER_KERNEL), (std::pair<int64_t, int64_t>{6'000'000, 6'000'000}));
}

// A gather of 30 pages takes 30 ms of SMs; each step feels as much of it as it is long, half of it
// as lengthening: 15 ms in all. The first recall is not felt, as nobody decodes beside it.
TEST(ReplicaTest, AGatherKernelLengthensTheStepsBesideIt) {
  Scenario scenario = ToyScenario(R"(
    workload { context_tokens: 12288 output_tokens: 17 request_limit: 1 attention { random_offset: false } }
    policy { kind: LSA tau_steps: 8 page_kmax: 40 recall_path: GATHER_KERNEL }
    engine { simulated_s: 0 gather_interference: 0.5 })");
  scenario.mutable_hardware()->mutable_host_link()->set_gather_bytes_per_s(1'000'000'000);
  std::vector<ToyWindow> windows(4);
  for (PageIndex page = 0; page < 30; ++page) windows[2].scored_pages.push_back(page);
  const WindowDemand demand = ToyDemand(scenario, 48, 4, windows);
  ToyRun run = RunToy(scenario, &demand);
  EXPECT_EQ(run.outcome.counters.pages_recalled, 1 + 30);
  EXPECT_EQ(run.outcome.counters.StallOf(StallCause::kInterference).ns, 15'000'000);
}

// Same instant: all arrivals are in before the first step starts.
TEST(ReplicaTest, ArrivalsOfOneInstantShareTheFirstStep) {
  const Scenario scenario = ToyScenario(R"(
    workload { concurrency: 3 context_tokens: 2048 output_tokens: 2 request_limit: 3 }
    policy { kind: FULL tau_steps: 100 } engine { simulated_s: 0 })");
  EXPECT_EQ(RunToy(scenario, nullptr).diary, "0 step of 3 for 10\n10 step of 3 for 10");
}

// First come, first served under a bound of one request; the second waits 20 ms for its turn.
TEST(ReplicaTest, AdmissionWaitsForRoom) {
  Scenario scenario = ToyScenario(R"(
    workload { concurrency: 2 context_tokens: 2048 output_tokens: 2 request_limit: 2 }
    policy { kind: FULL tau_steps: 100 } engine { simulated_s: 0 })");
  scenario.mutable_hardware()->set_hbm_bytes(3'000'000);  // 3,000 tokens of the full-KV budget
  const ToyRun run = RunToy(scenario, nullptr);
  EXPECT_EQ(run.diary,
            "0 step of 1 for 10\n10 step of 1 for 10\n20 step of 1 for 10\n30 step of 1 for 10");
  EXPECT_EQ(run.outcome.counters.queue_ns.values(), (std::vector<int64_t>{0, 20'000'000}));
  EXPECT_EQ(run.outcome.peaks.tokens_reserved, 2050);
}

// A request that no empty replica holds is rejected; one without output ends where it arrives.
TEST(ReplicaTest, RejectsWhatCanNeverFit) {
  Scenario scenario = ToyScenario(R"(
    workload { arrivals: TRACE concurrency: 0 trace: "toy" } policy { kind: FULL tau_steps: 100 }
    engine { simulated_s: 0 })");
  scenario.mutable_hardware()->set_hbm_bytes(3'000'000);
  RequestTrace trace;
  trace.requests = {
      {SimTime{0}, 5000, 2, {}, -1}, {SimTime{1}, 100, 0, {}, -1}, {SimTime{2}, 100, 1, {}, -1}};
  const ReplicaOutcome outcome = RunToy(scenario, nullptr, &trace).outcome;
  EXPECT_EQ(outcome.arrived, 3);
  EXPECT_EQ(outcome.rejected, 1);
  EXPECT_EQ(outcome.finished, 2);
}

// Phases: 4 requests from one start, tau 8, stride 2. Aligned ticks meet in one job; staggered ones
// fall into 4 slots of the 8 steps.
TEST(ReplicaTest, AlignedTicksMeetAndStaggeredTicksSpread) {
  const std::string base = R"(
    workload { concurrency: 4 context_tokens: 2048 output_tokens: 64 request_limit: 4 attention { random_offset: false } }
    policy { kind: LSA tau_steps: 8 } engine { simulated_s: 0 } )";
  const auto count = [](const std::string& text, const std::string& what) {
    int n = 0;
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
    return n;
  };
  const Scenario aligned = ToyScenario(base + "policy { phase: ALIGNED }");
  const Scenario staggered = ToyScenario(base + "policy { phase: STAGGERED }");
  const WindowDemand demand = ToyDemand(aligned, 8, 2, Steady(32));
  const std::string meet = RunToy(aligned, &demand).diary;
  const std::string spread = RunToy(staggered, &demand).diary;
  EXPECT_EQ(count(meet, "scored 1 "), 0);
  EXPECT_GE(count(meet, "scored 4 "), 7);
  EXPECT_EQ(count(spread, "scored 4 "), 1);  // the first ticks, after step 0
  EXPECT_GE(count(spread, "scored 1 "), 26);
}

}  // namespace
}  // namespace tierscope::testing

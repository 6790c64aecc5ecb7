// Policies TOPK_SWAP and ESS in the toy world (testing/toy.h), worked by hand and against buffers
// kept entry by entry: a step takes 10 ms, an entry 1 ms on the link; one layer unless a test says
// else.
#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "sim/demand/hot_buffers.h"
#include "sim/engine/simulate.h"
#include "tests/testing/toy.h"
#include "tests/traces/trace_testing.h"
#include "traces/attention_trace.h"

namespace tierscope::testing {
namespace {

// [step][layer]
using Sets = std::vector<std::vector<std::set<uint32_t>>>;

// Eight prompt pages, and as many steps as there are sets but the first.
WindowDemand Distilled(const Scenario& scenario, const Sets& sets, int32_t stride) {
  ProfileHeader header;
  header.set_model("toy");
  header.set_prompt_tokens(2048);
  header.set_step_count(static_cast<int32_t>(sets.size()) - 1);
  header.set_tick_stride_steps(stride);
  header.set_score_floor_code(64);
  header.set_tokens_per_entry(4);
  header.set_csa_layer_count(scenario.model().csa_layers());
  header.set_top_k(scenario.model().top_k());
  header.set_selections(SELECTIONS_FULL_HISTORY);
  header.mutable_provenance()->set_recorded_with("test");
  std::vector<TraceRecord> records;
  *records.emplace_back().mutable_profile() = header;
  for (size_t step = 0; step < sets.size(); ++step) {
    for (size_t layer = 0; layer < sets[step].size(); ++layer) {
      const std::vector<uint32_t> entries(sets[step][layer].begin(), sets[step][layer].end());
      FillSelection(static_cast<int32_t>(step), static_cast<int32_t>(layer), entries, {}, {},
                    &records.emplace_back());
    }
  }
  const std::string path = TempPath("trace");
  WriteContainer(path, records);
  absl::StatusOr<WindowDemand> demand = DistilTrace(path, DemandSpecOf(scenario));
  EXPECT_TRUE(demand.ok()) << demand.status();
  return demand.ok() ? *std::move(demand) : WindowDemand();
}

Scenario Toy(const std::string& policy, const std::string& more = "") {
  return ToyScenario(absl::StrCat(
      "model { kv_entry_bytes: 1000000 top_k: 2 } ",
      "hardware { host_link { gather_bytes_per_s: 1000000000 gather_unaligned_factor: 0.1 } } ",
      "workload { context_tokens: 2048 output_tokens: 4 request_limit: 1 ",
      "attention { random_offset: false } } engine { simulated_s: 0 } policy { reserve_entries: 1 ",
      "recall_path: GATHER_KERNEL tau_steps: 1 fetch_overlap: 0 fetch_layer_us: 0 ", policy, " } ",
      more));
}

const Sets kSteps = {{{1, 2}}, {{1, 3}}, {{2, 3}}, {{1, 3}}, {{1, 3}}};

SimDuration Stall(const ToyRun& run, StallCause cause) {
  return run.outcome.counters.stall[static_cast<size_t>(cause)];
}

// Two slots: step 0 lacks both, step 1 lacks 3, step 2 lacks 2, which 3 had displaced, step 3
// lacks 1.
TEST(StepFetchTest, AStepWaitsForWhatItsBufferLacks) {
  const Scenario scenario = Toy("kind: TOPK_SWAP hot_buffer_entries: 2");
  const WindowDemand demand = Distilled(scenario, kSteps, 1);
  const ToyRun run = RunToy(scenario, &demand);
  EXPECT_EQ(run.diary,
            "0 waited for transfer until 2\n2 step of 1 for 10\n"
            "12 waited for transfer until 13\n13 step of 1 for 10\n"
            "23 waited for transfer until 24\n24 step of 1 for 10\n"
            "34 waited for transfer until 35\n35 step of 1 for 10");
  const Counters& c = run.outcome.counters;
  EXPECT_EQ(c.entries_selected, 8);
  EXPECT_EQ(c.entries_fetched, 5);
  EXPECT_EQ(c.fetch_bytes, 5'000'000);
  EXPECT_EQ(c.link_busy.ns, 5'000'000);
  EXPECT_EQ(Stall(run, StallCause::kTransfer).ns, 5'000'000);
  EXPECT_EQ(Stall(run, StallCause::kQueue).ns, 0);
  EXPECT_EQ(c.decode.ns, 45'000'000);
  EXPECT_TRUE(run.outcome.violations.empty());
}

// A third slot keeps 2 at step 1 and 1 at step 2: only what is new is fetched.
TEST(StepFetchTest, ALargerBufferFetchesOnlyWhatIsNew) {
  const Scenario scenario = Toy("kind: TOPK_SWAP hot_buffer_entries: 3");
  const WindowDemand demand = Distilled(scenario, kSteps, 1);
  const ToyRun run = RunToy(scenario, &demand);
  EXPECT_EQ(run.diary,
            "0 waited for transfer until 2\n2 step of 1 for 10\n"
            "12 waited for transfer until 13\n13 step of 1 for 10\n"
            "23 step of 1 for 10\n33 step of 1 for 10");
  EXPECT_EQ(run.outcome.counters.entries_fetched, 3);
}

// Half a millisecond a layer besides, in every step, fetch or none; two layers. It is stall too.
TEST(StepFetchTest, LookingUpTakesTimeInEveryLayer) {
  const Scenario scenario =
      Toy("kind: TOPK_SWAP hot_buffer_entries: 3 fetch_layer_us: 500", "model { csa_layers: 2 }");
  Sets sets;
  for (const auto& step : kSteps) sets.push_back({step[0], step[0]});
  const WindowDemand demand = Distilled(scenario, sets, 1);
  const ToyRun run = RunToy(scenario, &demand);
  EXPECT_EQ(run.diary,
            "0 waited for transfer until 4\n4 step of 1 for 11\n"
            "15 waited for transfer until 17\n17 step of 1 for 11\n"
            "28 step of 1 for 11\n39 step of 1 for 11");
  EXPECT_EQ(Stall(run, StallCause::kTransfer).ns, 6'000'000 + 4'000'000);
}

// The fetch of step 0 takes 2 ms: all of it hidden, half of it hidden. 20 ms beside a step of 10
// hide ten at most.
TEST(StepFetchTest, OverlappingLayersHideTheShorterOfFetchAndCompute) {
  const std::string buffers = "kind: TOPK_SWAP hot_buffer_entries: 3 fetch_overlap: ";
  const Scenario all = Toy(absl::StrCat(buffers, "1"), "engine { gather_interference: 0 }");
  const WindowDemand demand = Distilled(all, kSteps, 1);
  const ToyRun hidden = RunToy(all, &demand);
  EXPECT_EQ(hidden.diary,
            "0 waited for transfer until 2\n2 step of 1 for 8\n"
            "10 waited for transfer until 11\n11 step of 1 for 9\n"
            "20 step of 1 for 10\n30 step of 1 for 10");
  EXPECT_EQ(Stall(hidden, StallCause::kTransfer).ns, 0);
  EXPECT_EQ(hidden.outcome.counters.entries_fetched, 3);
  const Scenario half = Toy(absl::StrCat(buffers, "0.5"), "engine { gather_interference: 0 }");
  const ToyRun partly = RunToy(half, &demand);
  EXPECT_EQ(Stall(partly, StallCause::kTransfer).ns, 1'500'000);
  EXPECT_EQ(partly.outcome.counters.decode.ns, 41'500'000);
  const Scenario slow = Toy(absl::StrCat(buffers, "1"),
                            "engine { gather_interference: 0 } model { kv_entry_bytes: 10000000 }");
  EXPECT_EQ(Stall(RunToy(slow, &demand), StallCause::kTransfer).ns,
            10'000'000);  // 20 - 10, 10 - 10
  // A kernel beside the step takes SMs from it: a fifth of the 2 and of the 1 ms.
  const Scenario felt = Toy(absl::StrCat(buffers, "1"), "engine { gather_interference: 0.2 }");
  EXPECT_EQ(Stall(RunToy(felt, &demand), StallCause::kInterference).ns, 600'000);
}

// A request that arrives while a step waits for its fetch is let in at that step's end, leaping or
// not: the step that follows has two.
TEST(StepFetchTest, WhoArrivesDuringAFetchJoinsTheNextStep) {
  const Scenario scenario =
      Toy("kind: TOPK_SWAP hot_buffer_entries: 3",
          "workload { arrivals: TRACE trace: \"toy\" concurrency: 0 request_limit: 0 }");
  const WindowDemand demand = Distilled(scenario, kSteps, 1);
  RequestTrace trace;
  trace.requests = {{SimTime{0}, 2048, 4, {}, -1}, {SimTime{1'000'000}, 2048, 4, {}, -1}};
  const std::string diary =
      "0 waited for transfer until 2\n2 step of 1 for 10\n"
      "12 waited for transfer until 15\n15 step of 2 for 10";
  for (const bool leap : {true, false}) {
    ReplicaOptions options;
    options.leap = leap;
    const ToyRun run = RunToy(scenario, &demand, &trace, options);
    EXPECT_EQ(run.diary.substr(0, diary.size()), diary) << leap;
    EXPECT_TRUE(run.outcome.violations.empty());
  }
}

// The run's end cuts a step, once in its fetch and once behind it: the step does not count, and
// neither does what it fetched.
TEST(StepFetchTest, AStepThatTheEndCutsCountsNothing) {
  for (const char* end : {"0.013", "0.016"}) {
    const Scenario scenario = Toy("kind: TOPK_SWAP hot_buffer_entries: 2 fetch_layer_us: 500",
                                  absl::StrCat("engine { simulated_s: ", end, " }"));
    const WindowDemand demand = Distilled(scenario, kSteps, 1);
    const ReplicaOutcome outcome = RunToy(scenario, &demand).outcome;
    const Counters& c = outcome.counters;
    EXPECT_EQ(c.steps, 1);
    EXPECT_EQ(c.entries_fetched, 2);
    EXPECT_EQ(c.decode.ns, 12'500'000);
    EXPECT_EQ(c.stall[static_cast<size_t>(StallCause::kTransfer)].ns, 2'500'000);
    EXPECT_TRUE(outcome.violations.empty());
  }
}

// Items of no multiple of 64 B go at a tenth of the rate.
TEST(StepFetchTest, UnalignedItemsAreSlow) {
  const Scenario scenario = Toy("kind: TOPK_SWAP hot_buffer_entries: 3 gather_item_bytes: 584");
  const WindowDemand demand = Distilled(scenario, kSteps, 1);
  EXPECT_EQ(Stall(RunToy(scenario, &demand), StallCause::kTransfer).ns, 30'000'000);
}

// Host DRAM of 1.5 GB/s. The second request's KV comes over the network (1 GB/s) while the first
// fetches: they share, and what that adds is queueing.
TEST(StepFetchTest, SharingHostMemoryIsQueueing) {
  const std::string more =
      "node { dram_bytes_per_s_per_socket: 1500000000 } workload { arrivals: TRACE concurrency: 0 "
      "trace: \"toy\" request_limit: 0 } engine { prefill: DISAGGREGATED prefill_tokens_per_s: 1e9 "
      "prefill_instances: 2 }";
  const Scenario scenario = Toy("kind: TOPK_SWAP hot_buffer_entries: 2", more);
  const WindowDemand demand = Distilled(scenario, kSteps, 1);
  RequestTrace one, two;
  one.requests = {{SimTime{0}, 2048, 4, {}, -1}};
  two.requests = {{SimTime{0}, 2048, 4, {}, -1}, {SimTime{1000}, 2048, 4, {}, -1}};
  const ToyRun alone = RunToy(scenario, &demand, &one);
  EXPECT_EQ(Stall(alone, StallCause::kQueue).ns, 0);
  const ToyRun shared = RunToy(scenario, &demand, &two);
  EXPECT_GT(Stall(shared, StallCause::kQueue).ns, 500'000);
  EXPECT_EQ(shared.outcome.counters.entries_fetched, 10);
  EXPECT_TRUE(shared.outcome.violations.empty());
}

// Nothing is missed, nothing ticks, nothing is recalled by the page; the host has all of it.
TEST(StepFetchTest, WhatItHolds) {
  const Scenario scenario = Toy("kind: TOPK_SWAP hot_buffer_entries: 3");
  const WindowDemand demand = Distilled(scenario, kSteps, 1);
  const ReplicaOutcome outcome = RunToy(scenario, &demand).outcome;
  EXPECT_EQ(outcome.counters.pages_wanted, 0);
  EXPECT_EQ(outcome.counters.pages_recalled, 0);
  EXPECT_EQ(outcome.counters.selections, SelectionCount());
  EXPECT_EQ(outcome.peaks.blocks_in_use, 0);
  EXPECT_EQ(outcome.peaks.host_pages_reserved, 9);
  const MemoryPlan plan = *MakeMemoryPlan(scenario);
  EXPECT_EQ(plan.hbm_request_bytes, 3'000'000);
  EXPECT_EQ(plan.hbm_reserve_bytes, 0);
  EXPECT_EQ(plan.BudgetBytes(1024), 256);  // index keys of a byte
}

// HBM for the buffers of three requests and their keys: a fourth waits.
TEST(StepFetchTest, AdmissionCountsTheBuffers) {
  Scenario scenario =
      Toy("kind: TOPK_SWAP hot_buffer_entries: 3", "workload { concurrency: 5 request_limit: 20 }");
  const WindowDemand demand = Distilled(scenario, kSteps, 1);
  scenario.mutable_hardware()->set_hbm_bytes(3 * (3'000'000 + 2052 / 4) + 3'000'000);
  EXPECT_EQ(RunToy(scenario, &demand).outcome.peaks.requests_admitted, 3);
  scenario.mutable_hardware()->set_hbm_bytes(4 * (3'000'000 + 2052 / 4));
  const ReplicaOutcome outcome = RunToy(scenario, &demand).outcome;
  EXPECT_EQ(outcome.peaks.requests_admitted, 4);
  EXPECT_EQ(outcome.finished, 20);
  EXPECT_TRUE(outcome.violations.empty());
}

// ESS: half of the 512 prompt entries; steps 0 and 1 of the recording warm the pool, so a request
// begins at step 2 with 1, 2 and 3 there. Cold it fetches 2 and 3.
TEST(StepFetchTest, EssStartsWarm) {
  const std::string ess = "kind: ESS pool_ratio: 0.5 pool_warmup_steps: ";
  const Scenario warm = Toy(absl::StrCat(ess, "2"), "workload { output_tokens: 3 }");
  const WindowDemand demand = Distilled(warm, kSteps, 1);
  EXPECT_EQ(demand.hot_buffers->slots, (std::vector<int32_t>{256}));
  const ToyRun run = RunToy(warm, &demand);
  EXPECT_EQ(run.outcome.counters.entries_selected, 6);
  EXPECT_EQ(run.outcome.counters.entries_fetched, 0);
  EXPECT_EQ(run.diary, "0 step of 1 for 10\n10 step of 1 for 10\n20 step of 1 for 10");
  const Scenario cold = Toy(absl::StrCat(ess, "0"), "workload { output_tokens: 3 }");
  const WindowDemand from_start = Distilled(cold, kSteps, 1);
  EXPECT_EQ(RunToy(cold, &from_start).outcome.counters.entries_fetched, 3);
}

// One layer's entries with their last use; the longest unused goes, of equals the lower.
class SlowBuffer {
 public:
  explicit SlowBuffer(size_t slots) : slots_(slots) {}
  int64_t Step(int64_t step, const std::set<uint32_t>& entries) {
    int64_t misses = 0;
    for (const uint32_t entry : entries) misses += last_use_.count(entry) == 0 ? 1 : 0;
    for (const uint32_t entry : entries) last_use_[entry] = step;
    while (last_use_.size() > slots_) {
      last_use_.erase(
          std::min_element(last_use_.begin(), last_use_.end(), [](const auto& a, const auto& b) {
            return std::pair(a.second, a.first) < std::pair(b.second, b.first);
          }));
    }
    return misses;
  }

 private:
  size_t slots_;
  std::map<uint32_t, int64_t> last_use_;
};

// Requests of random lengths beside each other: what is fetched is the sum over requests and layers
// of buffers kept entry by entry, and all waiting is for that. Leaping changes nothing.
TEST(StepFetchTest, EqualsBuffersKeptEntryByEntry) {
  Rng rng(17);
  int64_t leapt = 0, fetched = 0;
  for (int round = 0; round < 150; ++round) {
    const auto layers = static_cast<int32_t>(1 + rng.NextBelow(3));
    const auto slots = static_cast<int32_t>(2 + rng.NextBelow(8));
    const auto steps = static_cast<int32_t>(8 + rng.NextBelow(40));
    const uint64_t variety = 3 + rng.NextBelow(12);
    Scenario scenario =
        Toy(absl::StrCat("kind: TOPK_SWAP fetch_layer_us: 100 hot_buffer_entries: ", slots),
            absl::StrCat("model { csa_layers: ", layers,
                         " } workload { arrivals: TRACE trace: \"toy\" concurrency: ",
                         1 + rng.NextBelow(4), " request_limit: 0 }"));
    scenario.mutable_workload()->clear_output_tokens();  // the trace's own
    Sets sets(static_cast<size_t>(steps) + 1);
    for (auto& step : sets) {
      for (int32_t layer = 0; layer < layers; ++layer) {
        std::set<uint32_t>& chosen = step.emplace_back();
        if (rng.NextBelow(4) > 0 && &step != &sets[0]) {
          chosen = (&step - 1)->at(static_cast<size_t>(layer));
          continue;
        }
        while (chosen.size() < 2) chosen.insert(static_cast<uint32_t>(rng.NextBelow(variety)));
      }
    }
    const WindowDemand demand = Distilled(scenario, sets, 1);
    RequestTrace trace;
    int64_t slow = 0, tokens = 0;
    for (uint64_t n = 1 + rng.NextBelow(5); n > 0; --n) {
      const auto output = static_cast<int64_t>(1 + rng.NextBelow(static_cast<uint64_t>(steps)));
      trace.requests.push_back(
          {SimTime{static_cast<int64_t>(trace.requests.size()) * 7'000'000}, 2048, output, {}, -1});
      tokens += output;
      for (size_t layer = 0; layer < static_cast<size_t>(layers); ++layer) {
        SlowBuffer buffer(static_cast<size_t>(slots));
        for (int64_t step = 0; step < output; ++step) {
          slow += buffer.Step(step, sets[static_cast<size_t>(step)][layer]);
        }
      }
    }
    const ReplicaOutcome outcome = RunToy(scenario, &demand, &trace).outcome;
    const Counters& c = outcome.counters;
    ASSERT_EQ(c.entries_fetched, slow) << round;
    ASSERT_EQ(c.entries_selected, tokens * layers * 2) << round;
    ASSERT_EQ(c.fetch_bytes, slow * 1'000'000);
    const int64_t layers_ns = c.steps * layers * 100'000;
    ASSERT_EQ(c.stall[static_cast<size_t>(StallCause::kTransfer)].ns, slow * 1'000'000 + layers_ns);
    ASSERT_EQ(c.decode.ns, c.steps * 10'000'000 + slow * 1'000'000 + layers_ns);
    ASSERT_TRUE(outcome.violations.empty());
    ReplicaOptions stepping;
    stepping.leap = false;
    const ReplicaOutcome stepped = RunToy(scenario, &demand, &trace, stepping).outcome;
    ASSERT_EQ(stepped.event_digest, outcome.event_digest);
    ASSERT_EQ(stepped.counters.decode.ns, c.decode.ns);
    ASSERT_EQ(stepped.counters.entries_fetched, c.entries_fetched);
    leapt += outcome.steps_leapt;
    fetched += slow;
  }
  EXPECT_GT(leapt, 500);
  EXPECT_GT(fetched, 1000);
}

}  // namespace
}  // namespace tierscope::testing

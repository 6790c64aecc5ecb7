// Leaping equals stepping: random scenarios, each run both ways, give the same bytes.
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "reports/result_json.h"
#include "reports/schema/metrics.h"
#include "scenarios/policy_kind.h"
#include "sim/base/rng.h"
#include "sim/engine/simulate.h"
#include "tests/testing/brief_run.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

constexpr int kScenarios = 1600;

class Dice {
 public:
  explicit Dice(uint64_t seed) : rng_(seed, /*stream=*/7) {}
  int Below(int n) { return static_cast<int>(rng_.NextBelow(static_cast<uint64_t>(n))); }
  int In(int low, int high) { return low + Below(high - low + 1); }
  bool One(int in) { return Below(in) == 0; }
  std::string Of(const std::vector<std::string>& choices) {
    return choices[static_cast<size_t>(Below(static_cast<int>(choices.size())))];
  }

 private:
  Rng rng_;
};

// Policies with a part of their own in a step or a tick, and so a share of the draws each.
const std::vector<std::string>& Kinds() {
  static const auto& kinds = *new std::vector<std::string>{
      "LSA",         "LSA",           "RECENCY", "ORACLE", "RANDOM",    "FLASHMEMORY",
      "FLASHMEMORY", "STREAMING_LLM", "H2O",     "QUEST",  "TOPK_SWAP", "ESS"};
  return kinds;
}

// What only a tiered policy reads.
std::string TieredText(Dice& dice, bool flashmemory) {
  return absl::StrCat(" level1: ", dice.Of({"ASYNC", "SYNC"}),
                      " publish: ", dice.Of({"ON_COMPLETION", "NEXT_TICK"}), " eviction: ",
                      dice.Of({"LRU_PROTECTED", "LRU_PROTECTED", "LRU_PROTECTED", "LRU", "FIFO",
                               "CLOCK", "S3FIFO", "SIEVE", "BELADY"}),
                      " recall_path: ", dice.Of({"COPY_ENGINE", "STAGED", "GATHER_KERNEL"}),
                      " staged_pieces: ", dice.Of({"PER_PAGE", "PER_ENTRY"}),
                      " layout: ", dice.Of({"PAGE_MAJOR", "LAYER_MAJOR"}),
                      " gather_item_bytes: ", dice.Of({"576", "584"}),
                      " publish_fixed_ms: ", dice.Below(3),
                      flashmemory ? absl::StrCat(" level1_fixed_ms: ", dice.Below(15)) : "");
}

// What one kind reads and no other.
std::string KindText(Dice& dice, const std::string& kind) {
  if (kind == "TOPK_SWAP") return absl::StrCat(" hot_buffer_entries: ", dice.In(2, 9));
  if (kind == "ESS") return " pool_ratio: 0.5";
  return "";
}

std::string PolicyText(Dice& dice, const std::string& kind) {
  const bool flashmemory = kind == "FLASHMEMORY";
  const bool fetches = kind == "TOPK_SWAP" || kind == "ESS";
  const bool rival = fetches || kind == "STREAMING_LLM" || kind == "H2O" || kind == "QUEST";
  return absl::StrCat(
      " policy { kind: ", kind, " tau_steps: ", 4 * dice.In(1, 16), " page_kmax: ", dice.In(1, 6),
      " phase: ", dice.Of({"OWN_STEPS", "ALIGNED", "STAGGERED"}),
      " reserve_entries: ", 64 * dice.In(40, 120) + (flashmemory ? 128 * 512 + 1 : 0),
      rival || kind == "FULL" ? "" : TieredText(dice, flashmemory), KindText(dice, kind),
      fetches ? absl::StrCat(" recall_path: GATHER_KERNEL fetch_overlap: ", 0.25 * dice.Below(5),
                             " fetch_layer_us: ", 100 * dice.Below(3))
              : "",
      " }");
}

// HBM for a few requests of the largest class beside what is fixed, and host DRAM for a few. Of a
// token HBM holds: a quarter of an index key of one byte where the pages are in the host; 1,000
// bytes of the full-KV budget, and under QUEST a little for bounds; under ESS 0.5 / 4 entries more.
void SetMemory(Dice& dice, const std::string& kind, Scenario& scenario) {
  const int64_t tokens = dice.In(4'000, 12'000);
  const Policy& policy = scenario.policy();
  const int64_t keys = PlacementOf(policy.kind()) == KvPlacement::kDropped ? 64 : 0;
  const int64_t reserve = policy.reserve_entries() / 64 * (1'000'000 + keys);
  const bool whole = kind == "FULL" || kind == "QUEST";
  int64_t hbm = whole ? tokens * 1001 : tokens / 4;
  if (kind == "ESS") hbm += tokens * 15'625 / 8;
  if (kind == "TOPK_SWAP") {
    hbm += dice.In(1, 8) * int64_t{policy.hot_buffer_entries()} * 15'625;
  } else if (!whole && kind != "ESS") {
    hbm += reserve;
  }
  scenario.mutable_hardware()->set_hbm_bytes(hbm);
  scenario.mutable_node()->set_host_bytes(whole ? int64_t{dice.In(17'000, 80'000)} * 3'907
                                                : int64_t{dice.In(16, 80)} * 1'000'064);
}

// Several replicas, dp_attention groups or drafts, where the rest of the scenario allows them. Each
// group keeps the memory that the scenario had.
void SpreadOut(Dice& dice, Scenario& scenario) {
  Engine& engine = *scenario.mutable_engine();
  if (dice.One(3)) {
    engine.set_replicas(dice.In(2, 3));
    engine.set_routing(dice.One(2) ? Engine::ROUND_ROBIN : Engine::LEAST_LOADED);
  }
  if (IsRival(scenario.policy().kind())) return;
  if (dice.One(3) && engine.prefill() != Engine::COLOCATED_CHUNKED) {
    const int groups = dice.In(2, 3);
    engine.set_tensor_parallel(groups);
    engine.set_dp_attention(groups);
    scenario.mutable_node()->set_gpus(groups);
    scenario.mutable_node()->set_host_bytes(scenario.node().host_bytes() * groups);
  }
  const Policy& policy = scenario.policy();
  const bool counts_steps = policy.kind() == Policy::ORACLE ||
                            policy.kind() == Policy::FLASHMEMORY ||
                            policy.eviction() == Policy::BELADY;
  if (dice.One(2) && engine.admit() == Engine::FULL && !counts_steps) {
    engine.mutable_mtp()->set_draft_tokens(dice.In(1, 4));
    engine.mutable_mtp()->set_acceptance(0.25 * dice.Below(5));
  }
}

// A scenario of the toy world with step times that depend on batch and context, small memory, and
// whatever else the dice say. `tiered` comes back.
Scenario RandomScenario(Dice& dice, bool* tiered) {
  const std::string kind = dice.One(4) ? "FULL" : dice.Of(Kinds());
  *tiered = kind != "FULL";
  Policy::Kind parsed = Policy::FULL;
  Policy::Kind_Parse(kind, &parsed);
  const bool full_promise = IsRival(parsed) || kind == "FLASHMEMORY" || dice.One(3);
  const std::string admit = full_promise ? "FULL" : "OPTIMISTIC";
  const std::string prefill = dice.Of({"NONE", "DISAGGREGATED", "COLOCATED_CHUNKED"});
  const bool swap = admit == "OPTIMISTIC" && (prefill == "NONE" || dice.One(2));
  std::string text = absl::StrCat(
      "seed: ", dice.In(1, 1'000'000), " engine { admit: ", admit, " prefill: ", prefill,
      swap ? " preemption: SWAP" : "", " warmup_windows: ", dice.One(2) ? 0 : dice.In(1, 4),
      " level1_interference: 0.7 recall_interference: 0.9 gather_interference: 0.5",
      " host_contention_ms_per_step: ", dice.One(2) ? 0 : dice.In(1, 3),
      " simulated_s: ", dice.One(3) ? dice.In(1, 20) : 0, " }");
  if (prefill != "NONE") {
    absl::StrAppend(&text, " engine { prefill_tokens_per_s: ", dice.In(5'000, 200'000), " }");
    if (prefill == "DISAGGREGATED") {
      absl::StrAppend(&text, " engine { prefill_instances: ", dice.In(1, 3), " }");
    } else {
      absl::StrAppend(&text, " engine { prefill_chunk_tokens: ", dice.In(1, 3000), " }");
    }
  }
  if (dice.One(3)) absl::StrAppend(&text, " engine { slo { ttft_ms: 900 tpot_ms: 25 } }");
  if (dice.One(3)) absl::StrAppend(&text, " engine { graph_batch_sizes: [1, 2, 4, 8, 16] }");
  absl::StrAppend(&text, PolicyText(dice, kind));
  const int users = dice.In(1, 24);
  const bool open = dice.One(2);
  absl::StrAppend(&text, " workload { request_limit: ", dice.In(3, 40),
                  " concurrency: ", open && dice.One(2) ? 0 : users,
                  " ramp_start: ", dice.Of({"true", "false"}));
  if (open) {
    absl::StrAppend(&text, " arrivals: ", dice.Of({"POISSON", "GAMMA"}),
                    " requests_per_s: ", dice.In(1, 40));
  } else if (dice.One(3)) {
    absl::StrAppend(&text, " think_s: 0.3");
  }
  for (int i = dice.In(1, 3); i > 0; --i) {
    absl::StrAppend(&text, " classes { weight: ", dice.In(1, 4),
                    " context_tokens: ", dice.In(1, 3000), " output_tokens: ", dice.In(1, 900),
                    " }");
  }
  absl::StrAppend(&text, " }");
  Scenario scenario = ToyScenario(text);
  scenario.mutable_hardware()->mutable_step_model()->set_per_request_ms(0.1);
  scenario.mutable_hardware()->set_fp8_flop_per_s(1e9);
  SetMemory(dice, kind, scenario);
  // From a page in 0.2 ms to one in 25: recalls end within a step or are late for the next tick.
  const int64_t rate = int64_t{5'000'000'000} >> dice.Below(8);
  Link& link = *scenario.mutable_hardware()->mutable_host_link();
  link.set_peak_bytes_per_s(rate);
  link.set_gather_bytes_per_s(rate);
  link.set_gather_unaligned_factor(0.1);
  link.set_pageable_bytes_per_s(rate);
  link.set_copy_submit_us(6);
  scenario.mutable_node()->set_host_gather_bytes_per_s(rate);
  SpreadOut(dice, scenario);
  return scenario;
}

WindowDemand RandomDemand(Dice& dice, const Scenario& scenario) {
  if (PlacementOf(scenario.policy().kind()) == KvPlacement::kHotBuffer) {
    return MadeUpDemand(scenario).value();
  }
  std::vector<ToyWindow> windows(static_cast<size_t>(dice.In(4, 40)));
  for (ToyWindow& window : windows) {
    for (int i = dice.In(1, 6); i > 0; --i) {
      window.scored_pages.push_back(static_cast<PageIndex>(dice.Below(8)));
    }
    std::sort(window.scored_pages.begin(), window.scored_pages.end());
    window.scored_pages.erase(std::unique(window.scored_pages.begin(), window.scored_pages.end()),
                              window.scored_pages.end());
    window.selections = {{static_cast<PageIndex>(dice.Below(8)), 2}};
  }
  return ToyDemand(scenario, 8, 4, windows);
}

struct Bytes {
  std::string json;
  std::string diary;
  int64_t leapt = 0;
  double tokens_recomputed = 0, swap_out_gib = 0;
  int64_t steps = 0;
  double unfinished = 0;
  bool violated = false;
};

Bytes RunBothFigures(const Scenario& scenario, const WindowDemand* demand, bool leap) {
  Diary diary;
  SimulationInputs inputs;
  inputs.demand = demand;
  inputs.observer = &diary;
  inputs.options.leap = leap;
  const absl::StatusOr<Simulation> simulation = Simulate(scenario, inputs);
  Bytes bytes;
  if (!simulation.ok()) {
    bytes.json = std::string(simulation.status().message());
    bytes.violated = absl::IsAborted(simulation.status());
    return bytes;
  }
  bytes.json = ResultJson(simulation->result);
  bytes.diary = diary.text();
  bytes.leapt = simulation->steps_leapt;
  const auto value = [&](const char* name) {
    return FindMetric(simulation->result, name)->value();
  };
  bytes.tokens_recomputed = value("tokens_recomputed");
  bytes.swap_out_gib = value("swap_out_gib");
  bytes.unfinished = value("requests_unfinished");
  bytes.steps = static_cast<int64_t>(value("steps"));
  bytes.violated = simulation->result.violations_size() > 0;
  return bytes;
}

// What the scenarios of runs that leapt were, by the name of each choice.
using Seen = std::map<std::string, int>;

void Count(const Scenario& scenario, Seen* seen) {
  const Policy& policy = scenario.policy();
  const Engine& engine = scenario.engine();
  ++(*seen)[Policy::Kind_Name(policy.kind())];
  if (engine.replicas() > 1) ++(*seen)["replicas"];
  if (engine.dp_attention() > 1) ++(*seen)["dp_attention"];
  if (engine.mtp().draft_tokens() > 0) ++(*seen)["mtp"];
  if (engine.host_contention_ms_per_step() > 0) ++(*seen)["host_contention"];
  if (PlacementOf(policy.kind()) != KvPlacement::kTiered) return;
  ++(*seen)[Policy::Eviction_Name(policy.eviction())];
  ++(*seen)[Policy::Layout_Name(policy.layout())];
  ++(*seen)[Policy::RecallPath_Name(policy.recall_path())];
}

// Runs of each choice, at least.
void ExpectSeen(const Seen& seen) {
  const std::pair<const char*, int> floors[] = {
      {"FULL", 250},         {"LSA", 100},         {"RECENCY", 50},
      {"ORACLE", 50},        {"RANDOM", 50},       {"FLASHMEMORY", 100},
      {"STREAMING_LLM", 40}, {"H2O", 40},          {"QUEST", 40},
      {"TOPK_SWAP", 40},     {"ESS", 40},          {"LRU_PROTECTED", 100},
      {"LRU", 30},           {"FIFO", 30},         {"CLOCK", 30},
      {"S3FIFO", 30},        {"SIEVE", 30},        {"BELADY", 30},
      {"COPY_ENGINE", 100},  {"STAGED", 100},      {"GATHER_KERNEL", 100},
      {"PAGE_MAJOR", 150},   {"LAYER_MAJOR", 150}, {"replicas", 300},
      {"dp_attention", 100}, {"mtp", 100},         {"host_contention", 300}};
  for (const auto& [name, floor] : floors) {
    const auto at = seen.find(name);
    EXPECT_GE(at == seen.end() ? 0 : at->second, floor) << name;
  }
}

TEST(LeapTest, LeapingEqualsStepping) {
  int64_t leapt = 0, steps = 0;
  int ran = 0;
  Seen seen;
  int recomputing[2] = {}, swapping[2] = {};  // runs, by whether the policy is tiered
  for (uint64_t seed = 1; seed <= kScenarios; ++seed) {
    Dice dice(seed);
    bool tiered = false;
    const Scenario scenario = RandomScenario(dice, &tiered);
    WindowDemand demand;
    if (tiered) demand = RandomDemand(dice, scenario);
    const Bytes leaping = RunBothFigures(scenario, tiered ? &demand : nullptr, true);
    const Bytes stepping = RunBothFigures(scenario, tiered ? &demand : nullptr, false);
    ASSERT_EQ(leaping.json, stepping.json) << seed << ": " << scenario.DebugString();
    ASSERT_EQ(leaping.diary, stepping.diary) << seed;
    ASSERT_FALSE(leaping.violated) << seed << ": " << leaping.json << scenario.DebugString();
    ASSERT_EQ(stepping.leapt, 0);
    // However little memory there is, whoever fits an empty replica comes to its end.
    if (scenario.engine().simulated_s() == 0) {
      ASSERT_EQ(leaping.unfinished, 0) << seed;
    }
    if (leaping.leapt > 0) Count(scenario, &seen);
    leapt += leaping.leapt;
    steps += leaping.steps;
    ran += leaping.diary.empty() ? 0 : 1;
    recomputing[tiered] += leaping.tokens_recomputed > 0 ? 1 : 0;
    swapping[tiered] += leaping.swap_out_gib > 0 ? 1 : 0;
  }
  // The comparison is of runs that decode, leap and preempt in every way.
  EXPECT_GT(ran, kScenarios * 3 / 4);
  EXPECT_GT(leapt, steps / 3);
  ExpectSeen(seen);
  for (int tiered : {0, 1}) {
    EXPECT_GT(recomputing[tiered], 10);
    EXPECT_GT(swapping[tiered], 10);
  }
  RecordProperty("ran", ran);
  RecordProperty("recomputing", recomputing[0] + recomputing[1]);
  RecordProperty("swapping", swapping[0] + swapping[1]);
}

// Steps of 10 ms; the second request arrives at 20, the very end of a step that nothing else ends,
// and is in the next one.
TEST(LeapTest, AnArrivalAtTheEndOfAStepIsNotLeaptOver) {
  const Scenario scenario = ToyScenario(R"(
    workload { arrivals: TRACE concurrency: 0 trace: "toy" }
    policy { kind: FULL tau_steps: 100000 } engine { simulated_s: 0 })");
  RequestTrace trace;
  trace.requests = {{SimTime{0}, 100, 4, {}, -1}, {SimTime{20'000'000}, 100, 1, {}, -1}};
  for (const bool leap : {false, true}) {
    ReplicaOptions options;
    options.leap = leap;
    const ToyRun run = RunToy(scenario, nullptr, &trace, options);
    EXPECT_EQ(run.diary,
              "0 step of 1 for 10\n10 step of 1 for 10\n20 step of 2 for 10\n30 step of 1 for 10");
    EXPECT_EQ(run.outcome.steps_leapt, 0);
  }
}

}  // namespace
}  // namespace tierscope::testing

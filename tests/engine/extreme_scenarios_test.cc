// Scenarios that the loader accepts, with values from anywhere in the ranges of
// scenarios/ranges.cc: each run ends with a result or a status. That no time of it runs over is the
// sanitizers' to say.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

#include "reports/result_json.h"
#include "scenarios/fields.h"
#include "scenarios/loader.h"
#include "scenarios/ranges.h"
#include "sim/base/det_math.h"
#include "sim/base/rng.h"
#include "tests/testing/brief_run.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

// EXTREME_ROUNDS=N draws so many.
int Rounds() {
  const char* value = std::getenv("EXTREME_ROUNDS");
  return value == nullptr ? 1500 : std::atoi(value);
}

using Sets = std::vector<std::string>;

std::string One(Rng& rng, const Sets& choices) { return choices[rng.NextBelow(choices.size())]; }

// What else the scenario is: at most one of each line, where the rest of it allows that.
void AddVariation(Rng& rng, Sets* sets) {
  const Sets lines[] = {
      {"", "", "policy.recall_path=STAGED",
       "policy.recall_path=STAGED,policy.staged_pieces=PER_ENTRY",
       "policy.recall_path=GATHER_KERNEL"},
      {"", "policy.level1=SYNC", "policy.publish=NEXT_TICK"},
      {"", "", "engine.prefill=DISAGGREGATED,engine.prefill_tokens_per_s=8000",
       "engine.prefill=COLOCATED_CHUNKED,engine.prefill_tokens_per_s=8000"},
      {"", "", "engine.admit=OPTIMISTIC,engine.preemption=SWAP"},
      {"", "", "engine.mtp.draft_tokens=2,engine.mtp.acceptance=0.5"},
      {"", "engine.simulated_s=0"},
      {"", "",
       "policy.kind=TOPK_SWAP,policy.hot_buffer_entries=4096,policy.recall_path=GATHER_KERNEL",
       "policy.kind=QUEST", "policy.kind=FULL"}};
  for (const Sets& line : lines) {
    if (const std::string set = One(rng, line); !set.empty()) sets->push_back(set);
  }
}

// From the range's least value to its greatest, evenly in the logarithm; one in eight at an end. A
// range that begins at 0 begins at a part of 10^18 of its end besides.
double ValueIn(Rng& rng, const Range& range) {
  const bool from_zero = range.min <= 0;
  const uint64_t end = rng.NextBelow(16);
  if (end == 0 && range.ends != Range::kOpen) return range.max;
  if (end == 1 && range.ends == Range::kClosed) return range.min;
  const double low = from_zero ? range.max * 1e-18 : range.min;
  return low * DetPow(range.max / low, rng.NextDouble());
}

// "a.b" with 5 as "a { b: 5 }".
std::string TextOf(const std::string& path, const std::string& value) {
  const std::vector<std::string> parts = absl::StrSplit(path, '.');
  std::string text = absl::StrCat(parts.back(), ": ", value);
  for (size_t i = parts.size() - 1; i > 0; --i)
    text = absl::StrCat(parts[i - 1], " { ", text, " }");
  return text;
}

struct Silence : google::protobuf::io::ErrorCollector {
  void AddError(int, int, const std::string&) override {}
};

// A real as it is, and cut to a whole number where the field takes no other.
void SetField(const std::string& path, double value, double whole_min, Scenario* scenario) {
  google::protobuf::TextFormat::Parser parser;
  Silence silent;
  parser.RecordErrorsTo(&silent);
  const std::string real = absl::StrFormat("%.17g", value);
  const std::string whole = absl::StrFormat("%.0f", std::max(whole_min, std::floor(value)));
  if (!parser.MergeFromString(TextOf(path, real), scenario)) {
    parser.MergeFromString(TextOf(path, whole), scenario);
  }
}

bool IsList(const Range& range) { return absl::StrContains(range.path, "[]"); }

// A rate or an efficiency, which the loader bounds below.
bool IsRate(const Range& range) {
  return !IsList(range) &&
         (absl::StrContains(range.path, "_per_s") || absl::EndsWith(range.path, "_efficiency"));
}

struct Tally {
  int accepted = 0, results = 0, refused = 0, beyond = 0;
};

void Judge(const absl::StatusOr<Simulation>& simulation, Tally* tally) {
  if (simulation.ok()) {
    ++tally->results;
    EXPECT_EQ(simulation->result.violations_size(), 0)
        << simulation->result.violations(0).ShortDebugString();
    EXPECT_FALSE(ResultJson(simulation->result).empty());
    return;
  }
  const std::string message(simulation.status().message());
  const bool beyond = absl::StrContains(message, "the simulation's clock ends");
  EXPECT_EQ(absl::IsAborted(simulation.status()), beyond) << message;
  ++(beyond ? tally->beyond : tally->refused);
}

// A ready scenario and a variation of it, where the rest of it allows that.
absl::StatusOr<Scenario> Varied(Rng& rng) {
  const std::string name = One(rng, {"h20_lsa", "h20_flashmemory", "h20_mix", "h20_dp_attention",
                                     "cpu_small", "reconcile_cpu", "h20_full", "h20_trace"});
  Sets sets = {"workload.output_tokens=40"};
  if (name == "h20_trace") sets.push_back("workload.trace=t.jsonl");
  AddVariation(rng, &sets);
  return LoadScenario(absl::StrCat(TIERSCOPE_SOURCE_DIR, "/scenarios/", name, ".txtpb"), sets);
}

Scenario Base(Rng& rng) {
  for (;;) {
    absl::StatusOr<Scenario> scenario = Varied(rng);
    if (scenario.ok()) return *std::move(scenario);
  }
}

// One to three fields with values from their ranges.
void RunAccepted(uint64_t seed, Tally* tally) {
  Rng rng(seed, /*stream=*/0x65787472);
  absl::StatusOr<Scenario> scenario = Base(rng);
  const std::vector<Range>& ranges = FieldRanges();
  Sets elements;
  for (uint64_t n = 1 + rng.NextBelow(3); n > 0; --n) {
    const Range& range = ranges[rng.NextBelow(ranges.size())];
    const double value = ValueIn(rng, range);
    if (IsList(range)) {
      const std::string path = absl::StrReplaceAll(range.path, {{"[]", "[0]"}});
      elements.push_back(absl::StrFormat("%s=%.17g", path, value));
    } else {
      SetField(range.path, value, 0.0, &*scenario);
    }
  }
  scenario = ParseScenario(ScenarioText(*scenario), "extreme.txtpb", elements);
  if (!scenario.ok()) return;
  ++tally->accepted;
  SCOPED_TRACE(absl::StrCat(seed, ": ", scenario->ShortDebugString()));
  Judge(RunBriefly(*scenario), tally);
}

// Rates far below what the loader takes: one or two, down to 10^-300 or one a second.
void RunBelowTheLimits(uint64_t seed, Tally* tally) {
  Rng rng(seed, /*stream=*/0x6c6f77);
  Scenario scenario = Base(rng);
  const bool kernels = scenario.hardware().step_model().has_kernels();
  std::vector<Range> rates;
  for (const Range& range : FieldRanges()) {
    const bool of_kernels = absl::StrContains(range.path, ".kernels.");
    if (IsRate(range) && (kernels || !of_kernels)) rates.push_back(range);
  }
  for (uint64_t n = 1 + rng.NextBelow(2); n > 0; --n) {
    const double tiny = rng.NextBelow(2) == 0 ? 1e-300 : 1e-9;
    const Range& rate = rates[rng.NextBelow(rates.size())];
    SetField(rate.path, ValueIn(rng, {rate.path, tiny, 1e3}), 1.0, &scenario);
  }
  if (rng.NextBelow(4) > 0) scenario.mutable_engine()->set_simulated_s(0);
  ++tally->accepted;
  SCOPED_TRACE(absl::StrCat(seed, ": ", scenario.ShortDebugString()));
  Judge(RunBriefly(scenario), tally);
}

TEST(ExtremeScenariosTest, EveryAcceptedOneEnds) {
  Tally tally;
  for (uint64_t seed = 1; seed <= static_cast<uint64_t>(Rounds()); ++seed)
    RunAccepted(seed, &tally);
  EXPECT_GT(tally.accepted, Rounds() / 4);
  EXPECT_GT(tally.results, Rounds() / 5);
  RecordProperty("accepted", tally.accepted);
  RecordProperty("results", tally.results);
  RecordProperty("refused", tally.refused);
  RecordProperty("beyond", tally.beyond);
}

TEST(ExtremeScenariosTest, SoDoRatesThatMeanNothing) {
  Tally tally;
  for (uint64_t seed = 1; seed <= static_cast<uint64_t>(Rounds() / 3); ++seed)
    RunBelowTheLimits(seed, &tally);
  EXPECT_GT(tally.results, Rounds() / 30);
  EXPECT_GT(tally.beyond, Rounds() / 30);
}

// One of each kind of span that comes out beyond every clock, below the limits of the loader.
std::string Beyond(Scenario scenario) {
  scenario.mutable_engine()->set_simulated_s(0);
  const absl::StatusOr<Simulation> simulation = RunBriefly(scenario);
  if (simulation.ok()) return "ok";
  EXPECT_TRUE(absl::IsAborted(simulation.status()));
  return std::string(simulation.status().message());
}

constexpr char kLsa[] = R"(
  workload { concurrency: 1 context_tokens: 2048 output_tokens: 9 request_limit: 2 }
  policy { kind: LSA tau_steps: 4 } )";

TEST(ExtremeScenariosTest, SaysWhatLiesBeyondTheClock) {
  EXPECT_EQ(Beyond(ToyScenario(kLsa)), "ok");

  Scenario step = ToyScenario(kLsa);
  step.mutable_hardware()->set_fp8_flop_per_s(1e-9);
  EXPECT_EQ(
      Beyond(step),
      "the simulation's clock ends at 144115188 s (4.6 years), and the end of a level-1 job's "
      "scoring lies beyond: 1.44115e+08 s or later, the event before it at 0.010000 s; look "
      "at the rates of hardware, the efficiencies of hardware.step_model, "
      "policy.level1_fixed_ms, or give engine.simulated_s");
  step.mutable_policy()->set_kind(Policy::FULL);
  step.mutable_hardware()->set_hbm_bytes_per_s(1);
  step.mutable_hardware()->mutable_step_model()->set_memory_efficiency(1e-300);
  EXPECT_TRUE(absl::StrContains(Beyond(step), "and the end of a batch step lies beyond"));

  Scenario recall = ToyScenario(kLsa);
  recall.mutable_hardware()->mutable_host_link()->set_peak_bytes_per_s(1);
  recall.mutable_model()->set_kv_entry_bytes(int64_t{1} << 24);
  EXPECT_TRUE(absl::StrContains(Beyond(recall), "a transfer from the host")) << Beyond(recall);

  Scenario staged = ToyScenario(kLsa);
  staged.mutable_policy()->set_recall_path(Policy::STAGED);
  staged.mutable_node()->set_host_gather_bytes_per_s(1'000'000'000);
  staged.mutable_hardware()->mutable_host_link()->set_pageable_bytes_per_s(1'000'000'000);
  staged.mutable_hardware()->mutable_host_link()->set_copy_submit_us(1);
  staged.mutable_hardware()->set_hbm_bytes_per_s(1);
  staged.mutable_model()->set_kv_entry_bytes(int64_t{1} << 24);
  EXPECT_TRUE(absl::StrContains(Beyond(staged), "a publish lies beyond")) << Beyond(staged);

  const char* prefill = "engine { prefill: DISAGGREGATED prefill_tokens_per_s: 1e-9 }";
  EXPECT_TRUE(absl::StrContains(Beyond(ToyScenario(absl::StrCat(kLsa, prefill))),
                                "the end of a prefill lies beyond: 4.61169e+09 s or later"));

  Scenario ingest = ToyScenario(
      absl::StrCat(kLsa, "engine { prefill: DISAGGREGATED prefill_tokens_per_s: 1e6 }"));
  ingest.mutable_node()->set_network_bytes_per_s_per_gpu(1);
  ingest.mutable_model()->set_kv_entry_bytes(int64_t{1} << 24);
  EXPECT_TRUE(absl::StrContains(Beyond(ingest), "a request's KV over the network"))
      << Beyond(ingest);

  const Scenario arrival = ToyScenario(R"(
    workload { arrivals: POISSON concurrency: 0 requests_per_s: 1e-300 context_tokens: 2048
               output_tokens: 9 } policy { kind: FULL tau_steps: 4 } )");
  EXPECT_TRUE(absl::StrContains(Beyond(arrival), "the next arrival lies beyond"));
}

// With an end, the same runs have a result: what is under way then never ended.
TEST(ExtremeScenariosTest, AnEndCutsWhatLiesBeyondTheClock) {
  Scenario scenario = ToyScenario(absl::StrCat(kLsa, "engine { simulated_s: 1e8 }"));
  scenario.mutable_hardware()->set_fp8_flop_per_s(1e-9);
  const absl::StatusOr<Simulation> simulation = RunBriefly(scenario);
  ASSERT_TRUE(simulation.ok()) << simulation.status();
  EXPECT_EQ(simulation->result.violations_size(), 0);
}

}  // namespace
}  // namespace tierscope::testing

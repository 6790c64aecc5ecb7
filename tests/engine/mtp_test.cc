// Multi-token prediction in the toy world, whose steps take 10 ms whatever is drafted: the token
// clock, worked out by hand. What drafts cost is in tests/model/layout_test.cc. A version that only
// multiplied throughput would fail where requests end earlier, pages fill sooner, ticks read the
// trace further on, and tokens beyond an end count for nothing.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "reports/schema/metrics.h"
#include "sim/engine/lockstep.h"
#include "sim/engine/simulate.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

std::vector<int64_t> ClockOf(int32_t drafts, double acceptance, int steps) {
  const TokenClock clock = TokenClock::Of(drafts, acceptance);
  std::vector<int64_t> tokens;
  for (int step = 0; step <= steps; ++step) tokens.push_back(clock.At(step));
  return tokens;
}

TEST(TokenClockTest, ExpectedTokensToTheLastFraction) {
  using Tokens = std::vector<int64_t>;
  EXPECT_EQ(ClockOf(0, 0.0, 3), (Tokens{0, 1, 2, 3}));
  EXPECT_EQ(ClockOf(3, 0.0, 3), (Tokens{0, 1, 2, 3}));
  EXPECT_EQ(ClockOf(3, 1.0, 3), (Tokens{0, 4, 8, 12}));
  EXPECT_EQ(ClockOf(1, 0.5, 6), (Tokens{0, 1, 3, 4, 6, 7, 9}));
  // 0.5 + 0.25: the second draft counts if the first did.
  EXPECT_EQ(ClockOf(2, 0.5, 4), (Tokens{0, 1, 3, 5, 7}));
  // 0.8 + 0.64 + 0.512 = 1.952 accepted drafts a step, over a million steps within one token.
  EXPECT_NEAR(static_cast<double>(TokenClock::Of(3, 0.8).At(1'000'000)), 2'952'000.0, 1.0);
}

struct Case {
  int drafts;
  double acceptance;
  int64_t output;
  int64_t steps;
};

Scenario Alone(const Case& c, const std::string& more) {
  return ToyScenario(absl::StrCat(R"(
      workload { context_tokens: 1024 request_limit: 1 output_tokens: )",
                                  c.output, R"( }
      engine { simulated_s: 0 mtp { draft_tokens: )",
                                  c.drafts, " acceptance: ", c.acceptance, " } } ", more));
}

// The first step gives one token, for nothing is drafted yet; then 1 + accepted ones each. Clock of
// half a draft: 1, 3, 4, 6, 7, 9, 10, 12, 13.
TEST(MtpTest, StepsToAnEnd) {
  const Case cases[] = {
      {3, 1.0, 13, 4},   // 1 + 3 x 4
      {3, 1.0, 12, 4},   // the last step gives one more, which nobody takes
      {3, 1.0, 14, 5},   //
      {3, 0.0, 13, 13},  //
      {1, 0.5, 13, 9},   //
      {1, 1.0, 1, 1},    //
      {1, 1.0, 2001, 1001},
  };
  for (const Case& c : cases) {
    ToyRun run = RunToy(Alone(c, "policy { kind: FULL tau_steps: 100000 }"), nullptr);
    Counters& counters = run.outcome.counters;
    EXPECT_EQ(counters.steps, c.steps) << c.output;
    EXPECT_EQ(counters.output_tokens, c.output);
    EXPECT_EQ(counters.decode_tokens, c.output);
    EXPECT_EQ(counters.request_steps, c.steps);
    EXPECT_EQ(counters.latency_ns.values(), (std::vector<int64_t>{c.steps * 10'000'000}));
    EXPECT_TRUE(run.outcome.violations.empty());
    // Room for prompt, output and drafts; in use never more.
    EXPECT_EQ(run.outcome.peaks.tokens_reserved, 1024 + c.output + c.drafts);
    EXPECT_LE(run.outcome.peaks.tokens_in_use, 1024 + c.output + c.drafts);
  }
}

// Whole windows of a closed loop: tokens = request steps x (1 + accepted), but for each first step.
TEST(MtpTest, ThroughputIsStepsTimesTokens) {
  for (const double acceptance : {0.0, 1.0}) {
    const Scenario scenario = ToyScenario(absl::StrCat(R"(
        workload { context_tokens: 1024 output_tokens: 401 concurrency: 3 request_limit: 12 ramp_start: false }
        policy { kind: FULL tau_steps: 100000 }
        engine { simulated_s: 0 mtp { draft_tokens: 4 acceptance: )",
                                                       acceptance, " } }"));
    const Counters c = RunToy(scenario, nullptr).outcome.counters;
    const auto each = static_cast<int64_t>(1 + 4 * acceptance);
    EXPECT_EQ(c.output_tokens, 12 * 401);
    EXPECT_EQ(c.request_steps, 12 * (1 + 400 / each));
    EXPECT_EQ(c.output_tokens, 12 + (c.request_steps - 12) * each);
  }
}

// A page of 256 tokens fills after 1 + 64 steps of 4 tokens; the prompt is four pages.
TEST(MtpTest, PagesFillByTokens) {
  const std::string tiered = "policy { kind: LSA tau_steps: 16 level1: SYNC page_kmax: 1 } ";
  const std::string offset = "workload { attention { random_offset: false } } ";
  for (const int drafts : {0, 3}) {
    const Scenario scenario = Alone({drafts, 1.0, 801, 0}, tiered + offset);
    const std::vector<ToyWindow> windows(220, ToyWindow{{0}, {}});
    const WindowDemand demand = ToyDemand(scenario, 4, 4, windows);
    const ToyRun run = RunToy(scenario, &demand);
    EXPECT_TRUE(run.outcome.violations.empty());
    EXPECT_EQ(run.outcome.counters.steps, 1 + 800 / (1 + drafts));
    EXPECT_EQ(run.outcome.counters.pages_written_back, 3);  // 801 tokens fill three
    EXPECT_EQ(run.outcome.peaks.host_pages_in_use, 4 + 3);
  }
}

// Ticks are 8 steps apart, which are 32 tokens: the second one stands after token 32 and reads the
// ninth recorded tick. Pages change every 8 sub-windows of 4 tokens, so each tick asks for what the
// next 32 tokens select and nothing is missed; a tick that read the trace by steps would ask for
// the page before. 65 tokens: ticks after the 1st and 33rd, the end with the 65th.
TEST(MtpTest, TicksCountStepsAndReadTheTraceByTokens) {
  const Scenario scenario = Alone({3, 1.0, 65, 0},
                                  "policy { kind: LSA tau_steps: 8 level1: SYNC page_kmax: 1 } "
                                  "workload { attention { random_offset: false } }");
  std::vector<ToyWindow> windows(20);
  for (size_t w = 0; w < windows.size(); ++w) {
    windows[w].scored_pages = {static_cast<PageIndex>(w / 8)};
    windows[w].selections = {{static_cast<PageIndex>(w / 8), 1}};
  }
  const WindowDemand demand = ToyDemand(scenario, 4, 4, windows);
  const ToyRun run = RunToy(scenario, &demand);
  const Counters& c = run.outcome.counters;
  EXPECT_EQ(c.steps, 17);
  EXPECT_EQ(c.selections.all, 64 * 4);  // of 64 tokens, in quarters
  EXPECT_EQ(c.inactive.all, 0);
  EXPECT_EQ(c.evicted.all, 0);
  EXPECT_EQ(c.pages_wanted, 2 + 2);  // page 0, then page 1, each with the open one
  int jobs = 0;
  for (size_t at = run.diary.find("scored"); at != std::string::npos;
       at = run.diary.find("scored", at + 1)) {
    ++jobs;
  }
  EXPECT_EQ(jobs, 2);
}

// KV of a request is a mean over its steps: 1 + 3 tokens in two steps, with 1,024 and 1,025 tokens
// of history.
TEST(MtpTest, KvIsAMeanOverStepsAndNotTokens) {
  const auto value = [](int drafts, const char* name) {
    const absl::StatusOr<Simulation> run =
        Simulate(Alone({drafts, 1.0, 4, 0}, "policy { kind: FULL tau_steps: 100000 }"), {});
    EXPECT_TRUE(run.ok()) << run.status();
    return FindMetric(run->result, name)->value();
  };
  EXPECT_NEAR(value(3, "hbm_kv_gib_per_request"), 1024.5 * 3906.5 / (1 << 30), 1e-9);
  EXPECT_NEAR(value(0, "hbm_kv_gib_per_request"), 1025.5 * 3906.5 / (1 << 30), 1e-9);
  EXPECT_DOUBLE_EQ(value(3, "tokens_per_request_step"), 2.0);
  EXPECT_DOUBLE_EQ(value(0, "tokens_per_request_step"), 1.0);
}

// Without drafts a setting of acceptance 0 changes nothing but the room for them.
TEST(MtpTest, NothingAcceptedIsOneTokenAStep) {
  const Case off = {0, 0.0, 50, 0}, none = {4, 0.0, 50, 0};
  const std::string full = "policy { kind: FULL tau_steps: 100000 }";
  EXPECT_EQ(RunToy(Alone(off, full), nullptr).diary, RunToy(Alone(none, full), nullptr).diary);
}

}  // namespace
}  // namespace tierscope::testing

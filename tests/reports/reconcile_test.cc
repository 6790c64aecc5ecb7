// Synthetic phase tables with known answers: what is planted is found and named, and what a lazy
// reconciliation would let pass is not.
#include "reports/reconcile.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "reports/phase_join.h"
#include "reports/reconcile_text.h"

namespace tierscope {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr ReconcileBounds kBounds = {"test", 0.05, 0.10, 0.15, 0.02};

// Deterministic jitter of relative size `size`, mean near 0, another for every stream.
double Jitter(int64_t i, int64_t stream, double size) {
  uint64_t x = static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15u + static_cast<uint64_t>(stream) * 77;
  x ^= x >> 31, x *= 0xBF58476D1CE4E5B9u, x ^= x >> 29;
  return size * (static_cast<double>(x % 2001) / 1000.0 - 1.0);
}

struct Shape {
  int64_t steps = 64;
  double ballast = 1.0, attention = 1.0, score = 1.0;  // factors
  double noise = 0.0;                                  // relative, of every span alone
  int64_t stream = 0;
  int64_t publish_delay = 1;
  bool sync = true;
};

// 10 ms of ballast, 20 of attention that grows, 5 of scoring a step; a job every 8 steps.
std::vector<PhaseSpan> Log(const Shape& shape) {
  std::vector<PhaseSpan> spans;
  int64_t at = 0, draw = 0;
  const auto ns = [&](double ms, double factor) {
    return static_cast<int64_t>(ms * factor * kMs *
                                (1.0 + Jitter(draw++, shape.stream, shape.noise)));
  };
  for (int64_t step = 0; step < shape.steps; ++step) {
    const int64_t ballast = ns(10, shape.ballast);
    const int64_t attention = ns(20 + 0.1 * static_cast<double>(step), shape.attention);
    const int64_t score = ns(5, shape.score);
    const int64_t tick = step / 8;
    const bool ticks = step % 8 == 0 && step > 0;
    const int64_t wait = ticks && shape.sync ? 3 * kMs : 0;
    spans.push_back({step, -1, -1, Phase::kStep, at, wait + ballast + attention + score, 0, 40});
    if (wait > 0) spans.push_back({step, -1, -1, Phase::kWaitIndex, at, wait, 0, 0});
    spans.push_back({step, -1, -1, Phase::kBallast, at + wait, ballast, 0, 0});
    spans.push_back({step, -1, -1, Phase::kCsaAttention, at + wait, attention, 0, 0});
    spans.push_back({step, -1, -1, Phase::kNativeScore, at + wait, score, 0, 0});
    if (ticks) {
      const int64_t job = tick - 1;
      spans.push_back({step - 1, job, -1, Phase::kScore, at, ns(2, 1), 0, 0});
      spans.push_back({step - 1, job, -1, Phase::kSelect, at, ns(1, 1), 0, 12});
      spans.push_back({step - 1, job, -1, Phase::kRecall, at, ns(1, 1), 1000, 5});
      spans.push_back(
          {step - 1 + shape.publish_delay, job, -1, Phase::kPublish, at + 4 * kMs, 0, 0, 0});
    }
    at += wait + ballast + attention + score;
  }
  return spans;
}

ReconcileInput Input(const Shape& simulated, std::vector<Shape> repeats) {
  ReconcileInput input;
  input.name = "synthetic";
  input.simulated = {Log(simulated), "simulated/phases.csv"};
  int number = 0;
  for (const Shape& repeat : repeats) {
    input.repeats.push_back({Log(repeat), absl::StrCat("measured/phases-", number++, ".csv")});
  }
  input.replays = true;
  input.from_step = 8;
  input.bounds = kBounds;
  return input;
}

Reconciliation Joined(const ReconcileInput& input) {
  const absl::StatusOr<Reconciliation> result = Reconcile(input);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *result : Reconciliation();
}

std::vector<std::string> Broken(const Reconciliation& result) {
  std::vector<std::string> names;
  for (const Term& term : result.terms) {
    if (term.verdict == GapVerdict::kBroken) names.push_back(term.name);
  }
  return names;
}

Shape Noisy(double noise, int64_t stream) {
  Shape shape;
  shape.noise = noise;
  shape.stream = stream;
  return shape;
}

TEST(ReconcileTest, EqualTablesAgreeExactly) {
  const Reconciliation result = Joined(Input({}, {{}, {}}));
  EXPECT_TRUE(result.passed()) << result.Failures()[0];
  EXPECT_EQ(result.Find("step")->stats.pairs, 56);
  EXPECT_EQ(result.Find("step")->error, 0.0);
  EXPECT_NEAR(*result.Find("step")->stats.pearson, 1.0, 1e-12);
  EXPECT_EQ(result.Find("score")->stats.pairs, 6) << "the first of 7 is launched behind step 7";
  EXPECT_EQ(result.Find("ballast")->bound, std::nullopt);
  EXPECT_EQ(result.publish_delays.distance, 0.0);
}

// A bias of 25 % in one phase, hidden in the total: the step is 5 / 35 of it, 3.4 % off.
TEST(ReconcileTest, APlantedBiasIsNamed) {
  Shape simulated;
  simulated.score = 1.25;
  const Reconciliation result = Joined(Input(simulated, {Noisy(0.01, 1), Noisy(0.01, 2)}));
  EXPECT_EQ(Broken(result), std::vector<std::string>{"native_score"});
  EXPECT_NEAR(result.Find("native_score")->stats.bias_p50, 0.25, 0.01);
  EXPECT_LT(result.Find("step")->error, 0.05);
  EXPECT_FALSE(result.passed());
  EXPECT_TRUE(absl::StrContains(result.Failures()[0], "native_score")) << result.Failures()[0];
}

// 10 % of attention is 5.7 % of the step: the step, what is left without ballast, and nothing else.
TEST(ReconcileTest, TenPercentOfTheLargestPhase) {
  Shape simulated;
  simulated.attention = 1.1;
  const Reconciliation result = Joined(Input(simulated, {Noisy(0.005, 1), Noisy(0.005, 2)}));
  EXPECT_EQ(Broken(result), std::vector<std::string>{"step"});
  EXPECT_NEAR(result.Find("csa_attention")->error, 0.10, 0.01);
  EXPECT_NEAR(result.Find("step - ballast")->error, 0.08, 0.01);
}

// Totals that agree because two errors cancel.
TEST(ReconcileTest, ErrorsThatCancelAreFound) {
  Shape simulated;
  simulated.ballast = 0.6;
  simulated.score = 1.8;
  const Reconciliation result = Joined(Input(simulated, {{}}));
  EXPECT_EQ(result.Find("step")->error, 0.0);
  const std::vector<std::string> expected = {"step - ballast", "native_score"};
  EXPECT_EQ(Broken(result), expected);
}

// Errors of single steps that cancel over the run.
TEST(ReconcileTest, ErrorsThatCancelOverStepsAreFound) {
  ReconcileInput input = Input({}, {{}});
  for (PhaseSpan& span : input.simulated.spans) {
    if (span.tick < 0) span.duration_ns = span.duration_ns * (span.step % 2 == 0 ? 120 : 80) / 100;
  }
  const Reconciliation result = Joined(input);
  EXPECT_LT(result.Find("step")->stats.error_of_sums(), 0.03);
  EXPECT_NEAR(result.Find("step")->error, 0.2, 1e-6);
  EXPECT_FALSE(result.passed());
}

TEST(ReconcileTest, RowsMayStandInAnyOrder) {
  ReconcileInput input = Input({}, {Noisy(0.02, 3)});
  const Reconciliation before = Joined(input);
  std::reverse(input.simulated.spans.begin(), input.simulated.spans.end());
  std::rotate(input.repeats[0].spans.begin(), input.repeats[0].spans.begin() + 17,
              input.repeats[0].spans.end());
  const Reconciliation after = Joined(input);
  EXPECT_EQ(ReconcileJson(before, {}), ReconcileJson(after, {}));
}

TEST(ReconcileTest, StepsOutOfOrderAreRefused) {
  ReconcileInput input = Input({}, {{}});
  for (PhaseSpan& span : input.repeats[0].spans) {
    if (span.tick >= 0) continue;
    if (span.step == 20 || span.step == 21) span.step = 41 - span.step;
  }
  const absl::Status status = Reconcile(input).status();
  EXPECT_TRUE(absl::StrContains(status.message(), "measured/phases-0.csv: step 21 begins"))
      << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "out of order")) << status;
}

TEST(ReconcileTest, MissingAndRepeatedStepsAreRefused) {
  ReconcileInput input = Input({}, {{}});
  std::vector<PhaseSpan>& spans = input.simulated.spans;
  const std::vector<PhaseSpan> whole = spans;
  std::erase_if(spans, [](const PhaseSpan& s) { return s.phase == Phase::kStep && s.step == 9; });
  EXPECT_TRUE(absl::StrContains(Reconcile(input).status().message(), "step 9 is missing"));
  spans = whole;
  spans.push_back(whole[0]);
  EXPECT_TRUE(absl::StrContains(Reconcile(input).status().message(), "is there twice"));
  spans = whole;
  spans[1].step = 1000;
  EXPECT_FALSE(Reconcile(input).ok());
  spans.clear();
  EXPECT_TRUE(absl::StrContains(Reconcile(input).status().message(), "no span of phase step"));
  spans = whole;
  input.from_step = 64;
  EXPECT_TRUE(absl::StrContains(Reconcile(input).status().message(), "nothing to compare"));
}

// Jitter of 30 %: a phase whose gap is no larger is called so and does not fail.
TEST(ReconcileTest, AGapInsideTheNoiseIsCalledSo) {
  ReconcileInput input = Input({}, {Noisy(0.0, 1), Noisy(0.0, 2), Noisy(0.0, 3)});
  int64_t stream = 0;
  const auto shake = [&](std::vector<PhaseSpan>& spans) {
    ++stream;
    for (PhaseSpan& span : spans) {
      if (span.phase != Phase::kNativeScore) continue;
      const double factor = 1.0 + Jitter(span.step, stream, 0.5);
      span.duration_ns = static_cast<int64_t>(static_cast<double>(span.duration_ns) * factor);
    }
  };
  for (RunPhases& repeat : input.repeats) shake(repeat.spans);
  const Reconciliation result = Joined(input);
  const Term& score = *result.Find("native_score");
  EXPECT_GT(score.error, kBounds.phase);
  EXPECT_GT(score.noise_error, score.error);
  EXPECT_EQ(score.verdict, GapVerdict::kInsideNoise);
  EXPECT_TRUE(result.passed());

  // The same jitter does not hide a bias of the phase.
  for (PhaseSpan& span : input.simulated.spans) {
    if (span.phase == Phase::kNativeScore) span.duration_ns = span.duration_ns * 130 / 100;
  }
  const Reconciliation biased = Joined(input);
  EXPECT_EQ(biased.Find("native_score")->verdict, GapVerdict::kBroken);
}

// A machine so noisy that steps repeat to 40 % has shown nothing, and the step's bound stays
// broken.
TEST(ReconcileTest, ANoisyMachineDoesNotPass) {
  const Reconciliation result = Joined(Input({}, {Noisy(0.8, 1), Noisy(0.8, 2)}));
  EXPECT_GT(result.Find("step")->noise_error, kBounds.step);
  EXPECT_EQ(result.Find("step")->verdict, GapVerdict::kBroken);
  EXPECT_FALSE(result.passed());
}

TEST(ReconcileTest, CountsOfAReplayAreEqualOrTheFirstDifferenceIsNamed) {
  ReconcileInput input = Input({}, {{}});
  for (PhaseSpan& span : input.repeats[0].spans) {
    if (span.phase == Phase::kRecall && span.tick == 3) span.pages = 6;
    if (span.phase == Phase::kSelect && span.tick == 4) span.pages = 11;
    if (span.phase == Phase::kSelect && span.tick == 5) span.pages = 13;  // sums agree
  }
  input.simulated_counts = {{"miss_inactive", 10}, {"only_here", 1}};
  input.measured_counts = {{"miss_inactive", 11}};
  const Reconciliation result = Joined(input);
  std::string failures;
  for (const std::string& failure : result.Failures()) absl::StrAppend(&failures, failure, "\n");
  EXPECT_EQ(failures,
            "pages wanted, job by job: 84 simulated, 84 measured; first at tick 4: 12 simulated, "
            "11 measured\n"
            "pages recalled, job by job: 35 simulated, 36 measured; first at tick 3: 5 simulated, "
            "6 measured\n"
            "miss_inactive: 10 simulated, 11 measured\n");
  input.replays = false;
  EXPECT_TRUE(Joined(input).passed());
}

// Jobs of one side only, and a measured run that is shorter.
TEST(ReconcileTest, DifferentLengthsAreDifferences) {
  Shape shorter;
  shorter.steps = 56;
  const Reconciliation result = Joined(Input({}, {shorter}));
  EXPECT_FALSE(result.passed());
  EXPECT_TRUE(absl::StrContains(result.Failures()[0], "steps: 64 simulated, 56 measured"));
}

TEST(ReconcileTest, PublishDelaysOfAsynchronousRuns) {
  Shape simulated, measured;
  measured.publish_delay = 3;
  simulated.sync = measured.sync = false;
  ReconcileInput input = Input(simulated, {measured});
  input.replays = false;
  const Reconciliation result = Joined(input);
  EXPECT_EQ(result.publish_delays.simulated, (std::vector<int64_t>{7, 0, 0}));
  EXPECT_EQ(result.publish_delays.measured, (std::vector<int64_t>{0, 0, 7}));
  EXPECT_EQ(result.publish_delays.distance, 1.0);
}

// A wait that the prediction has in other steps than the machine: judged by its sum.
TEST(ReconcileTest, WaitsAreJudgedBySums) {
  Shape async;
  async.sync = false;
  ReconcileInput input = Input({}, {async});
  input.replays = false;
  const Reconciliation result = Joined(input);
  const Term& wait = *result.Find("wait.index");
  EXPECT_TRUE(wait.error_of_sums);
  EXPECT_TRUE(std::isinf(wait.error));
  EXPECT_FALSE(absl::StrContains(ReconcileJson(result, {}), "inf"));
}

TEST(ReconcileTest, RepeatsOfAReplayMustMoveTheSamePages) {
  ReconcileInput input = Input({}, {{}, {}});
  for (PhaseSpan& span : input.repeats[1].spans) {
    if (span.phase == Phase::kRecall) span.pages += 1;
  }
  EXPECT_TRUE(absl::StrContains(Reconcile(input).status().message(), "repeat 1 moved other pages"));
}

TEST(FingerprintTest, TheFieldThatDiffersIsNamed) {
  const Fingerprint run = {{"policy.page_kmax", "12"}, {"attention trace", "abcd"}};
  EXPECT_TRUE(CheckSameFingerprint(run, run).ok());
  Fingerprint other = {{"attention trace", "abcd"}, {"policy.page_kmax", "12"}};
  EXPECT_TRUE(CheckSameFingerprint(run, other).ok()) << "order does not matter";
  other[1].second = "24";
  EXPECT_EQ(
      CheckSameFingerprint(run, other).message(),
      "policy.page_kmax: the simulated run has '12', the measured one '24'; reconcile runs of "
      "one scenario, profile and trace");
  EXPECT_EQ(CheckSameFingerprint(run, {{"policy.page_kmax", "12"}}).message(),
            "attention trace: the simulated run has 'abcd', the measured one not given; reconcile "
            "runs of one scenario, profile and trace");
}

TEST(ReconcileTest, BoundsOfEveryBackendThatIs) {
  ASSERT_NE(FindReconcileBounds("cpu"), nullptr);
  EXPECT_EQ(FindReconcileBounds("cpu")->step, 0.05);
  EXPECT_EQ(FindReconcileBounds("cpu")->step_less_ballast, 0.10);
  EXPECT_EQ(FindReconcileBounds("abacus"), nullptr);
}

TEST(ReconcileTextTest, HostileNamesStayInTheirPlace) {
  ReconcileInput input = Input({}, {{}});
  input.name = "a|b\n\x1b[31m";
  input.flags = {"x\n| y"};
  const Reconciliation result = Joined(input);
  const Provenance provenance = {{"device", "evil\n# heading"}};
  EXPECT_FALSE(absl::StrContains(ReconcileTable(result, provenance), "\x1b"));
  EXPECT_FALSE(absl::StrContains(ReconcileMarkdown(result, provenance), "\n# heading"));
  ReconcileSuite suite;
  suite.scenarios = {result};
  EXPECT_TRUE(absl::StrContains(SuiteMarkdown(suite, provenance), "a\\|b"));
  EXPECT_TRUE(suite.passed());
}

}  // namespace
}  // namespace tierscope

// Verdicts, waivers, fingerprints: what fails, what passes, what is refused.
#include <cmath>
#include <limits>

#include "gtest/gtest.h"

#include "reports/compare/rows.h"
#include "tests/reports/compare_sides.h"

namespace tierscope::testing {
namespace {

Gates GatesOf(const std::string& text) {
  absl::StatusOr<Gates> gates = ParseGates(text, "g.txtpb");
  EXPECT_TRUE(gates.ok()) << gates.status();
  return *std::move(gates);
}

// One scenario "s" with one metric on either side.
Comparison OfOne(const std::string& metric, double base, double next,
                 const std::string& gates = "") {
  CompareOptions options;
  options.today = "2026-11-22";
  if (!gates.empty()) options.gates = GatesOf(gates);
  absl::StatusOr<Comparison> comparison =
      Compare(SideOf({SimulatedRuns("s", {{metric, base}})}),
              SideOf({SimulatedRuns("s", {{metric, next}})}), options);
  EXPECT_TRUE(comparison.ok()) << comparison.status();
  return *std::move(comparison);
}

TEST(CompareVerdictsTest, SimulatedDifferencesAreExact) {
  const double base = 690.4448564794044;
  EXPECT_TRUE(OfOne("throughput_tok_per_s", base, base).passes);
  const Comparison percent = OfOne("throughput_tok_per_s", base, base * 0.99);
  EXPECT_FALSE(percent.passes);
  EXPECT_EQ(percent.metrics[0].verdict, Verdict::kRegressed);
  // One unit in the last place, which no rounded text shows.
  const Comparison last = OfOne("throughput_tok_per_s", base, std::nextafter(base, 0));
  EXPECT_FALSE(last.passes);
  EXPECT_EQ(last.metrics[0].verdict, Verdict::kRegressed);
  EXPECT_NE(CellsOf(last.metrics[0]).base, CellsOf(last.metrics[0]).next);
  EXPECT_NE(CellsOf(last.metrics[0]).change, "0");
}

TEST(CompareVerdictsTest, DirectionDecidesWhatIsWorse) {
  EXPECT_EQ(OfOne("coverage", 0.8, 0.9).metrics[0].verdict, Verdict::kImproved);
  EXPECT_EQ(OfOne("coverage", 0.9, 0.8).metrics[0].verdict, Verdict::kRegressed);
  EXPECT_EQ(OfOne("step_ms_p99", 0.8, 0.9).metrics[0].verdict, Verdict::kRegressed);
  EXPECT_EQ(OfOne("step_ms_p99", 0.9, 0.8).metrics[0].verdict, Verdict::kImproved);
  EXPECT_TRUE(OfOne("step_ms_p99", 0.9, 0.8).passes);
  EXPECT_EQ(OfOne("stall_ms_total", 0, 1).metrics[0].verdict, Verdict::kRegressed);
  // Neither way is better: a change fails, and a gate can say which way is.
  const Comparison steps = OfOne("steps", 100, 101);
  EXPECT_EQ(steps.metrics[0].verdict, Verdict::kChanged);
  EXPECT_FALSE(steps.passes);
  EXPECT_TRUE(OfOne("steps", 100, 101, "gate { metric: 'steps' direction: HIGHER_BETTER }").passes);
  // And that no way is.
  EXPECT_FALSE(OfOne("coverage", 0.8, 0.9, "gate { metric: '*' direction: EXACT }").passes);
}

TEST(CompareVerdictsTest, TolerancesAcceptAndStillList) {
  const std::string relative = "gate { metric: 'coverage' tolerance_relative: 0.01 }";
  EXPECT_TRUE(OfOne("coverage", 0.5, 0.496, relative).passes);
  EXPECT_FALSE(OfOne("coverage", 0.5, 0.4949, relative).passes);
  EXPECT_FALSE(IsDull(OfOne("coverage", 0.5, 0.496, relative).metrics[0]));
  const std::string absolute = "gate { metric: 'stall_ms_total' tolerance_absolute: 2 }";
  EXPECT_TRUE(OfOne("stall_ms_total", 0, 2, absolute).passes);
  EXPECT_FALSE(OfOne("stall_ms_total", 0, 2.01, absolute).passes);
  const Comparison warned =
      OfOne("coverage", 0.5, 0.1, "gate { metric: 'coverage' severity: WARN }");
  EXPECT_TRUE(warned.passes);
  EXPECT_EQ(warned.metrics[0].verdict, Verdict::kRegressed);
}

TEST(CompareVerdictsTest, MissingFailsAndNewPasses) {
  const RunSet two = SideOf({SimulatedRuns("s", {{"steps", 1}, {"coverage", 1}})});
  const RunSet one = SideOf({SimulatedRuns("s", {{"steps", 1}})});
  const absl::StatusOr<Comparison> lost = Compare(two, one, {});
  ASSERT_TRUE(lost.ok());
  EXPECT_FALSE(lost->passes);
  EXPECT_EQ(MetricIn(*lost, "coverage").verdict, Verdict::kMissing);
  const absl::StatusOr<Comparison> gained = Compare(one, two, {});
  ASSERT_TRUE(gained.ok());
  EXPECT_TRUE(gained->passes);
  EXPECT_EQ(MetricIn(*gained, "coverage").verdict, Verdict::kNew);
}

TEST(CompareVerdictsTest, AbsentValuesAreMissingWhereTheBaseHadOne) {
  RunSet with = SideOf({SimulatedRuns("s", {{"coverage", 1}})});
  RunSet without = with;
  without.scenarios[0].metrics[0].values.clear();
  without.scenarios[0].metrics[0].absent = "no trace";
  const absl::StatusOr<Comparison> lost = Compare(with, without, {});
  ASSERT_TRUE(lost.ok());
  EXPECT_FALSE(lost->passes);
  EXPECT_EQ(lost->metrics[0].verdict, Verdict::kMissing);
  EXPECT_EQ(lost->metrics[0].why, "no trace");
  EXPECT_EQ(Compare(without, with, {})->metrics[0].verdict, Verdict::kNew);
  EXPECT_EQ(Compare(without, without, {})->metrics[0].verdict, Verdict::kSame);
  // Missing is no matter of direction: it fails where nothing else would, and WARN alone lets it
  // by.
  CompareOptions options;
  options.gates = GatesOf("gate { metric: 'coverage' tolerance_relative: 1e9 }");
  EXPECT_FALSE(Compare(with, without, options)->passes);
}

TEST(CompareVerdictsTest, AnotherUnitIsAChange) {
  const RunSet base = SideOf({SimulatedRuns("s", {{"coverage", 1}})});
  RunSet next = base;
  next.scenarios[0].metrics[0].unit = "percent";
  EXPECT_EQ(Compare(base, next, {})->metrics[0].verdict, Verdict::kChanged);
  EXPECT_FALSE(Compare(base, next, {})->passes);
}

TEST(CompareVerdictsTest, WaiversHoldForTheirMetricScenarioAndTime) {
  const std::string waiver =
      "waiver { metric: 'coverage' scenario: 's' reason: 'known' expires: '2026-11-22' }";
  const Comparison waived = OfOne("coverage", 0.9, 0.8, waiver);
  EXPECT_TRUE(waived.passes);
  EXPECT_EQ(waived.metrics[0].verdict, Verdict::kRegressed);
  EXPECT_EQ(waived.metrics[0].waiver, "known (until 2026-11-22)");
  EXPECT_FALSE(OfOne("coverage_prompt", 0.9, 0.8, waiver).passes);
  const std::string other =
      "waiver { metric: 'coverage' scenario: 'other' reason: 'known' expires: '2026-11-22' }";
  EXPECT_FALSE(OfOne("coverage", 0.9, 0.8, other).passes);
}

TEST(CompareVerdictsTest, AnExpiredWaiverFailsByItself) {
  const std::string waiver =
      "waiver { metric: 'coverage' scenario: '*' reason: 'known' expires: '2026-11-21' }";
  const Comparison regressed = OfOne("coverage", 0.9, 0.8, waiver);
  EXPECT_TRUE(regressed.metrics[0].fails);
  const Comparison same = OfOne("coverage", 0.9, 0.9, waiver);
  EXPECT_FALSE(same.passes);
  ASSERT_EQ(same.problems.size(), 1u);
  EXPECT_EQ(same.problems[0].what,
            "g.txtpb:1:1: the waiver of coverage in * expired on 2026-11-21 (known); remove it or "
            "renew it");
}

TEST(CompareVerdictsTest, ScenariosMissingAndNew) {
  const RunSet both =
      SideOf({SimulatedRuns("a", {{"steps", 1}}), SimulatedRuns("b", {{"steps", 2}})});
  const RunSet one = SideOf({SimulatedRuns("a", {{"steps", 1}})});
  const absl::StatusOr<Comparison> lost = Compare(both, one, {});
  ASSERT_TRUE(lost.ok());
  EXPECT_FALSE(lost->passes);
  ASSERT_EQ(lost->problems.size(), 1u);
  EXPECT_EQ(lost->problems[0].scenario, "b");
  const absl::StatusOr<Comparison> gained = Compare(one, both, {});
  EXPECT_TRUE(gained->passes);
  EXPECT_EQ(gained->notes.size(), 1u);
  const absl::Status none =
      Compare(one, SideOf({SimulatedRuns("b", {{"steps", 2}})}, "other"), {}).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(none));
  EXPECT_EQ(none.message(),
            "no common scenario: side has 'a', other has 'b'; scenarios are paired by name");
}

TEST(CompareVerdictsTest, ABrokenInvariantFails) {
  const RunSet good = SideOf({SimulatedRuns("s", {{"steps", 1}})});
  RunSet broken = good;
  broken.scenarios[0].identity.add_violations()->set_what("bytes lost");
  EXPECT_FALSE(Compare(good, broken, {})->passes);
  EXPECT_FALSE(Compare(broken, good, {})->passes);
}

TEST(CompareVerdictsTest, EventsThatDifferUnderEqualMetricsAreNoted) {
  const RunSet base = SideOf({SimulatedRuns("s", {{"steps", 1}})});
  RunSet next = base;
  next.scenarios[0].identity.set_event_digest("e1");
  const absl::StatusOr<Comparison> comparison = Compare(base, next, {});
  EXPECT_TRUE(comparison->passes);
  EXPECT_EQ(comparison->notes.size(), 1u);
}

TEST(CompareFingerprintTest, EachDifferenceIsRefusedByNameUnlessTold) {
  const RunSet base = SideOf({SimulatedRuns("s", {{"steps", 1}})});
  struct {
    FingerprintGroup group;
    std::string says;
    void (*change)(ScenarioRuns&);
  } cases[] = {
      {FingerprintGroup::kScenario, "scenario 's' differs in scenario_digest ('d0' / 'd1')",
       [](ScenarioRuns& runs) { runs.identity.set_scenario_digest("d1"); }},
      {FingerprintGroup::kTrace,
       "differs in attention trace ('attention trace name (t0)' / 'attention trace name (t1)')",
       [](ScenarioRuns& runs) { runs.identity.mutable_inputs(0)->set_digest("t1"); }},
      {FingerprintGroup::kModel, "differs in model ('model name (m0)' / 'model name (m1)')",
       [](ScenarioRuns& runs) { runs.identity.mutable_inputs(1)->set_digest("m1"); }},
      {FingerprintGroup::kDevice, "differs in device ('device name (g0)' / none)",
       [](ScenarioRuns& runs) { runs.identity.mutable_inputs()->RemoveLast(); }}};
  for (const auto& one : cases) {
    RunSet next = base;
    one.change(next.scenarios[0]);
    const absl::Status refused = Compare(base, next, {}).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << one.says;
    EXPECT_NE(refused.message().find(one.says), absl::string_view::npos) << refused;
    const std::string told = "--across=" + std::string(GroupName(one.group));
    EXPECT_NE(refused.message().find(told), absl::string_view::npos) << refused;
    CompareOptions options;
    options.across = {one.group};
    EXPECT_TRUE(Compare(base, next, options).ok()) << one.says;
    options.across = {FingerprintGroup::kScenario, FingerprintGroup::kTrace,
                      FingerprintGroup::kModel, FingerprintGroup::kDevice};
    options.across.erase(one.group);
    EXPECT_FALSE(Compare(base, next, options).ok()) << one.says;
  }
}

TEST(CompareFingerprintTest, ASimulatedAndAMeasuredRunAreNeverCompared) {
  const RunSet base = SideOf({SimulatedRuns("s", {{"steps", 1}})});
  RunSet next = base;
  next.scenarios[0].identity.set_kind("measured");
  CompareOptions options;
  options.across = {FingerprintGroup::kScenario, FingerprintGroup::kTrace, FingerprintGroup::kModel,
                    FingerprintGroup::kDevice, FingerprintGroup::kKind};
  const absl::Status refused = Compare(base, next, options).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_NE(refused.message().find("kind ('simulated' / 'measured')"), absl::string_view::npos);
}

// With both scenario.txtpb there, the fields are named, and grouped by what they describe.
TEST(CompareFingerprintTest, FieldsOfTheScenarioAreNamed) {
  RunSet base = SideOf({SimulatedRuns("s", {{"steps", 1}})});
  RunSet next = base;
  next.scenarios[0].identity.set_scenario_digest("d1");
  base.scenarios[0].scenario_text =
      "name: 'a' workload { trace: '/x' } policy { tau_steps: 64 } model { csa_layers: 40 }";
  next.scenarios[0].scenario_text =
      "name: 'b' workload { trace: '/y' } policy { tau_steps: 128 } model { csa_layers: 40 }";
  const auto differences = CompareFingerprints(base.scenarios[0], next.scenarios[0]);
  ASSERT_EQ(differences.size(), 1u);
  EXPECT_EQ(differences[0].field, "policy.tau_steps");
  EXPECT_EQ(differences[0].base, "64");
  EXPECT_EQ(differences[0].next, "128");
  EXPECT_EQ(differences[0].group, FingerprintGroup::kScenario);
  next.scenarios[0].scenario_text =
      "name: 'b' policy { tau_steps: 64 } model { csa_layers: 41 } hardware { hbm_bytes: 5 }";
  const auto others = CompareFingerprints(base.scenarios[0], next.scenarios[0]);
  ASSERT_EQ(others.size(), 2u);
  EXPECT_EQ(others[0].group, FingerprintGroup::kModel);
  EXPECT_EQ(others[1].group, FingerprintGroup::kDevice);
  // A text that cannot be read names no field, and the digests still differ.
  next.scenarios[0].scenario_text = "no scenario";
  EXPECT_EQ(CompareFingerprints(base.scenarios[0], next.scenarios[0])[0].field, "scenario_digest");
}

TEST(CompareFingerprintTest, TheHostCountsForWhatWasMeasured) {
  RunSet base = SideOf({SimulatedRuns("s", {{"steps", 1}})});
  base.scenarios[0].cpu = "one";
  RunSet next = base;
  next.scenarios[0].cpu = "other";
  EXPECT_TRUE(Compare(base, next, {}).ok());
  for (RunSet* side : {&base, &next}) {
    side->scenarios[0].metrics.push_back({"sim_wall_s", "s", true, {1.0}, ""});
  }
  const absl::Status refused = Compare(base, next, {}).status();
  EXPECT_NE(refused.message().find("host.cpu ('one' / 'other')"), absl::string_view::npos);
  CompareOptions options;
  options.across = {FingerprintGroup::kDevice};
  EXPECT_TRUE(Compare(base, next, options).ok());
}

TEST(CompareFingerprintTest, AcrossScenariosTwoSingleRunsArePaired) {
  const RunSet base = SideOf({SimulatedRuns("a", {{"steps", 1}})});
  const RunSet next = SideOf({SimulatedRuns("b", {{"steps", 2}})});
  CompareOptions options;
  EXPECT_FALSE(Compare(base, next, options).ok());
  options.across = {FingerprintGroup::kScenario};
  ASSERT_TRUE(Compare(base, next, options).ok());
  EXPECT_EQ(Compare(base, next, options)->metrics[0].verdict, Verdict::kChanged);
}

}  // namespace
}  // namespace tierscope::testing

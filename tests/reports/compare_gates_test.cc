#include <set>

#include "gtest/gtest.h"

#include "reports/compare/gates.h"
#include "reports/schema/metrics.h"

namespace tierscope {
namespace {

std::string ErrorOf(const std::string& text) {
  const absl::StatusOr<Gates> gates = ParseGates(text, "g.txtpb");
  return gates.ok() ? "" : std::string(gates.status().message());
}

TEST(CompareGatesTest, TheLastRuleThatSetsAFieldHolds) {
  const absl::StatusOr<Gates> gates = ParseGates(
      "gate { metric: '*' tolerance_relative: 0.1 severity: WARN }\n"
      "gate { metric: 'step_ms_*' direction: EXACT severity: FAIL }\n"
      "gate { metric: 'step_ms_p99' tolerance_relative: 0 tolerance_absolute: 2 effect_min: 0.5 "
      "ambiguous_fails: true }\n",
      "g.txtpb");
  ASSERT_TRUE(gates.ok()) << gates.status();
  const MetricGate p99 = GateOf(*gates, "step_ms_p99");
  EXPECT_EQ(p99.direction, Direction::kNone);
  EXPECT_EQ(p99.tolerance_relative, 0);
  EXPECT_EQ(p99.tolerance_absolute, 2);
  EXPECT_EQ(p99.effect_min, 0.5);
  EXPECT_TRUE(p99.fails);
  EXPECT_TRUE(p99.ambiguous_fails);
  const MetricGate p50 = GateOf(*gates, "step_ms_p50");
  EXPECT_EQ(p50.tolerance_relative, 0.1);
  EXPECT_EQ(p50.effect_min, 0.015);
  const MetricGate coverage = GateOf(*gates, "coverage");
  EXPECT_EQ(coverage.direction, Direction::kHigherBetter);
  EXPECT_FALSE(coverage.fails);
}

TEST(CompareGatesTest, WithoutRulesEverythingFailsExactly) {
  const MetricGate gate = GateOf(Gates(), "steps");
  EXPECT_EQ(gate.direction, Direction::kNone);
  EXPECT_EQ(gate.tolerance_relative, 0);
  EXPECT_EQ(gate.tolerance_absolute, 0);
  EXPECT_TRUE(gate.fails);
}

TEST(CompareGatesTest, RefusesWhatMeansNothing) {
  EXPECT_EQ(ErrorOf("gate { }"), "g.txtpb:1:1: no metric; give a name, or a prefix and '*'");
  EXPECT_EQ(ErrorOf("\n gate { metric: 'a*b' }"),
            "g.txtpb:2:2: metric 'a*b' has a '*' that is not its last character");
  EXPECT_EQ(ErrorOf("gate { metric: 'a' tolerance_relative: -0.1 }"),
            "g.txtpb:1:1: tolerance_relative is -0.1; give a number from 0 on");
  EXPECT_NE(ErrorOf("gate { metric: 'a' tolerance_absolute: nan }"), "");
  EXPECT_NE(ErrorOf("gate { metric: 'a' effect_min: inf }"), "");
  EXPECT_NE(ErrorOf("gate { metric: 'a' direction: SIDEWAYS }"), "");
  EXPECT_NE(ErrorOf("gate { metrics: 'a' }"), "");
  const std::string waiver = "waiver { metric: 'a' scenario: 's' ";
  EXPECT_EQ(ErrorOf(waiver + "expires: '2030-01-01' }"),
            "g.txtpb:1:1: the waiver has no reason; say why the failure is accepted");
  EXPECT_EQ(ErrorOf(waiver + "reason: 'r' }"),
            "g.txtpb:1:1: expires '' is no date; give the last day as YYYY-MM-DD");
  EXPECT_NE(ErrorOf(waiver + "reason: 'r' expires: '2026-02-29' }"), "");
  EXPECT_NE(ErrorOf("waiver { metric: 'a' reason: 'r' expires: '2030-01-01' }"), "");
  EXPECT_EQ(ErrorOf(waiver + "reason: 'r' expires: '2028-02-29' }"), "");
}

TEST(CompareGatesTest, Dates) {
  for (const char* good : {"2026-11-22", "2000-02-29", "9999-12-31"}) EXPECT_TRUE(IsDate(good));
  for (const char* bad : {"", "2026-1-02", "2026-13-01", "2026-00-10", "2026-04-31", "1900-02-29",
                          "2026/11/22", "2026-11-22 ", "+026-11-22", "2026-11-2x"}) {
    EXPECT_FALSE(IsDate(bad)) << bad;
  }
}

TEST(CompareGatesTest, UnknownMetricsAreNamedWithTheirPlace) {
  const absl::StatusOr<Gates> gates = ParseGates(
      "gate { metric: 'coverage' }\ngate { metric: 'sim_wall_s' }\ngate { metric: 'own' }\n"
      "gate { metric: 'coverge' }",
      "g.txtpb");
  ASSERT_TRUE(gates.ok());
  EXPECT_EQ(CheckMetricsKnown(*gates, {"own"}).message(),
            "g.txtpb:4:1: a gate on the unknown metric 'coverge'; reports/schema/README.md lists "
            "them");
  const absl::StatusOr<Gates> waivers = ParseGates(
      "waiver { metric: 'nothing_*' scenario: '*' reason: 'r' expires: '2030-01-01' }", "g.txtpb");
  ASSERT_TRUE(waivers.ok());
  EXPECT_EQ(CheckMetricsKnown(*waivers, {}).message(),
            "g.txtpb:1:1: a waiver of the unknown metric 'nothing_*'; reports/schema/README.md "
            "lists them");
}

// Each metric's direction, once more and by hand: a metric that is added must be decided here.
TEST(CompareDirectionTest, EveryMetricIsDecided) {
  const std::set<std::string> without = {"simulated_s",
                                         "warmup_s",
                                         "decode_s",
                                         "steps",
                                         "output_tokens",
                                         "concurrency_mean",
                                         "indexer_kept_fraction",
                                         "selections",
                                         "pages_written_back",
                                         "pages_written_back_node",
                                         "prefix_load_gib",
                                         "prefix_store_gib_peak",
                                         "prefix_fetch_gib.nvme",
                                         "prefix_fetch_gib.remote",
                                         "prefix_nvme_gib_peak",
                                         "prefix_remote_gib_peak"};
  std::set<std::string> found;
  for (const MetricDef& def : MetricDefinitions()) {
    if (DirectionOf(def.name) == Direction::kNone) found.insert(std::string(def.name));
  }
  EXPECT_EQ(found, without) << "decide in reports/schema/direction.cc, or add it to this list";
  EXPECT_EQ(DirectionOf("throughput_tok_per_s"), Direction::kHigherBetter);
  EXPECT_EQ(DirectionOf("coverage"), Direction::kHigherBetter);
  EXPECT_EQ(DirectionOf("goodput_req_per_s"), Direction::kHigherBetter);
  EXPECT_EQ(DirectionOf("step_ms_p99"), Direction::kLowerBetter);
  EXPECT_EQ(DirectionOf("stall_ms_by_cause.queue"), Direction::kLowerBetter);
  EXPECT_EQ(DirectionOf("hbm_total_gib_peak"), Direction::kLowerBetter);
  EXPECT_EQ(DirectionOf("sim_wall_s"), Direction::kLowerBetter);
  EXPECT_EQ(DirectionOf("sim_speedup"), Direction::kHigherBetter);
  EXPECT_EQ(DirectionOf("something_new"), Direction::kNone);
}

}  // namespace
}  // namespace tierscope

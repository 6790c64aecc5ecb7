// Predictions of today against measurements that are committed under reports/measured: no machine
// has to repeat them, and a change of the simulator that moves them away from what was measured
// fails here. Timings of this machine are not looked at.
#include <cmath>
#include <filesystem>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "simdjson.h"

#include "reports/phase_join.h"
#include "reports/reconcile.h"
#include "tests/testing/command.h"

namespace tierscope::testing {
namespace {

const std::string kRoot = TIERSCOPE_SOURCE_DIR;
const std::string kScenarios = kRoot + "/scenarios/";

std::string SetsOf(const std::string& name) {
  std::ifstream suite(kScenarios + "reconcile_cpu.txt");
  for (std::string line; std::getline(suite, line);) {
    if (absl::StartsWith(line, name + " ")) return line.substr(line.rfind(' ') + 1);
  }
  return "";
}

// Median of the steps that a reconciliation looks at, in nanoseconds; 0 and a failure without them.
struct Medians {
  double step_ns = 0.0;
  double rest_ns = 0.0;  // without ballast
};
Medians Simulated(const std::string& sets, const std::string& profile, int64_t from_step) {
  const TempFolder folder;
  const CommandOutput output = RunTierscope(absl::StrCat(
      "run ", kScenarios, "reconcile_cpu.txtpb --phases --set ", sets, ",hardware.preset=", profile,
      ",engine.executed_ranks=1 --out ", folder.File("run")));
  EXPECT_EQ(output.exit_code, 0) << output.err;
  const auto spans = ReadPhaseLog(folder.File("run/phases.csv"));
  if (!spans.ok()) return {};
  const auto table = TabulatePhases(*spans, "phases.csv");
  if (!table.ok()) return {};
  std::vector<double> steps, rests;
  for (auto i = static_cast<size_t>(from_step); i < table->steps.size(); ++i) {
    const auto& ns = table->steps[i].ns;
    steps.push_back(static_cast<double>(ns[static_cast<size_t>(Phase::kStep)]));
    rests.push_back(steps.back() - static_cast<double>(ns[static_cast<size_t>(Phase::kBallast)]));
  }
  return {NearestRank(steps, 0.5), NearestRank(rests, 0.5)};
}

double MeasuredMedian(const simdjson::dom::element& scenario, std::string_view term) {
  for (const simdjson::dom::element element : scenario["terms"].get_array()) {
    if (std::string_view(element["term"]) != term) continue;
    return double(element["stats"]["measured_median_ns"]);
  }
  ADD_FAILURE() << "no term " << term;
  return 1.0;
}

// Folders of devices that were reconciled on a backend.
std::vector<std::string> Measured(const std::string& backend) {
  std::vector<std::string> folders;
  std::error_code ignored;  // no folder: nothing is measured
  for (const auto& entry :
       std::filesystem::directory_iterator(kRoot + "/reports/measured", ignored)) {
    const std::string folder = entry.path().string() + "/reconcile_" + backend;
    if (std::filesystem::exists(folder + "/summary.json")) folders.push_back(folder);
  }
  return folders;
}

void ExpectWithin(const std::string& folder, const ReconcileBounds& bounds) {
  simdjson::dom::parser parser;
  const simdjson::dom::element summary = parser.load(folder + "/summary.json");
  int held = 0;
  for (const simdjson::dom::element scenario : summary["scenarios"].get_array()) {
    const std::string_view name_text = scenario["scenario"];
    const std::string name(name_text);
    SCOPED_TRACE(name);
    // What was broken when it was measured is known and stands in the summary.
    if (!bool(scenario["passed"])) continue;
    ++held;
    const Medians simulated =
        Simulated(SetsOf(name), folder + "/profile.txtpb", int64_t(scenario["from_step"]));
    EXPECT_NEAR(simulated.step_ns / MeasuredMedian(scenario, "step"), 1.0, bounds.step);
    EXPECT_NEAR(simulated.rest_ns / MeasuredMedian(scenario, "step - ballast"), 1.0,
                bounds.step_less_ballast);
  }
  EXPECT_GE(held, 12) << folder << ": too few were within their bounds when they were measured";
}

TEST(MeasuredTest, PredictionsStayWithinTheBoundsOnTheCpu) {
  const TempFolder cache;
  setenv("TIERSCOPE_CACHE", cache.path().c_str(), 1);
  const std::vector<std::string> folders = Measured("cpu");
  if (folders.empty()) GTEST_SKIP() << "no measurement yet for the backend cpu";
  for (const std::string& folder : folders) ExpectWithin(folder, *FindReconcileBounds("cpu"));
}

// What the README of the folder says of carrying one thread's profile to two.
TEST(MeasuredTest, ACarriedProfileIsHeldAgainstTheMeasuredOne) {
  const std::string folder = kRoot + "/reports/measured/xeon_2_threads/carry";
  const CommandOutput output = RunTierscope(absl::StrCat(
      "calibrate --carry=", folder, "/one_thread.txtpb --hardware=", folder,
      "/two_threads.txtpb --format=csv --scenario=", kScenarios, "reconcile_cpu.txtpb"));
  EXPECT_EQ(output.exit_code, 0) << output.err;
  for (const char* row :
       {"BALLAST,0.00,0.600,1.023,7,3.0,68.5,3.0\n",
        "CSA_ATTENTION,0.00,0.600,0.600,21,17.8,22.2,17.8\n",
        "SCORE,23.01,0.600,0.600,6,40.5,41.3,-40.3\n", "ENGINE,0.00,1.000,1.000,7,1.7,8.0,0.7\n"}) {
    EXPECT_TRUE(absl::StrContains(output.out, row)) << row << output.out;
  }
  const CommandOutput preset = RunTierscope(absl::StrCat(
      "calibrate --carry=", folder, "/one_thread.txtpb --hardware=h20_141 --scenario=", kScenarios,
      "reconcile_cpu.txtpb"));
  EXPECT_EQ(preset.exit_code, 2);
  EXPECT_TRUE(absl::StrContains(preset.err, "--carry-peaks: is not given")) << preset.err;
}

TEST(MeasuredTest, PredictionsStayWithinTheBoundsOnCuda) {
  const std::vector<std::string> folders = Measured("cuda");
  if (folders.empty()) GTEST_SKIP() << "no measurement yet for the backend cuda";
  for (const std::string& folder : folders) ExpectWithin(folder, *FindReconcileBounds("cuda"));
}

}  // namespace
}  // namespace tierscope::testing

// What `tierscope report` reads: run folders, documents, sweeps as columns, phases,
// reconciliations.
#include "reports/report_input.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "simdjson.h"

#include "reports/markdown.h"
#include "reports/phase_sums.h"
#include "reports/reconcile_text.h"
#include "reports/result_json.h"
#include "reports/schema/metrics.h"
#include "reports/schema/phase_log.h"
#include "reports/sweep_columns.h"
#include "tests/reports/sample_run.h"
#include "tests/testing/golden.h"
#include "tests/testing/temp_folder.h"

namespace tierscope::testing {
namespace {

Reconciliation SampleReconciliation() {
  Reconciliation result;
  result.name = "a | <b>";
  result.bounds.backend = "cpu";
  for (const char* name : {"step", "step - ballast"}) {
    Term& term = result.terms.emplace_back();
    term.name = name;
    term.stats.pairs = 2;
    term.stats.measured_median = term.stats.predicted_median = 2e6;
    term.bound = 0.05;
    term.verdict = GapVerdict::kWithin;
    term.points = {{2e6, 2e6, 8}, {3e6, 2.5e6, 9}};
  }
  result.worst = {{"step", {3e6, 2.5e6, 9}}};
  result.counts = {{"steps", 2, 2, true, ""}};
  result.flags = {"<flag>"};
  return result;
}

class ReportInputTest : public ::testing::Test {
 protected:
  absl::Status Refusal(const std::string& name) {
    return ReadReportInput(folder_.File(name)).status();
  }
  void ExpectRefused(const std::string& name, const std::string& why) {
    const absl::Status status = Refusal(name);
    EXPECT_FALSE(status.ok()) << name;
    EXPECT_NE(std::string(status.message()).find(why), std::string::npos) << status;
    EXPECT_NE(std::string(status.message()).find(folder_.path()), std::string::npos) << status;
  }
  ReportInputKind Kind(const std::string& text) {
    const absl::StatusOr<ReportInput> input = ReadReportInput(folder_.Write("kind.json", text));
    EXPECT_TRUE(input.ok()) << input.status();
    return input->kind;
  }
  TempFolder folder_;
};

TEST_F(ReportInputTest, TellsDocumentsApart) {
  EXPECT_EQ(Kind("{\"curve\": [], \"binding\": \"\"}"), ReportInputKind::kCapacity);
  EXPECT_EQ(Kind("{\"rows\": [], \"serving\": []}"), ReportInputKind::kValidation);
  EXPECT_EQ(Kind(ReconcileJson(SampleReconciliation(), {})), ReportInputKind::kReconciliation);
  ReconcileSuite suite;
  suite.scenarios = {SampleReconciliation(), SampleReconciliation()};
  EXPECT_EQ(Kind(SuiteJson(suite, {})), ReportInputKind::kReconciliation);
  EXPECT_EQ(Kind(ResultJson(SampleLsaRun().result)), ReportInputKind::kRun);
}

TEST_F(ReportInputTest, FoldersOfReconciliations) {
  const auto read = [&](const std::string& name) { return ReadReportInput(folder_.File(name)); };
  folder_.Write("one/reconcile.json", ReconcileJson(SampleReconciliation(), {{"device", "d"}}));
  ASSERT_TRUE(read("one").ok()) << read("one").status();
  EXPECT_EQ(read("one")->kind, ReportInputKind::kReconciliation);
  EXPECT_TRUE(read("one")->is_folder);
  ReconcileSuite suite;
  suite.scenarios = {SampleReconciliation()};
  folder_.Write("suite/summary.json", SuiteJson(suite, {}));
  ASSERT_TRUE(read("suite").ok()) << read("suite").status();
  // One that lies in the folder of a run is shown with the run.
  folder_.Write("run/result.json", ResultJson(SampleLsaRun().result));
  folder_.Write("run/reconcile.json", ReconcileJson(SampleReconciliation(), {}));
  ASSERT_TRUE(read("run").ok()) << read("run").status();
  EXPECT_EQ(read("run")->kind, ReportInputKind::kRun);
  EXPECT_NE(read("run")->reconcile, "");
  folder_.Write("run/reconcile.json", R"({"passed": true, "terms": [], "counts": []})");
  ExpectRefused("run", "reconcile.json: 'provenance' is no object");
  // What is committed, of a real device.
  const absl::StatusOr<ReportInput> measured = ReadReportInput(
      std::string(TIERSCOPE_SOURCE_DIR) + "/reports/measured/xeon_2_threads/reconcile_cpu");
  ASSERT_TRUE(measured.ok()) << measured.status();
  const absl::StatusOr<std::string> text = ReportMarkdown({&*measured, 1}, "0.0");
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_NE(text->find("| gather\\_kernel | "), std::string::npos) << *text;
}

TEST_F(ReportInputTest, RefusesWhatIsNoInput) {
  ExpectRefused("nothing", "No such file");
  folder_.Write("empty/x", "");
  ExpectRefused("empty", "holds no result.json");
  folder_.Write("text.json", "{\"a\":");
  ExpectRefused("text.json", "is not JSON");
  folder_.Write("other.json", "{\"a\": 1}");
  ExpectRefused("other.json", "nothing that a report shows");
  folder_.Write("array.json", "[1, 2]");
  ExpectRefused("array.json", "nothing that a report shows");
  folder_.Write("store.sweep", "SQLite format 3 and more");
  ExpectRefused("store.sweep", "sweep SWEEP --format=json");
  folder_.Write("old/result.json", "{\"schema_version\": 99, \"metrics\": {}}");
  ExpectRefused("old", "schema_version 99 is newer");
  folder_.Write("cut/result.json", "{\"metrics\": {");
  ExpectRefused("cut", "is not JSON");
  folder_.Write("list/result.json", "{\"metrics\": []}");
  ExpectRefused("list", "'schema_version' is no whole number");
  folder_.Write("big/result.json", std::string((16 << 20) + 1, ' '));
  ExpectRefused("big", "at most");
  folder_.Write("deep.json", std::string(100'000, '['));
  ExpectRefused("deep.json", "is not JSON");
}

TEST_F(ReportInputTest, PhasesAreSummedOverTheBatch) {
  const std::string path =
      folder_.Write("phases.csv",
                    "step,tick,request,phase,begin_ns,duration_ns,bytes,pages\n"
                    "0,-1,-1,step,0,10,0,0\n0,-1,3,step,0,999,0,0\n1,0,-1,recall,12,7,0,0\n"
                    "1,-1,-1,step,10,30,0,0\n");
  const absl::StatusOr<std::string> sums = PhaseSums(path);
  ASSERT_TRUE(sums.ok()) << sums.status();
  EXPECT_EQ(*sums,
            "[{\"phase\": \"step\", \"n\": 2, \"duration_ns\": 40}, "
            "{\"phase\": \"recall\", \"n\": 1, \"duration_ns\": 7}]");
  EXPECT_FALSE(PhaseSums(folder_.Write("a.csv", "step,phase\n0,step\n")).ok());
  const absl::Status wrong =
      PhaseSums(folder_.Write("b.csv", absl::StrCat(kPhaseLogHeader, "\nx\n"))).status();
  EXPECT_NE(std::string(wrong.message()).find("b.csv:2"), std::string::npos) << wrong;
}

// Point 1 cannot run; the second metric is the same everywhere; the third is absent once.
constexpr char kSweep[] = R"({"sweep": "s", "build": "b", "limits": [], "front": [2],
  "objectives": [{"metric": "coverage", "maximize": true}], "points": [
  {"point": 0, "values": {"tau": 8, "mode": "a"}, "metrics": {"steps": {"value": 5, "unit": "steps"},
    "stall_ms_total": {"value": 0.1, "unit": "ms"}, "coverage": {"absent": "why", "unit": "fraction"}}},
  {"point": 1, "values": {"tau": 16, "mode": "<b>"}, "error": "too small"},
  {"point": 2, "values": {"tau": 32, "mode": "a"}, "metrics": {"steps": {"value": 5, "unit": "steps"},
    "stall_ms_total": {"value": 0.30000000000000004, "unit": "ms"}, "coverage": {"value": 0.5}}}]})";

TEST_F(ReportInputTest, ASweepTurnsIntoColumns) {
  const absl::StatusOr<ReportInput> input = ReadReportInput(folder_.Write("s.json", kSweep));
  ASSERT_TRUE(input.ok()) << input.status();
  ASSERT_EQ(input->kind, ReportInputKind::kSweep);
  ExpectGolden(input->document + "\n", "reports_sweep_columns.json");
}

TEST_F(ReportInputTest, ASweepOfTooManyNumbersNamesWhatItLeavesOut) {
  std::string text = "{\"sweep\":\"s\",\"objectives\":[{\"metric\":\"coverage\"}],\"points\":[";
  for (int p = 0; p < 12'000; ++p) {
    absl::StrAppend(&text, p == 0 ? "" : ",", "{\"values\":{\"x\":", p, "},\"metrics\":{");
    for (size_t m = 0; m < MetricDefinitions().size(); ++m) {
      absl::StrAppend(&text, m == 0 ? "" : ",", "\"", MetricDefinitions()[m].name,
                      "\":{\"value\":0.1234567890", 100'000 + p + static_cast<int>(m), "}");
    }
    text += "}}";
  }
  const absl::StatusOr<ReportInput> input = ReadReportInput(folder_.Write("s.json", text + "]}"));
  ASSERT_TRUE(input.ok()) << input.status();
  EXPECT_LT(input->document.size(), kSweepColumnBytesMax + (1 << 18));
  EXPECT_GT(input->document.size(), kSweepColumnBytesMax / 2);
  simdjson::dom::parser parser;
  const simdjson::dom::element root = parser.parse(input->document);
  const size_t kept = root["metrics"].get_array().size();
  const size_t left_out = root["left_out"].get_array().size();
  EXPECT_EQ(std::string_view(root["metrics"].at(0)["name"]), "coverage") << "an objective is kept";
  EXPECT_GT(left_out, 0u);
  EXPECT_EQ(kept + left_out, MetricDefinitions().size());
}

TEST_F(ReportInputTest, ASweepWithUnlikePointsIsRefused) {
  folder_.Write("s.json", R"({"sweep":"s","points":[{"values":{"a":1},"metrics":{}},
                             {"values":{"b":1},"metrics":{}}]})");
  ExpectRefused("s.json", "point 1 has other axes");
  folder_.Write("s.json", R"({"sweep":"s","points":[{"values":{"a":1},"metrics":{}},
                             {"values":{},"metrics":{}}]})");
  ExpectRefused("s.json", "point 1 lacks an axis");
  folder_.Write("s.json", R"({"sweep":"s","points":[{"values":{"a":1}}]})");
  ExpectRefused("s.json", "point 0 has no metrics");
  folder_.Write("s.json", R"({"sweep":"s","points":[]})");
  ExpectRefused("s.json", "is not there");
}

TEST_F(ReportInputTest, MarkdownOfEverything) {
  std::vector<ReportInput> inputs;
  const auto add = [&](const std::string& name, const std::string& text) {
    const absl::StatusOr<ReportInput> input = ReadReportInput(folder_.Write(name, text));
    ASSERT_TRUE(input.ok()) << input.status();
    inputs.push_back(*input);
  };
  add("lsa.json", ResultJson(SampleLsaRun().result));
  add("full.json", ResultJson(SampleFullRun().result));
  add("s.json", kSweep);
  add("c.json", R"({"scenario": "c", "binding": "HBM", "limits": [{"name": "a|b", "slack": 0.1}],
                    "curve": [{"requests": 1, "holds": true}]})");
  add("v.json", R"({"rows": [{"row": "1", "error_%": null}], "serving": []})");
  add("r.json", ReconcileJson(SampleReconciliation(), {{"device", "<i>"}}));
  const absl::StatusOr<std::string> text = ReportMarkdown(inputs, "0.0");
  ASSERT_TRUE(text.ok()) << text.status();
  ExpectGolden(*text, "reports_report.md");
  const absl::StatusOr<ReportInput> hostile =
      ReadReportInput(folder_.Write("h.json", ResultJson(HostileRun().result)));
  ASSERT_TRUE(hostile.ok());
  const absl::StatusOr<std::string> safe = ReportMarkdown({&*hostile, 1}, "0.0");
  ASSERT_TRUE(safe.ok());
  EXPECT_EQ(safe->find('<'), std::string::npos) << "markup in Markdown is markup in a page";
}

}  // namespace
}  // namespace tierscope::testing

// Run folders, suites and files as a side of a comparison; hostile ones.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"

#include "reports/compare/run_set.h"
#include "reports/result_json.h"
#include "reports/result_reader.h"
#include "reports/schema/metrics.h"
#include "tests/reports/sample_run.h"
#include "tests/testing/temp_folder.h"

namespace tierscope::testing {
namespace {

std::string ErrorOf(const std::string& text) {
  const absl::StatusOr<std::vector<ReadResult>> results = ParseResults(text, "r.json");
  return results.ok() ? "" : std::string(results.status().message());
}

// Every member there is: what is printed of it again has the same bytes.
TEST(ResultReaderTest, ResultsComeBackAsTheyWere) {
  RunReport measured = SampleFullRun();
  measured.result.set_kind("measured");
  Execution* execution = measured.result.mutable_execution();
  execution->set_backend("cpu");
  execution->set_device("a device");
  execution->set_decode_threads(2);
  execution->set_sideband_threads(1);
  execution->set_mode("replay");
  execution->set_executed_ranks(1);
  execution->set_weight_format("FP32");
  execution->add_step_ms_p50_of_repeats(1.5);
  execution->add_step_ms_p50_of_repeats(2.5);
  execution->set_chosen_repeat(1);
  execution->set_step_ms_p50_unprofiled(1.25);
  execution->set_step_ms_p50_without_ballast(0.5);
  execution->set_ballast_gflop_per_step(7);
  execution->set_level1_jobs(9);
  execution->set_level1_joins(3);
  execution->add_publish_delay_steps(6);
  execution->add_not_validated("all-reduce");
  execution->set_software("driver 1");
  execution->add_device_states("1,980 MHz");
  execution->add_footprint_beside()->set_pool("context");
  execution->mutable_footprint_beside(0)->set_allocated_bytes(11);
  execution->set_activity("12 records");
  execution->set_step_ms_p50_traced(1.75);
  const google::protobuf::Descriptor* fields = execution->GetDescriptor();
  for (int i = 0; i < fields->field_count(); ++i) {
    const google::protobuf::FieldDescriptor* field = fields->field(i);
    const google::protobuf::Reflection* of = execution->GetReflection();
    EXPECT_TRUE(field->is_repeated() ? of->FieldSize(*execution, field) > 0
                                     : of->HasField(*execution, field))
        << field->name() << ": give it a value, or nothing tests that it comes back";
  }
  for (const RunReport& run : {SampleLsaRun(), SampleFullRun(), HostileRun(), measured}) {
    const std::string json = ResultJson(run.result);
    const absl::StatusOr<RunResult> back = ParseResult(json, "r.json");
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(ResultJson(*back), json);
  }
}

TEST(ResultReaderTest, EveryCutOfAResultIsAnError) {
  const std::string whole = ResultJson(SampleLsaRun().result);
  for (size_t length = 0; length < whole.size() - 1; length += 37) {
    EXPECT_NE(ErrorOf(whole.substr(0, length)), "") << length;
  }
  for (const char* member : {"schema_version", "seed", "inputs", "footprint", "notes", "metrics"}) {
    std::string without = whole;
    without.replace(without.find(absl::StrCat("\"", member, "\"")) + 1, 1, "?");
    EXPECT_NE(ErrorOf(without).find(member), std::string::npos) << ErrorOf(without);
  }
}

TEST(ResultReaderTest, ReadsHostAndStandardOutput) {
  const std::vector<RunReport> runs = {SampleLsaRun(), SampleFullRun()};
  const absl::StatusOr<std::vector<ReadResult>> read = ParseResults(StdoutJson(runs), "r");
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 2u);
  EXPECT_TRUE((*read)[0].has_host);
  EXPECT_EQ((*read)[0].host.cpu, runs[0].host.cpu);
  EXPECT_EQ((*read)[0].host.metrics.size(), 8u);
  EXPECT_EQ((*read)[1].host.metrics.size(), 7u);  // one was not measured
  const absl::StatusOr<HostFacts> host = ParseHost(HostJson(runs[0].host), "h");
  ASSERT_TRUE(host.ok());
  EXPECT_EQ(host->metrics, (*read)[0].host.metrics);
}

TEST(ResultReaderTest, RefusesOtherSchemas) {
  const std::string good = ResultJson(SampleLsaRun().result);
  const auto with = [&](const std::string& version) {
    return absl::StrReplaceAll(good, {{"\"schema_version\": 1", "\"schema_version\": " + version}});
  };
  EXPECT_EQ(ErrorOf(good), "");
  EXPECT_EQ(ErrorOf(with("2")),
            "r.json: schema_version 2 is newer than 1, which this tierscope reads; use the "
            "tierscope that wrote it");
  EXPECT_EQ(ErrorOf(with("0")),
            "r.json: schema_version 0 is older than 1, which this tierscope reads; run the "
            "scenario again");
  EXPECT_NE(ErrorOf(with("\"1\"")), "");
}

TEST(ResultReaderTest, RefusesWhatIsNoResult) {
  const std::string metric = "\"unit\": \"s\"";
  const auto with_metrics = [](const std::string& metrics) {
    return absl::StrCat(
        R"({"schema_version": 1, "version": "v", "kind": "simulated", "scenario": "s",)",
        R"("scenario_digest": "d", "event_digest": "e", "seed": 1, "inputs": [], "footprint": [],)",
        R"("notes": [], "violations": [], "profiles": [],)", R"("metrics": )", metrics, "}");
  };
  EXPECT_EQ(ErrorOf(with_metrics(R"({"a": {"value": 1, "unit": "s"}})")), "");
  const std::string bad[] = {
      "",
      "{",
      "[]",
      "1",
      "null",
      "{}",
      "[1]",
      std::string(5000, '['),
      R"({"schema_version": 1})",
      with_metrics("{}"),
      with_metrics("[]"),
      with_metrics("1"),
      with_metrics(R"({"a": 1})"),
      with_metrics(R"({"a": {"unit": "s"}})"),
      with_metrics(R"({"a": {"value": 1}})"),
      with_metrics(R"({"a": {"value": null, "unit": "s"}})"),
      with_metrics(R"({"a": {"value": 1e999, "unit": "s"}})"),
      with_metrics(R"({"a": {"value": "1", "unit": "s"}})"),
      with_metrics(R"({"a": {"value": 1, "absent": "why", "unit": "s"}})"),
      with_metrics(R"({"a": {"absent": "", "unit": "s"}})"),
      with_metrics(R"({"": {"value": 1, "unit": "s"}})"),
      with_metrics(R"({"a\nb": {"value": 1, "unit": "s"}})"),
      with_metrics(R"({"a": {"value": 1, "unit": "s"}, "a": {"value": 2, "unit": "s"}})")};
  const std::string two = "[" + with_metrics(R"({"a": {"value": 1, "unit": "s"}})") + "," +
                          with_metrics(R"({"a": {"value": 1, "unit": "s"}})") + "]";
  EXPECT_EQ(ErrorOf(two), "");
  EXPECT_EQ(ParseResult(two, "r.json").status().message(),
            "r.json: has 2 results; give a file of one run");
  for (const std::string& text : bad) {
    const std::string error = ErrorOf(text);
    EXPECT_EQ(error.rfind("r.json: ", 0), 0u) << text;
    EXPECT_NE(error.find("; give a result.json of tierscope"), std::string::npos) << error;
  }
}

TEST(SamplesTest, ReadsRepeatsInAnyOrder) {
  const auto samples =
      ParseSamples("metric,repeat,value\nstep_ms,1,2.5\nwall_s,0,9\nstep_ms,0,1.5\r\n\n", "s.csv");
  ASSERT_TRUE(samples.ok()) << samples.status();
  ASSERT_EQ(samples->size(), 2u);
  EXPECT_EQ((*samples)[0].metric, "step_ms");
  EXPECT_EQ((*samples)[0].values, (std::vector<double>{1.5, 2.5}));
  EXPECT_EQ((*samples)[1].values, (std::vector<double>{9}));
}

TEST(SamplesTest, RefusalsNameTheLine) {
  const auto error_of = [](const std::string& text) {
    const auto samples = ParseSamples(text, "s.csv");
    return samples.ok() ? "" : std::string(samples.status().message());
  };
  const std::string head = "metric,repeat,value\n";
  EXPECT_EQ(error_of("a,b\n"), "s.csv:1: the header is not metric,repeat,value");
  EXPECT_EQ(error_of(""), "s.csv:1: the header is not metric,repeat,value");
  EXPECT_EQ(error_of(head + "a,0\n"), "s.csv:2: a row has 3 fields: metric,repeat,value");
  EXPECT_EQ(error_of(head + "a,0,1\na,0,1\n"), "s.csv:3: repeat 0 of 'a' stands there twice");
  EXPECT_EQ(error_of(head + "a,x,1\n"), "s.csv:2: 'x' is no repeat; give a whole number from 0 on");
  EXPECT_EQ(error_of(head + "a,-1,1\n"),
            "s.csv:2: '-1' is no repeat; give a whole number from 0 on");
  EXPECT_EQ(error_of(head + "a,0,nan\n"), "s.csv:2: 'nan' is no value; give a finite number");
  EXPECT_EQ(error_of(head + ",0,1\n"), "s.csv:2: '' is no name of a metric");
}

class RunSetTest : public ::testing::Test {
 protected:
  void WriteRun(const std::string& name, const RunReport& run) {
    folder_.Write(name + "/result.json", ResultJson(run.result));
    folder_.Write(name + "/host.json", HostJson(run.host));
  }
  TempFolder folder_;
};

TEST_F(RunSetTest, RunsOfOneScenarioAreRepeats) {
  RunReport run = SampleLsaRun();
  for (const double wall_s : {4.0, 5.0, 6.0}) {
    run.host.sim_wall_s = wall_s;
    WriteRun(absl::StrCat("set/run", wall_s), run);
  }
  WriteRun("set/full", SampleFullRun());
  folder_.Write("set/unfinished/scenario.txtpb", "name: 'x'");
  const absl::StatusOr<RunSet> set = LoadRunSet(folder_.File("set"), false);
  ASSERT_TRUE(set.ok()) << set.status();
  ASSERT_EQ(set->scenarios.size(), 2u);
  const ScenarioRuns* lsa = set->Find("h20_lsa");
  ASSERT_NE(lsa, nullptr);
  EXPECT_EQ(lsa->run_count, 3);
  EXPECT_EQ(lsa->Find("sim_wall_s")->values, (std::vector<double>{4, 5, 6}));
  EXPECT_TRUE(lsa->Find("sim_wall_s")->measured);
  EXPECT_EQ(lsa->Find("steps")->values.size(), 1u);
  EXPECT_FALSE(lsa->Find("steps")->measured);
  const absl::StatusOr<RunSet> simulated = LoadRunSet(folder_.File("set"), true);
  EXPECT_EQ(simulated->Find("h20_lsa")->Find("sim_wall_s"), nullptr);
}

TEST_F(RunSetTest, RunsThatAreNoRepeatsAreRefused) {
  RunReport run = SampleLsaRun();
  WriteRun("set/1", run);
  run.result.mutable_metrics(3)->set_value(run.result.metrics(3).value() + 1e-9);
  WriteRun("set/2", run);
  const std::string differs(LoadRunSet(folder_.File("set"), false).status().message());
  EXPECT_NE(differs.find("differs in the simulated metric steps"), std::string::npos) << differs;
  run = SampleLsaRun();
  run.result.set_scenario_digest("another");
  WriteRun("set/2", run);
  const std::string digest(LoadRunSet(folder_.File("set"), false).status().message());
  EXPECT_NE(digest.find("differs in scenario_digest"), std::string::npos) << digest;
  run = SampleLsaRun();
  run.host.cpu = "another";
  WriteRun("set/2", run);
  const std::string cpu(LoadRunSet(folder_.File("set"), false).status().message());
  EXPECT_NE(cpu.find("differs in host.cpu"), std::string::npos) << cpu;
  EXPECT_TRUE(LoadRunSet(folder_.File("set"), true).ok());
}

TEST_F(RunSetTest, SamplesOutrankSingleValues) {
  WriteRun("run", SampleLsaRun());
  folder_.Write("run/samples.csv",
                "metric,repeat,value\nsim_wall_s,0,1\nsim_wall_s,1,2\nown,0,7\n");
  const absl::StatusOr<RunSet> set = LoadRunSet(folder_.File("run"), false);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->scenarios[0].Find("sim_wall_s")->values, (std::vector<double>{1, 2}));
  EXPECT_EQ(set->scenarios[0].Find("own")->values, (std::vector<double>{7}));
  folder_.Write("run/samples.csv", "metric,repeat,value\ncoverage,0,1\n");
  const std::string refused(LoadRunSet(folder_.File("run"), false).status().message());
  EXPECT_NE(refused.find("'coverage' is simulated in result.json"), std::string::npos) << refused;
}

TEST_F(RunSetTest, MeasuredResultsHaveASampleARun) {
  RunReport run = SampleLsaRun();
  run.result.set_kind("measured");
  for (const char* name : {"set/1", "set/2"}) {
    run.result.mutable_metrics(2)->set_value(run.result.metrics(2).value() + 1);
    WriteRun(name, run);
  }
  const absl::StatusOr<RunSet> set = LoadRunSet(folder_.File("set"), false);
  ASSERT_TRUE(set.ok()) << set.status();
  const MetricSamples* decode = set->scenarios[0].Find("decode_s");
  EXPECT_TRUE(decode->measured);
  EXPECT_EQ(decode->values.size(), 2u);
  EXPECT_EQ(set->scenarios[0].Find("ttft_ms_p50")->values.size(), 0u);
  EXPECT_NE(set->scenarios[0].Find("ttft_ms_p50")->absent, "");
  EXPECT_FALSE(LoadRunSet(folder_.File("set"), true).ok());
}

TEST_F(RunSetTest, NothingThereIsNamed) {
  EXPECT_EQ(LoadRunSet(folder_.File("none"), false).status().message(),
            folder_.File("none") + ": is not there; check the path");
  folder_.Write("empty/x", "");
  EXPECT_EQ(LoadRunSet(folder_.File("empty"), false).status().message(),
            folder_.File("empty") +
                ": no result.json in it or in a folder of it; give a run folder, a folder of run "
                "folders or a file with results");
  const std::string large = folder_.Write("large.json", std::string(kResultBytesMax + 1, ' '));
  EXPECT_FALSE(LoadRunSet(large, false).ok());
}

}  // namespace
}  // namespace tierscope::testing

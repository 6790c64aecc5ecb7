// A live run, its recording, and the simulator on the recording: the same decisions, count for
// count. Codes and not floats decide, so nothing here is a tolerance.
#include <fstream>
#include <map>
#include <memory>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "real/measure.h"
#include "reports/schema/metrics.h"
#include "sim/engine/simulate.h"
#include "tests/real/real_world.h"
#include "tests/testing/temp_folder.h"
#include "traces/attention_trace.h"

namespace tierscope {
namespace {

using testing::RunOnce;
using testing::SmallBackend;
using testing::SmallPlan;
using testing::SmallScenario;
using testing::TempFolder;

// (request, own step of the tick, pages that were missing), in the order in which blocks changed
// hands.
using Recalls = std::vector<std::tuple<int64_t, int64_t, int64_t>>;

class RecallDiary : public Observer {
 public:
  void Progress(SimTime) override {}
  void WarmupEnded(SimTime) override {}
  void Step(SimTime, SimDuration, SimDuration, int64_t) override {}
  void Wait(SimTime, SimTime, const char*) override {}
  void Level1(int64_t, SimTime, SimTime, int64_t) override {}
  void Recall(int64_t, SimTime, SimTime, int64_t) override {}
  void Publish(int64_t, SimTime) override {}
  void Resident(SimTime, int64_t) override {}
  void OnRequest(const RequestEvent& event) override {
    if (event.kind != RequestEvent::kRecall) return;
    recalls.push_back({event.request, event.steps - 1, event.value});
  }
  Recalls recalls;
};

Recalls RecallsOf(const PassRecord& pass) {
  Recalls recalls;
  for (const JobRecord& record : pass.jobs) {
    for (const JobTick& tick : record.job.ticks) {
      recalls.push_back({tick.request, tick.own_step, tick.missing});
    }
  }
  return recalls;
}

struct Simulated {
  RunResult result;
  Recalls recalls;
};

Simulated Simulate(const Scenario& scenario, const std::string& trace) {
  const absl::StatusOr<WindowDemand> demand = DistilTrace(trace, DemandSpecOf(scenario));
  EXPECT_TRUE(demand.ok()) << demand.status();
  RecallDiary diary;
  SimulationInputs inputs;
  inputs.demand = &*demand;
  inputs.observer = &diary;
  absl::StatusOr<Simulation> simulation = tierscope::Simulate(scenario, inputs);
  EXPECT_TRUE(simulation.ok()) << simulation.status();
  return {std::move(simulation->result), std::move(diary.recalls)};
}

MeasuredRun Measured(const Scenario& scenario, const MeasureOptions& given) {
  MeasureOptions options = given;
  options.spec = DemandSpecOf(scenario);
  options.tool = "a test";
  const auto backend = SmallBackend();
  absl::StatusOr<MeasuredRun> run = Measure(scenario, *backend, options);
  EXPECT_TRUE(run.ok()) << run.status();
  return run.ok() ? *std::move(run) : MeasuredRun();
}

constexpr const char* kCounts[] = {"steps",          "output_tokens",    "requests_completed",
                                   "pages_recalled", "pages_evicted",    "pages_written_back",
                                   "recall_gib",     "recall_miss_rate", "selections",
                                   "miss_inactive",  "miss_evicted",     "coverage",
                                   "coverage_prompt"};

// Prints every count that differs.
void ExpectSameCounts(const RunResult& measured, const RunResult& simulated) {
  for (const char* name : kCounts) {
    const Metric* a = FindMetric(measured, name);
    const Metric* b = FindMetric(simulated, name);
    EXPECT_EQ(a->absent(), b->absent()) << name;
    EXPECT_EQ(a->value(), b->value()) << name;
  }
}

double Value(const RunResult& result, const char* name) {
  return FindMetric(result, name)->value();
}

// One recording serves every test of this file.
struct Recorded {
  Recorded() {
    MeasureOptions options;
    options.record_path = folder.File("recorded.trace");
    run = Measured(SmallScenario(), options);
  }
  TempFolder folder;
  MeasuredRun run;
  std::string path() const { return folder.File("recorded.trace"); }
};
const Recorded& TheRecording() {
  static const auto& recorded = *new Recorded;
  return recorded;
}

TEST(RecordReplayTest, TheSimulatorCountsWhatTheMachineCounted) {
  const Recorded& recorded = TheRecording();
  const Simulated simulated = Simulate(SmallScenario(), recorded.path());
  EXPECT_EQ(RecallsOf(recorded.run.timed[0]), simulated.recalls);
  EXPECT_EQ(simulated.recalls.size(), 6u);
  ExpectSameCounts(recorded.run.result, simulated.result);
  // And there is something to count.
  EXPECT_GT(Value(simulated.result, "pages_recalled"), 0);
  EXPECT_GT(Value(simulated.result, "pages_evicted"), 0);
  EXPECT_GT(Value(simulated.result, "miss_inactive"), 0);
  EXPECT_GT(Value(simulated.result, "coverage"), 0.2);
}

TEST(RecordReplayTest, WantListsAreThoseOfTheRecordedCodes) {
  const Recorded& recorded = TheRecording();
  const ExecutionPlan plan = SmallPlan(SmallScenario());
  const WindowDemand demand = DistilTrace(recorded.path(), DemandSpecOf(SmallScenario())).value();
  ASSERT_EQ(demand.profiles.size(), 2u);
  for (const JobRecord& record : recorded.run.timed[0].jobs) {
    for (const JobTick& tick : record.job.ticks) {
      const auto profile = static_cast<size_t>(plan.requests[tick.request].profile);
      const auto list = demand.profiles[profile].WantList(static_cast<int32_t>(tick.own_step / 8));
      EXPECT_EQ(tick.list, std::vector<PageIndex>(list.begin(), list.end()));
    }
  }
}

// What was recorded at one tau and threshold answers for others: a live run there counts the same.
TEST(RecordReplayTest, ItAnswersForOtherPolicies) {
  const Recorded& recorded = TheRecording();
  for (const char* sets : {"policy.threshold=0.75,policy.tau_steps=8,policy.page_kmax=1",
                           "policy.threshold=0.2,policy.phase=OWN_STEPS,policy.sink_entries=70,"
                           "policy.reserve_entries=1024"}) {
    const Scenario scenario = SmallScenario({sets});
    const TempFolder folder;
    MeasureOptions options;
    options.record_path = folder.File("own.trace");
    const MeasuredRun run = Measured(scenario, options);
    const Simulated simulated = Simulate(scenario, recorded.path());
    EXPECT_EQ(RecallsOf(run.timed[0]), simulated.recalls) << sets;
    ExpectSameCounts(run.result, simulated.result);
    EXPECT_NE(simulated.recalls, Simulate(SmallScenario(), recorded.path()).recalls) << sets;
  }
}

TEST(RecordReplayTest, AReplayOnTheMachineCountsTheSameAgain) {
  const Recorded& recorded = TheRecording();
  const WindowDemand demand = DistilTrace(recorded.path(), DemandSpecOf(SmallScenario())).value();
  MeasureOptions options;
  options.mode = RealMode::kReplay;
  options.demand = &demand;
  const MeasuredRun replay = Measured(SmallScenario(), options);
  EXPECT_EQ(RecallsOf(replay.timed[0]), RecallsOf(recorded.run.timed[0]));
  ExpectSameCounts(replay.result, recorded.run.result);
  EXPECT_EQ(replay.result.execution().mode(), "replay");
}

// A replay takes its lists from the trace even where the kernels would say something else.
TEST(RecordReplayTest, AReplayForcesForeignLists) {
  const Recorded& recorded = TheRecording();
  Scenario other = SmallScenario({"seed=7"});
  const WindowDemand demand = DistilTrace(recorded.path(), DemandSpecOf(SmallScenario())).value();
  const ExecutionPlan plan = SmallPlan(other, RealMode::kReplay, &demand);
  ExecutorOptions options;
  options.demand = &demand;
  const PassRecord pass = RunOnce(plan, options);
  for (const JobRecord& record : pass.jobs) {
    for (const JobTick& tick : record.job.ticks) {
      const auto profile = static_cast<size_t>(plan.requests[tick.request].profile);
      const auto list = demand.profiles[profile].WantList(static_cast<int32_t>(tick.own_step / 8));
      EXPECT_EQ(tick.list, std::vector<PageIndex>(list.begin(), list.end()));
    }
  }
}

class Headers : public AttentionVisitor {
 public:
  absl::Status OnProfile(const ProfileHeader& header) override {
    headers.push_back(header);
    return absl::OkStatus();
  }
  absl::Status OnTick(int32_t, int32_t, std::span<const uint32_t>,
                      std::span<const uint8_t> codes) override {
    ++ticks;
    for (const uint8_t code : codes) code_min = std::min(code_min, code);
    return absl::OkStatus();
  }
  absl::Status OnSelection(int32_t, int32_t, std::span<const uint32_t> entries,
                           std::span<const uint8_t>) override {
    selections += static_cast<int64_t>(entries.size());
    return absl::OkStatus();
  }
  absl::Status OnProfileEnd() override { return absl::OkStatus(); }
  std::vector<ProfileHeader> headers;
  int64_t ticks = 0;
  int64_t selections = 0;
  uint8_t code_min = 255;
};

TEST(RecordReplayTest, TheTraceSaysWhatItIs) {
  Headers visitor;
  const absl::Status status = ReadAttentionTrace(TheRecording().path(), visitor);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(visitor.headers.size(), 2u);
  for (const ProfileHeader& header : visitor.headers) {
    EXPECT_EQ(header.prompt_tokens(), 4092);
    EXPECT_EQ(header.step_count(), 40);  // 33 steps behind the first, in whole strides
    EXPECT_EQ(header.tick_stride_steps(), 8);
    EXPECT_EQ(header.selections(), SELECTIONS_FULL_HISTORY);
    EXPECT_EQ(header.provenance().recorded_with(), "a test");
    EXPECT_EQ(header.score_floor_code(), 26u);
  }
  EXPECT_EQ(visitor.ticks, 2 * 5);
  EXPECT_EQ(visitor.selections, 2 * 41 * 3 * 32);  // profiles, steps, layers, top_k
  EXPECT_GE(visitor.code_min, 26);
}

TEST(RecordReplayTest, ResultsSayWhatTheyAre) {
  const RunResult& result = TheRecording().run.result;
  EXPECT_EQ(result.kind(), "measured");
  const Execution& execution = result.execution();
  EXPECT_EQ(execution.backend(), "cpu");
  EXPECT_EQ(execution.mode(), "live");
  EXPECT_EQ(execution.executed_ranks(), 1);
  EXPECT_EQ(execution.decode_threads(), 1);
  EXPECT_EQ(execution.step_ms_p50_of_repeats_size(), 1);
  EXPECT_GT(execution.step_ms_p50_unprofiled(), 0);
  EXPECT_LT(execution.step_ms_p50_without_ballast(), execution.step_ms_p50_of_repeats(0));
  EXPECT_EQ(execution.level1_jobs(), 3);  // behind steps 16, 24 and 32
  EXPECT_EQ(std::vector<int64_t>(execution.publish_delay_steps().begin(),
                                 execution.publish_delay_steps().end()),
            std::vector<int64_t>{3});
  EXPECT_GE(execution.not_validated_size(), 4);
  EXPECT_GT(Value(result, "hbm_total_gib_peak"), 0);
  EXPECT_NE(FindMetric(result, "ttft_ms_p50")->absent(), "");
  EXPECT_NE(FindMetric(result, "stall_ms_by_cause.interference")->absent(), "");
  ASSERT_EQ(result.inputs_size(), 1);
  EXPECT_EQ(result.inputs(0).role(), "recording");
}

TEST(RecordReplayTest, AnInterruptedRecordingIsNoFile) {
  const TempFolder folder;
  std::atomic<bool> cancelled{false};
  MeasureOptions options;
  options.record_path = folder.File("r.trace");
  options.spec = DemandSpecOf(SmallScenario());
  options.cancelled = &cancelled;
  options.progress = [&](const std::string& line) {
    if (line.rfind("recording", 0) == 0) cancelled = true;
  };
  const auto backend = SmallBackend();
  const Scenario scenario = SmallScenario({"workload.output_tokens=4"});
  EXPECT_TRUE(absl::IsCancelled(Measure(scenario, *backend, options).status()));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace tierscope

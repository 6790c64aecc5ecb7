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

// One pass of a policy, its coverage by the selections of a recording.
struct Executed {
  PassRecord pass;
  RunResult result;
};
Executed Execute(const Scenario& scenario, const std::string& trace, RealMode mode) {
  const absl::StatusOr<WindowDemand> demand = DistilTrace(trace, DemandSpecOf(scenario));
  EXPECT_TRUE(demand.ok()) << demand.status();
  const bool replays = mode == RealMode::kReplay;
  const ExecutionPlan plan = SmallPlan(scenario, mode, replays ? &*demand : nullptr);
  ExecutorOptions options;
  options.demand = replays ? &*demand : nullptr;
  Executed executed{RunOnce(plan, options), {}};
  Measurement measurement;
  measurement.timed = {executed.pass};
  measurement.unprofiled = executed.pass;
  measurement.selections = &*demand;
  executed.result = MeasuredResult(plan, measurement);
  return executed;
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

using Lists = std::map<std::pair<int32_t, int64_t>, std::vector<PageIndex>>;

Lists ListsOf(const PassRecord& pass) {
  Lists lists;
  for (const JobRecord& record : pass.jobs) {
    for (const JobTick& tick : record.job.ticks) lists[{tick.request, tick.own_step}] = tick.list;
  }
  return lists;
}

// The lists of a pass are those that the trace's codes give.
void CheckLists(const PassRecord& pass, const Scenario& scenario, const std::string& trace) {
  const WindowDemand demand = DistilTrace(trace, DemandSpecOf(scenario)).value();
  const ExecutionPlan plan = SmallPlan(scenario, RealMode::kReplay, &demand);
  for (const auto& [tick, list] : ListsOf(pass)) {
    const auto profile = static_cast<size_t>(plan.requests[tick.first].profile);
    const auto wanted = demand.profiles[profile].WantList(static_cast<int32_t>(tick.second / 4));
    EXPECT_EQ(list, std::vector<PageIndex>(wanted.begin(), wanted.end()));
  }
}

void CheckHeaders(const std::string& path);
void CheckResult(const RunResult& result);

// Tests share the recording by standing in one: it is the costly part.
TEST(RecordReplayTest, TheSimulatorCountsWhatTheMachineCounted) {
  const TempFolder folder;
  MeasureOptions options;
  options.record_path = folder.File("recorded.trace");
  const MeasuredRun run = Measured(SmallScenario(), options);
  const Simulated simulated = Simulate(SmallScenario(), options.record_path);
  EXPECT_EQ(RecallsOf(run.timed[0]), simulated.recalls);
  EXPECT_EQ(simulated.recalls.size(), 8u);
  ExpectSameCounts(run.result, simulated.result);
  // And there is something to count.
  EXPECT_GT(Value(simulated.result, "pages_recalled"), 0);
  EXPECT_EQ(Value(simulated.result, "pages_written_back"), 2);
  EXPECT_GT(Value(simulated.result, "miss_inactive"), 0);
  EXPECT_GT(Value(simulated.result, "coverage"), 0.2);
  CheckLists(run.timed[0], SmallScenario(), options.record_path);
  CheckHeaders(options.record_path);
  CheckResult(run.result);

  // What was recorded at one tau and threshold answers for others.
  for (const char* sets : {"policy.threshold=0.75,policy.tau_steps=4,policy.page_kmax=1",
                           "policy.threshold=0.2,policy.phase=OWN_STEPS,policy.sink_entries=70,"
                           "policy.reserve_entries=1024",
                           // Room for one request: the other one waits until it has finished.
                           "policy.reserve_entries=704"}) {
    const Scenario other = SmallScenario({sets});
    const Executed executed = Execute(other, options.record_path, RealMode::kLive);
    const Simulated of_other = Simulate(other, options.record_path);
    EXPECT_EQ(RecallsOf(executed.pass), of_other.recalls) << sets;
    ExpectSameCounts(executed.result, of_other.result);
    EXPECT_NE(of_other.recalls, simulated.recalls) << sets;
  }

  // A replay takes the same decisions again, and the trace's even where the kernels, on the content
  // of another seed, would take others.
  const Executed replay = Execute(SmallScenario(), options.record_path, RealMode::kReplay);
  EXPECT_EQ(RecallsOf(replay.pass), simulated.recalls);
  ExpectSameCounts(replay.result, run.result);
  EXPECT_EQ(replay.result.execution().mode(), "replay");
  const Scenario foreign = SmallScenario({"seed=8"});
  CheckLists(Execute(foreign, options.record_path, RealMode::kReplay).pass, foreign,
             options.record_path);
  EXPECT_NE(ListsOf(RunOnce(SmallPlan(foreign), {})), ListsOf(run.timed[0]));
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

void CheckHeaders(const std::string& path) {
  Headers visitor;
  const absl::Status status = ReadAttentionTrace(path, visitor);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(visitor.headers.size(), 2u);
  for (const ProfileHeader& header : visitor.headers) {
    EXPECT_EQ(header.prompt_tokens(), 2028);
    EXPECT_EQ(header.step_count(), 28);  // 25 steps behind the first, in whole strides
    EXPECT_EQ(header.tick_stride_steps(), 4);
    EXPECT_EQ(header.selections(), SELECTIONS_FULL_HISTORY);
    EXPECT_EQ(header.provenance().recorded_with(), "a test");
    EXPECT_EQ(header.score_floor_code(), 26u);
  }
  EXPECT_EQ(visitor.ticks, 2 * 7);
  EXPECT_EQ(visitor.selections, 2 * 29 * 3 * 16);  // profiles, steps, layers, top_k
  EXPECT_GE(visitor.code_min, 26);
}

void CheckResult(const RunResult& result) {
  EXPECT_EQ(result.kind(), "measured");
  const Execution& execution = result.execution();
  const DeviceDescription device = SmallBackend()->device();
  EXPECT_EQ(execution.backend(), device.backend);
  EXPECT_EQ(execution.device(), device.name);
  EXPECT_EQ(execution.mode(), "live");
  EXPECT_EQ(execution.executed_ranks(), 1);
  EXPECT_EQ(execution.decode_threads(), device.core_count);
  EXPECT_EQ(execution.step_ms_p50_of_repeats_size(), 1);
  EXPECT_GT(execution.step_ms_p50_unprofiled(), 0);
  EXPECT_LT(execution.step_ms_p50_without_ballast(), execution.step_ms_p50_of_repeats(0));
  EXPECT_EQ(execution.level1_jobs(), 5);  // from step 8 on
  EXPECT_EQ(std::vector<int64_t>(execution.publish_delay_steps().begin(),
                                 execution.publish_delay_steps().end()),
            std::vector<int64_t>{5});
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

// Whole runs of one replica: what a user waits for, inputs in memory already. Each prints its rate
// and the process's peak memory so far, so that a benchmark run alone (--benchmark_filter) shows
// its own.
#include <sys/resource.h>

#include <cstdint>
#include <string>

#include "benchmark/benchmark.h"

#include "scenarios/loader.h"
#include "sim/base/check.h"
#include "sim/engine/fleet.h"
#include "sim/engine/memory_plan.h"
#include "sim/engine/simulate.h"
#include "tests/testing/temp_folder.h"
#include "traces/generator.h"

namespace tierscope {
namespace {

double PeakMb() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1e3;
}

Scenario Load(const std::string& name, const std::string& sets) {
  const auto scenario =
      LoadScenario(std::string(TIERSCOPE_SOURCE_DIR) + "/scenarios/" + name + ".txtpb", {sets});
  TIERSCOPE_CHECK(scenario.ok());
  return *scenario;
}

// A profile of `context_tokens` from the generator, distilled for the scenario.
WindowDemand Demand(const Scenario& scenario, int64_t context_tokens, int32_t steps) {
  const testing::TempFolder folder;
  const std::string path = folder.path() + "/attention.trace";
  GeneratorOptions options;
  options.parameters = *GeneratorPreset("v4_flash");
  options.context_tokens = {context_tokens};
  options.profiles_per_context = 2;
  options.step_count = steps;
  TIERSCOPE_CHECK(GenerateAttentionTrace(options, path).ok());
  auto demand = DistilTrace(path, DemandSpecOf(scenario));
  TIERSCOPE_CHECK(demand.ok());
  return *std::move(demand);
}

void Measure(benchmark::State& state, const Scenario& scenario, const WindowDemand* demand) {
  const auto plan = MakeMemoryPlan(scenario);
  TIERSCOPE_CHECK(plan.ok());
  ReplicaOptions options;
  options.leap = state.range(0) != 0;
  options.check = state.range(1) != 0;
  int64_t tokens = 0, steps = 0, leapt = 0, pages = 0, finished = 0;
  for (auto _ : state) {
    Fleet fleet(scenario, *plan, demand, nullptr, nullptr, options);
    const ReplicaOutcome outcome = fleet.Run();
    TIERSCOPE_CHECK(outcome.stuck.empty() && outcome.violations.empty());
    tokens += outcome.counters.output_tokens;
    steps += outcome.counters.steps;
    leapt += outcome.steps_leapt;
    pages += outcome.counters.pages_wanted;
    finished += outcome.finished;
  }
  using benchmark::Counter;
  state.counters["tokens"] = Counter(static_cast<double>(tokens), Counter::kAvgIterations);
  state.counters["requests"] = Counter(static_cast<double>(finished), Counter::kAvgIterations);
  state.counters["steps/s"] = Counter(static_cast<double>(steps), Counter::kIsRate);
  state.counters["leapt"] = static_cast<double>(leapt) / static_cast<double>(steps);
  state.counters["pages/s"] = Counter(static_cast<double>(pages), Counter::kIsRate);
  state.counters["peak_MB"] = PeakMb();
}

// 20,000 requests of 8K context and 200 tokens, 4 M tokens, arriving 5 a second.
void BM_ReplicaOpenLoop(benchmark::State& state) {
  const Scenario scenario =
      Load("h20_full",
           "workload.arrivals=poisson,workload.requests_per_s=5,workload.concurrency=0,"
           "workload.context_tokens=8192,workload.output_tokens=200,workload.request_limit=20000,"
           "engine.simulated_s=0,engine.warmup_windows=0");
  Measure(state, scenario, nullptr);
}
BENCHMARK(BM_ReplicaOpenLoop)
    ->ArgNames({"leap", "check"})
    ->Args({1, 1})
    ->Args({0, 1})
    ->Args({1, 0})
    ->Unit(benchmark::kMillisecond);

// 2,000 requests of 62K context and 1,024 tokens under LSA, index keys offloaded to the host too.
void BM_ReplicaHostOffload(benchmark::State& state) {
  const Scenario scenario =
      Load("h20_lsa",
           "workload.context_tokens=63488,workload.output_tokens=1024,workload.request_limit=2000,"
           "workload.concurrency=60,policy.index_key_offload=true,policy.page_kmax=96,"
           "engine.simulated_s=0,engine.warmup_windows=0");
  const WindowDemand demand = Demand(scenario, 63'488, 1280);
  Measure(state, scenario, &demand);
}
BENCHMARK(BM_ReplicaHostOffload)
    ->ArgNames({"leap", "check"})
    ->Args({1, 1})
    ->Args({0, 1})
    ->Args({1, 0})
    ->Unit(benchmark::kMillisecond);

// An hour of h20_lsa, 60 requests of 512K: pages/s is the rate of wanted-page visits.
void BM_ReplicaLongContext(benchmark::State& state) {
  const Scenario scenario = Load("h20_lsa", "engine.warmup_windows=0");
  const WindowDemand demand = Demand(scenario, 524'288, 1280);
  Measure(state, scenario, &demand);
}
BENCHMARK(BM_ReplicaLongContext)
    ->ArgNames({"leap", "check"})
    ->Args({1, 1})
    ->Args({0, 1})
    ->Args({1, 0})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tierscope

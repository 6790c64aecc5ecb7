// What one evaluation of the step model costs; the engine makes one for every batch step.
#include "benchmark/benchmark.h"

#include "scenarios/presets.h"
#include "sim/model/step_model.h"

namespace tierscope {
namespace {

Scenario FlashOn(const char* hardware) {
  Scenario scenario;
  *scenario.mutable_model() = ModelPreset("v4_flash").value();
  *scenario.mutable_hardware() = HardwarePreset(hardware).value();
  return scenario;
}

// 60 requests of 512K under LSA, each step one token longer than the last.
void Step(benchmark::State& state) {
  const StepTimeModel model(FlashOn("h20_141"));
  BatchWork work = {60, 60 * 12288, 60 * int64_t{524288}};
  for (auto _ : state) {
    benchmark::DoNotOptimize(model.Step(work));
    work.context_tokens += work.requests;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Step);

// What a replica pays once: the table of everything that depends on the batch alone.
void MakeStepTimeModel(benchmark::State& state) {
  const Scenario scenario = FlashOn("h20_141");
  for (auto _ : state) benchmark::DoNotOptimize(StepTimeModel(scenario));
}
BENCHMARK(MakeStepTimeModel);

}  // namespace
}  // namespace tierscope

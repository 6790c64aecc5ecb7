// What a sweep's demand costs: one pass for so many thresholds, and one demand put together from
// it. An added threshold costs (time for 26 - time for 1) / 25.
#include <cstdint>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"

#include "sim/base/check.h"
#include "sim/demand/multi_distil.h"
#include "tests/testing/temp_folder.h"
#include "traces/generator.h"

namespace tierscope {
namespace {

constexpr int64_t kMemoryBytes = int64_t{512} << 20;

// Two profiles of 512K over 1,024 steps, a tick every 8, made once.
const std::string& TracePath() {
  static const testing::TempFolder& folder = *new testing::TempFolder;
  static const std::string& path = *[] {
    GeneratorOptions options;
    options.parameters = *GeneratorPreset("v4_flash");
    options.context_tokens = {524288};
    options.profiles_per_context = 2;
    options.tick_stride_steps = 8;
    auto* made = new std::string(folder.File("bench.trace"));
    TIERSCOPE_CHECK(GenerateAttentionTrace(options, *made).ok());
    return made;
  }();
  return path;
}

std::vector<DemandSpec> Specs(int64_t thresholds) {
  std::vector<DemandSpec> specs;
  for (int64_t i = 0; i < thresholds; ++i) {
    for (const int32_t page_kmax : {48, 96, 192, 384}) {
      DemandSpec spec;
      spec.threshold_code = static_cast<int32_t>(64 + i * 7);
      spec.page_kmax = page_kmax;
      specs.push_back(spec);
    }
  }
  return specs;
}

void BM_DistilOneSpecAlone(benchmark::State& state) {
  TracePath();
  for (auto _ : state) benchmark::DoNotOptimize(DistilTrace(TracePath(), DemandSpec()));
}
BENCHMARK(BM_DistilOneSpecAlone)->Unit(benchmark::kMillisecond);

// For so many thresholds at four KMAX each; any number of taus is the same.
void BM_DistilForThresholds(benchmark::State& state) {
  const std::vector<DemandSpec> specs = Specs(state.range(0));
  TracePath();
  for (auto _ : state) {
    benchmark::DoNotOptimize(DistilledTrace::Read(TracePath(), specs, kMemoryBytes, "."));
  }
}
BENCHMARK(BM_DistilForThresholds)->Arg(1)->Arg(26)->Unit(benchmark::kMillisecond);

void BM_DemandOfOneSpec(benchmark::State& state) {
  DemandSpec spec;
  spec.tau_steps = static_cast<int32_t>(state.range(0));
  spec.page_kmax = 192;
  const auto trace = DistilledTrace::Read(TracePath(), {&spec, 1}, kMemoryBytes, ".");
  TIERSCOPE_CHECK(trace.ok());
  for (auto _ : state) benchmark::DoNotOptimize(trace->Demand(spec));
}
BENCHMARK(BM_DemandOfOneSpec)->Arg(8)->Arg(64)->Arg(256)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tierscope

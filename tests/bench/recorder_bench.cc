// What recording costs the engine: one call per request and step.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "benchmark/benchmark.h"

#include "sim/base/check.h"
#include "sim/base/rng.h"
#include "tests/testing/temp_folder.h"
#include "traces/recorder.h"

namespace tierscope {
namespace {

constexpr int32_t kLayers = 21, kTopK = 512;

// The caller's time for a step of 21 x 512 entries, in rounds of 8 steps with the writer idle
// before each, as an engine's decode loop leaves it: a step of a batch takes 12 ms and more.
void BM_RecorderStep(benchmark::State& state) {
  const testing::TempFolder folder;
  tierscope_recorder_options options = {};
  options.version = TIERSCOPE_RECORDER_VERSION;
  options.tokens_per_entry = 4;
  options.layer_count = kLayers;
  options.top_k = kTopK;
  options.tick_stride_steps = 16;
  options.saw_full_history = 1;
  options.score_floor_code = -1;
  tierscope_recorder* recorder =
      tierscope_recorder_open(folder.File("r.trace").c_str(), &options, nullptr, 0);
  TIERSCOPE_CHECK(recorder != nullptr);
  Rng rng(1);
  std::vector<int32_t> entries;
  for (int32_t i = 0; i < kLayers * kTopK; ++i) {
    entries.push_back((i % kTopK) * 256 + static_cast<int32_t>(rng.NextBelow(256)));
  }
  tierscope_recorder_begin(recorder, 1, 4 * 131'072);
  int32_t step = 0;
  std::vector<double> us;
  tierscope_recorder_counts counts = {};
  for (auto _ : state) {
    double seconds = 0.0;
    for (int i = 0; i < 8; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      tierscope_recorder_step(recorder, 1, step++, entries.data(), nullptr);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
      us.push_back(took.count() * 1e6);
      seconds += took.count();
    }
    state.SetIterationTime(seconds / 8);
    // The writer wakes up for 16 calls.
    for (;;) {
      tierscope_recorder_get_counts(recorder, &counts);
      if (counts.recorded_steps >= step - 16) break;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }
  std::sort(us.begin(), us.end());
  state.counters["us_p50"] = us[us.size() / 2];
  state.counters["us_p99"] = us[us.size() * 99 / 100];
  state.counters["dropped"] = static_cast<double>(counts.dropped_steps);
  tierscope_recorder_close(recorder, nullptr, 0);
}
BENCHMARK(BM_RecorderStep)->UseManualTime()->Iterations(1'000)->Unit(benchmark::kMicrosecond);

// What the writing thread keeps up with: 2,000 steps from the first call to the closed file.
void BM_RecorderWriter(benchmark::State& state) {
  constexpr int32_t kSteps = 2'000;
  const testing::TempFolder folder;
  tierscope_recorder_options options = {};
  options.version = TIERSCOPE_RECORDER_VERSION;
  options.tokens_per_entry = 4;
  options.layer_count = kLayers;
  options.top_k = kTopK;
  options.tick_stride_steps = 16;
  options.saw_full_history = 1;
  options.score_floor_code = -1;
  options.memory_bytes_max = uint64_t{1} << 30;
  Rng rng(1);
  std::vector<std::vector<int32_t>> steps(64);
  for (std::vector<int32_t>& entries : steps) {
    for (int32_t i = 0; i < kLayers * kTopK; ++i) {
      entries.push_back((i % kTopK) * 256 + static_cast<int32_t>(rng.NextBelow(256)));
    }
  }
  for (auto _ : state) {
    tierscope_recorder* recorder =
        tierscope_recorder_open(folder.File("r.trace").c_str(), &options, nullptr, 0);
    tierscope_recorder_begin(recorder, 1, 4 * 131'072);
    for (int32_t step = 0; step < kSteps; ++step) {
      tierscope_recorder_step(recorder, 1, step, steps[static_cast<size_t>(step % 64)].data(),
                              nullptr);
    }
    TIERSCOPE_CHECK(tierscope_recorder_close(recorder, nullptr, 0) == TIERSCOPE_OK);
  }
  state.SetItemsProcessed(state.iterations() * kSteps);
}
BENCHMARK(BM_RecorderWriter)->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tierscope

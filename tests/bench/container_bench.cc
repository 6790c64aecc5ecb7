// Reading a container: bytes of records as they come out, decompressed, checked and parsed.
#include <cstdint>
#include <string>

#include "benchmark/benchmark.h"

#include "sim/base/check.h"
#include "tests/testing/temp_folder.h"
#include "traces/container.h"
#include "traces/generator.h"

namespace tierscope {
namespace {

// One generated profile of 512K context and 512 steps.
void GenerateTo(const std::string& path) {
  GeneratorOptions options;
  options.parameters = *GeneratorPreset("v4_flash");
  options.context_tokens = {524'288};
  options.profiles_per_context = 1;
  options.step_count = 512;
  TIERSCOPE_CHECK(GenerateAttentionTrace(options, path).ok());
}

void BM_ContainerRead(benchmark::State& state) {
  const testing::TempFolder folder;
  const std::string path = folder.path() + "/attention.trace";
  GenerateTo(path);
  int64_t bytes = 0;
  for (auto _ : state) {
    const auto reader = ContainerReader::Open(path);
    TIERSCOPE_CHECK(reader.ok());
    TraceRecord record;
    while (*(*reader)->Next(&record)) bytes += static_cast<int64_t>(record.ByteSizeLong());
  }
  state.SetBytesProcessed(bytes);
}
BENCHMARK(BM_ContainerRead)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tierscope

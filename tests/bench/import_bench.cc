// Importing recordings: bytes of the foreign file as they go in, end to end to a finished trace,
// and the decoding alone.
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"

#include "sim/base/check.h"
#include "sim/base/rng.h"
#include "tests/testing/temp_folder.h"
#include "traces/capture_row.h"
#include "traces/import.h"
#include "traces/npy_file.h"

namespace tierscope {
namespace {

constexpr int32_t kLayers = 21;
constexpr int32_t kTopK = 512;
constexpr int64_t kHistory = 131'072;
constexpr int32_t kSteps = 2'049;  // a prompt's last windows; 88 MB

// Rows of distinct entries in no order, of which 0.4 change from one step to the next: more than in
// any published measurement, so sorting and compression are not flattered.
class Rows {
 public:
  Rows() : sets_(kLayers), member_(kLayers, std::vector<bool>(kHistory)) {
    for (int32_t layer = 0; layer < kLayers; ++layer) {
      for (int32_t i = 0; i < kTopK; ++i) sets_[layer].push_back(Fresh(layer));
    }
  }
  void Advance() {
    for (int32_t layer = 0; layer < kLayers; ++layer) {
      for (int32_t& entry : sets_[layer]) {
        if (rng_.NextBelow(10) >= 4) continue;
        member_[layer][entry] = false;
        entry = Fresh(layer);
      }
    }
  }
  const std::vector<int32_t>& layer(int32_t layer) const { return sets_[layer]; }

 private:
  int32_t Fresh(int32_t layer) {
    for (;;) {
      const auto entry = static_cast<int32_t>(rng_.NextBelow(kHistory));
      if (member_[layer][entry]) continue;
      member_[layer][entry] = true;
      return entry;
    }
  }
  Rng rng_{1};
  std::vector<std::vector<int32_t>> sets_;
  std::vector<std::vector<bool>> member_;
};

ImportOptions Options() {
  ImportOptions options;
  options.tokens_per_entry = 4;
  options.prompt_tokens = {kHistory * 4};
  options.prompt_start_tokens = kHistory * 4;
  return options;
}

std::string WriteCapture(const testing::TempFolder& folder) {
  const std::string path = folder.File("capture.npy");
  std::ofstream out(path, std::ios::binary);
  out << NpyHeader(kSteps, kLayers, kTopK);
  Rows rows;
  for (int32_t step = 0; step < kSteps; ++step, rows.Advance()) {
    for (int32_t layer = 0; layer < kLayers; ++layer) {
      out.write(reinterpret_cast<const char*>(rows.layer(layer).data()), 4 * kTopK);
    }
  }
  return path;
}

void BM_ImportCapture(benchmark::State& state) {
  const testing::TempFolder folder;
  const std::vector<std::string> files = {WriteCapture(folder)};
  for (auto _ : state) {
    TIERSCOPE_CHECK(ImportAttentionTrace(files, Options(), folder.File("out.trace")).ok());
  }
  state.SetBytesProcessed(state.iterations() * kSteps * int64_t{kLayers} * kTopK * 4);
}
BENCHMARK(BM_ImportCapture)->Unit(benchmark::kMillisecond);

// Reading blocks of the file and checking every row of them; neither sorting nor writing.
void BM_DecodeCapture(benchmark::State& state) {
  const testing::TempFolder folder;
  const std::string path = WriteCapture(folder);
  constexpr int64_t kBlockRows = 96;
  std::vector<int32_t> block(kBlockRows * kLayers * kTopK);
  for (auto _ : state) {
    const auto source = OpenFileSource(path);
    const auto array = ReadNpyHeader(**source);
    for (int64_t row = 0; row < kSteps; row += kBlockRows) {
      const int64_t count = std::min<int64_t>(kBlockRows, kSteps - row);
      TIERSCOPE_CHECK((*source)
                          ->ReadAt(array->data_offset + row * array->token_bytes(),
                                   reinterpret_cast<char*>(block.data()),
                                   count * array->token_bytes())
                          .ok());
      for (int64_t i = 0; i < count * kLayers; ++i) {
        TIERSCOPE_CHECK(UsedSlots({block.data() + i * kTopK, kTopK}, kHistory) == kTopK);
      }
    }
  }
  state.SetBytesProcessed(state.iterations() * kSteps * int64_t{kLayers} * kTopK * 4);
}
BENCHMARK(BM_DecodeCapture)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tierscope

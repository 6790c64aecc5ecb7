// Importing recordings: bytes of the foreign file as they go in, end to end to a finished trace,
// and the decoding alone.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
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

// The same selections as a step log: two passes over the text.
void BM_ImportStepLog(benchmark::State& state) {
  constexpr int32_t kLogSteps = 513;
  const testing::TempFolder folder;
  const std::string path = folder.File("steps.jsonl");
  {
    std::ofstream out(path, std::ios::binary);
    Rows rows;
    for (int32_t step = 0; step < kLogSteps; ++step, rows.Advance()) {
      for (int32_t layer = 0; layer < kLayers; ++layer) {
        out << "{\"request_id\": \"a\", \"layer_id\": " << layer << ", \"step_idx\": " << step
            << ", \"selected_token_pos\": [" << absl::StrJoin(rows.layer(layer), ", ") << "]}\n";
      }
    }
  }
  ImportOptions options = Options();
  options.tokens_per_entry = 1;
  options.prompt_tokens = {kHistory};
  for (auto _ : state) {
    TIERSCOPE_CHECK(ImportAttentionTrace({path}, options, folder.File("out.trace")).ok());
  }
  state.SetBytesProcessed(state.iterations() *
                          static_cast<int64_t>(std::filesystem::file_size(path)));
}
BENCHMARK(BM_ImportStepLog)->Unit(benchmark::kMillisecond);

// A resident dump of one rank: 96 pages of 64 entries a line.
void BM_ImportResidentDump(benchmark::State& state) {
  const testing::TempFolder folder;
  const std::string path = folder.File("dump.tp0");
  {
    std::ofstream out(path, std::ios::binary);
    for (int64_t tick = 0; tick < 1'024; ++tick) {
      const int64_t history = kHistory + tick * 16;
      std::vector<int64_t> entries;
      for (int64_t page = tick % 7; entries.size() < 96 * 64; page += 21) {
        for (int64_t e = 0; e < 64; ++e) entries.push_back(page * 64 + e);
      }
      out << "{\"cycle\": " << tick << ", \"req\": 1, \"step\": " << tick * 64
          << ", \"n_blk\": " << history << ", \"n_keep\": " << entries.size()
          << ", \"resident_ids\": [" << absl::StrJoin(entries, ", ") << "]}\n";
    }
  }
  ImportOptions options;
  options.threshold = 0.5;
  for (auto _ : state) {
    TIERSCOPE_CHECK(ImportAttentionTrace({path}, options, folder.File("out.trace")).ok());
  }
  state.SetBytesProcessed(state.iterations() *
                          static_cast<int64_t>(std::filesystem::file_size(path)));
}
BENCHMARK(BM_ImportResidentDump)->Unit(benchmark::kMillisecond);

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

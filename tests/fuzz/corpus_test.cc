// Every kept input through its target, with any compiler and without libFuzzer: what once was a
// finding stays none. The inputs are small, so a large allocation is one that a file merely
// claimed.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "google/protobuf/stubs/logging.h"
#include "gtest/gtest.h"

#include "tests/fuzz/allocation_meter.h"
#include "tests/fuzz/inputs.h"
#include "tests/fuzz/targets.h"

namespace tierscope::testing {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> CorpusFiles(const std::string& target) {
  std::vector<fs::path> files;
  const fs::path folder = fs::path(TIERSCOPE_SOURCE_DIR) / "tests/fuzz/corpus" / target;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

// Protobuf reserves up to 50,000,000 bytes for a string whose length lies; no kept input does that.
constexpr size_t kAllocationBytesMax = size_t{4} << 20;

class CorpusTest : public ::testing::TestWithParam<FuzzTarget> {};

TEST_P(CorpusTest, EveryInput) {
  google::protobuf::SetLogHandler(nullptr);
  const std::vector<fs::path> files = CorpusFiles(GetParam().name);
  EXPECT_GE(files.size(), 3u) << GetParam().name;
  for (const fs::path& path : files) {
    std::fprintf(stderr, "%s\n", path.filename().c_str());  // a broken demand aborts: whose
    std::ostringstream bytes;
    bytes << std::ifstream(path, std::ios::binary).rdbuf();
    const std::string input = bytes.str();
    TakeLargestAllocation();
    GetParam().run(input);
    EXPECT_LE(TakeLargestAllocation(), kAllocationBytesMax) << path;
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, CorpusTest, ::testing::ValuesIn(kFuzzTargets),
                         [](const ::testing::TestParamInfo<FuzzTarget>& target) {
                           return target.param.name;
                         });

// The import corpora hold inputs that are imported, not refusals alone.
TEST(ImportCorpusTest, HasGoodInputs) {
  for (const char* name :
       {"import_npy/good", "import_safetensors/good", "import_jsonl/resident", "import_jsonl/steps",
        "import_jsonl/sglang", "import_jsonl/vllm", "import_recording/good"}) {
    const fs::path file = fs::path(TIERSCOPE_SOURCE_DIR) / "tests/fuzz/corpus" / name;
    const auto result = ImportAttentionTrace({file.string()}, SmallImport(), ScratchPath());
    EXPECT_TRUE(result.ok()) << name << ": " << result.status();
  }
}

}  // namespace
}  // namespace tierscope::testing

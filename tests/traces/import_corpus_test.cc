// The fuzz targets' corpus, replayed in every build: nothing in it crashes, hangs or is misread.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "gtest/gtest.h"

#include "tests/fuzz/import_inputs.h"

namespace tierscope {
namespace {

int Replay(const std::string& target, void (*import)(const uint8_t*, size_t)) {
  int inputs = 0;
  const std::string folder = std::string(TIERSCOPE_SOURCE_DIR) + "/tests/fuzz/corpus/" + target;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(file.path(), std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(in), {});
    import(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    ++inputs;
  }
  return inputs;
}

TEST(ImportCorpusTest, Replays) {
  EXPECT_GE(Replay("import_npy", fuzz::ImportNpyInput), 7);
  EXPECT_GE(Replay("import_safetensors", fuzz::ImportSafetensorsInput), 5);
  EXPECT_GE(Replay("import_jsonl", fuzz::ImportJsonlInput), 9);
  EXPECT_GE(Replay("import_recording", fuzz::ImportRecordingInput), 1);
}

// The corpus holds inputs that are imported, not refusals alone.
TEST(ImportCorpusTest, HasGoodInputs) {
  for (const char* name :
       {"import_npy/good", "import_safetensors/good", "import_jsonl/resident", "import_jsonl/steps",
        "import_jsonl/sglang", "import_jsonl/vllm", "import_recording/good"}) {
    const std::string file = std::string(TIERSCOPE_SOURCE_DIR) + "/tests/fuzz/corpus/" + name;
    const std::string out = fuzz::ScratchFile("corpus");
    const auto result = ImportAttentionTrace({file}, fuzz::SmallOptions(), out);
    EXPECT_TRUE(result.ok()) << name << ": " << result.status();
    std::filesystem::remove(out);
  }
}

}  // namespace
}  // namespace tierscope

// `tierscope trace import` as a user meets it: what it prints, exit codes, one line for every
// refusal.
#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "tests/testing/command.h"
#include "tests/testing/temp_folder.h"

namespace tierscope {
namespace {

using testing::CommandOutput;
using testing::RunTierscope;

std::string Corpus(const std::string& name) {
  return absl::StrCat(TIERSCOPE_SOURCE_DIR, "/tests/fuzz/corpus/", name);
}

constexpr char kCapture[] =
    " --tokens-per-entry=1 --prompt-tokens=10 --prompt-start=10 --tick-stride=2 --out=";

TEST(TraceImportCliTest, ImportThenInfo) {
  const testing::TempFolder folder;
  const std::string out = folder.File("t.trace");
  const CommandOutput made =
      RunTierscope("trace import " + Corpus("import_npy/good") + kCapture + out);
  EXPECT_EQ(made.exit_code, 0) << made.err;
  EXPECT_TRUE(
      absl::StrContains(made.err, out + ": indexer top-k capture, 1 profiles, 6 records, digest "))
      << made.err;
  const CommandOutput info = RunTierscope("trace info " + out);
  EXPECT_EQ(info.exit_code, 0) << info.err;
  EXPECT_TRUE(absl::StrContains(info.out, "recorded with an indexer top-k capture, good"));
  EXPECT_TRUE(absl::StrContains(info.out, "holds no attention weights or labels"));
  EXPECT_TRUE(absl::StrContains(info.out, "holds no scores with selections"));
  const CommandOutput again =
      RunTierscope("trace import " + Corpus("import_npy/good") + kCapture + out);
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_TRUE(absl::StrContains(again.err, "--overwrite"));
}

TEST(TraceImportCliTest, RefusalsAreOneLineAndLeaveNoFile) {
  const testing::TempFolder folder;
  const std::string out = folder.File("t.trace");
  for (const auto& [file, what] : std::vector<std::pair<std::string, std::string>>{
           {"import_npy/float", "dtype '<f4'"},
           {"import_npy/fortran", "Fortran order"},
           {"import_npy/beyond_history", "the history holds"},
           {"import_safetensors/nan", "is no whole number"},
           {"import_jsonl/resident", "--threshold is needed"},
           {"import_jsonl/steps_cut", "cut JSON"}}) {
    const CommandOutput refused = RunTierscope("trace import " + Corpus(file) + kCapture + out);
    EXPECT_EQ(refused.exit_code, 2) << file;
    EXPECT_TRUE(absl::StrContains(refused.err, what)) << refused.err;
    EXPECT_EQ(std::count(refused.err.begin(), refused.err.end(), '\n'), 1) << refused.err;
    EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << file;
  }
  const CommandOutput two = RunTierscope("trace import " + Corpus("import_npy/good") + " " +
                                         Corpus("import_jsonl/steps") + kCapture + out);
  EXPECT_TRUE(absl::StrContains(two.err, "another format")) << two.err;
}

TEST(TraceImportCliTest, IndexerEvidenceOfAGeneratedTrace) {
  const testing::TempFolder folder;
  const std::string trace = folder.File("t.trace");
  ASSERT_EQ(RunTierscope("trace generate --context-tokens=16384 --profiles=1 --steps=128 --set "
                         "weight_window_stride=1 --out=" +
                         trace)
                .exit_code,
            0);
  const CommandOutput table = RunTierscope("trace info " + trace);
  EXPECT_TRUE(absl::StrContains(table.out, "against golden entries: 2 windows")) << table.out;
  EXPECT_TRUE(absl::StrContains(table.out, "against native selections: 2 windows"));
  const CommandOutput json = RunTierscope("trace info --format=json " + trace);
  for (const char* key : {"\"indexer\":{\"golden\":{", "\"selected\":{", "\"auc\":", "\"f1\":",
                          "\"calibration_error\":", "\"needed_fraction\":"}) {
    EXPECT_TRUE(absl::StrContains(json.out, key)) << key;
  }
}

}  // namespace
}  // namespace tierscope

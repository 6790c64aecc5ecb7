// The recorder against what it was given: whole recordings, crashes, drops, wrong calls, threads.
#include "traces/recorder.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/testing/foreign_formats.h"
#include "tests/testing/temp_folder.h"
#include "traces/import.h"
#include "traces/indexer_quality.h"

namespace tierscope {
namespace {

using testing::LoadProfiles;
using testing::RecordedProfile;

constexpr int32_t kLayers = 3, kTopK = 8, kStride = 4;
constexpr int64_t kPrompt = 100;

tierscope_recorder_options Options() {
  tierscope_recorder_options options = {};
  options.version = TIERSCOPE_RECORDER_VERSION;
  options.tokens_per_entry = 1;
  options.layer_count = kLayers;
  options.top_k = kTopK;
  options.tick_stride_steps = kStride;
  options.segment_steps = 2 * kStride;
  options.saw_full_history = 1;
  options.score_floor_code = -1;
  options.model = "toy";
  options.tool = "a stand-in engine loop";
  return options;
}

tierscope_recorder* Open(const std::string& path, const tierscope_recorder_options& options) {
  char error[256] = "";
  tierscope_recorder* recorder =
      tierscope_recorder_open(path.c_str(), &options, error, sizeof error);
  EXPECT_NE(recorder, nullptr) << error;
  return recorder;
}

// What the stand-in engine selects: the same for a request and step whenever it is asked.
std::vector<int32_t> EntriesOf(uint64_t request, int32_t step) {
  Rng rng(request * 1000 + static_cast<uint64_t>(step));
  std::vector<int32_t> entries;
  for (int32_t layer = 0; layer < kLayers; ++layer) {
    std::map<int32_t, bool> chosen;
    while (chosen.size() < kTopK) {
      chosen[static_cast<int32_t>(rng.NextBelow(static_cast<uint64_t>(kPrompt + step)))] = true;
    }
    std::vector<int32_t> row;
    for (const auto& [entry, unused] : chosen) row.push_back(entry);
    std::swap(row[0], row[kTopK - 1]);
    entries.insert(entries.end(), row.begin(), row.end());
  }
  return entries;
}

int Step(tierscope_recorder* recorder, uint64_t request, int32_t step) {
  return tierscope_recorder_step(recorder, request, step, EntriesOf(request, step).data(), nullptr);
}

void Close(tierscope_recorder* recorder) {
  char error[256] = "";
  EXPECT_EQ(tierscope_recorder_close(recorder, error, sizeof error), TIERSCOPE_OK) << error;
}

void ExpectSelections(const RecordedProfile& profile, uint64_t request, int32_t first_step) {
  ASSERT_EQ(profile.selections.size(), static_cast<size_t>(profile.header.step_count()) + 1);
  for (size_t s = 0; s < profile.selections.size(); ++s) {
    const std::vector<int32_t> entries = EntriesOf(request, first_step + static_cast<int32_t>(s));
    for (size_t layer = 0; layer < kLayers; ++layer) {
      std::vector<uint32_t> expected(entries.begin() + layer * kTopK,
                                     entries.begin() + (layer + 1) * kTopK);
      std::sort(expected.begin(), expected.end());
      EXPECT_EQ(profile.selections[s][layer], expected) << "step " << s << " layer " << layer;
    }
  }
}

ImportResult Import(const std::string& from, const std::string& to) {
  auto result = ImportAttentionTrace({from}, ImportOptions(), to);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *result : ImportResult();
}

TEST(RecorderTest, TwoRequestsInterleaved) {
  const testing::TempFolder folder;
  tierscope_recorder* recorder = Open(folder.File("r.trace"), Options());
  EXPECT_TRUE(std::filesystem::exists(folder.File("r.trace.recording")));
  for (const uint64_t request : {7u, 9u}) {
    EXPECT_EQ(tierscope_recorder_begin(recorder, request, kPrompt), TIERSCOPE_OK);
  }
  for (int32_t step = 0; step <= 26; ++step) {
    for (const uint64_t request : {7u, 9u}) {
      if (request == 9 && step > 10) continue;
      EXPECT_EQ(Step(recorder, request, step), TIERSCOPE_OK);
    }
    if (step == 10) {
      EXPECT_EQ(tierscope_recorder_end(recorder, 9), TIERSCOPE_OK);
    }
  }
  Close(recorder);
  EXPECT_FALSE(std::filesystem::exists(folder.File("r.trace.recording")));
  // As it is, every piece is a profile.
  EXPECT_EQ(LoadProfiles(folder.File("r.trace")).size(), 4u);
  const ImportResult result = Import(folder.File("r.trace"), folder.File("joined.trace"));
  const std::vector<RecordedProfile> profiles = LoadProfiles(folder.File("joined.trace"));
  ASSERT_EQ(profiles.size(), 2u);
  EXPECT_EQ(profiles[0].header.step_count(), 24);
  EXPECT_EQ(profiles[1].header.step_count(), 8);
  EXPECT_EQ(profiles[0].header.prompt_tokens(), kPrompt);
  EXPECT_EQ(profiles[0].header.provenance().recorded_with(),
            "tierscope recorder, a stand-in engine loop");
  ExpectSelections(profiles[0], 7, 0);
  ExpectSelections(profiles[1], 9, 0);
  EXPECT_TRUE(absl::StrContains(absl::StrJoin(result.notes, "\n"), "4 steps filled no tick stride"))
      << absl::StrJoin(result.notes, "\n");
}

TEST(RecorderTest, ScoresAndLogits) {
  const testing::TempFolder folder;
  tierscope_recorder_options options = Options();
  const int32_t targets[] = {0, 2};
  options.target_layers = targets;
  options.target_layer_count = 2;
  options.score_floor_code = 64;
  tierscope_recorder* recorder = Open(folder.File("r.trace"), options);
  tierscope_recorder_begin(recorder, 1, kPrompt);
  // All layers attend to entry 5 alone, which scores high; entry 6 scores high for nothing.
  std::vector<float> logits(kLayers * kTopK, 0.0f);
  std::vector<int32_t> entries;
  for (int32_t layer = 0; layer < kLayers; ++layer) {
    for (int32_t k = 0; k < kTopK; ++k) entries.push_back(k == 3 ? 5 : 10 + k);
    logits[static_cast<size_t>(layer * kTopK + 3)] = 20.0f;
  }
  const uint32_t scored[] = {5, 6, 20};
  const uint8_t codes[] = {250, 200, 70};
  for (int32_t step = 0; step <= 16; ++step) {
    EXPECT_EQ(tierscope_recorder_step(recorder, 1, step, entries.data(), logits.data()),
              TIERSCOPE_OK);
    if (step % kStride != 0) continue;
    for (const int32_t layer : targets) {
      EXPECT_EQ(tierscope_recorder_tick(recorder, 1, step, layer, scored, codes, 3), TIERSCOPE_OK);
    }
  }
  Close(recorder);
  Import(folder.File("r.trace"), folder.File("joined.trace"));
  const RecordedProfile profile = LoadProfiles(folder.File("joined.trace"))[0];
  EXPECT_EQ(profile.header.step_count(), 16);
  EXPECT_FALSE(profile.header.no_scores());
  IndexerQualityOptions quality;
  quality.window_steps = 8;
  const auto counts = CountIndexerQuality(folder.File("joined.trace"), quality);
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_EQ((*counts)[0].golden_windows, 2);
  EXPECT_EQ((*counts)[0].golden_entries, 2);
  const IndexerEvidence golden = EvidenceOf((*counts)[0].golden, {0.5});
  EXPECT_EQ(golden.thresholds[0].precision, 0.5);
  EXPECT_EQ(golden.thresholds[0].recall, 1.0);
}

// A process that dies leaves what it had written, readable.
TEST(RecorderTest, ACrashLeavesEveryWholePiece) {
  const testing::TempFolder folder;
  const std::string path = folder.File("r.trace");
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    tierscope_recorder_options options = Options();
    tierscope_recorder* recorder = tierscope_recorder_open(path.c_str(), &options, nullptr, 0);
    tierscope_recorder_begin(recorder, 3, kPrompt);
    for (int32_t step = 0; step <= 1000; ++step) Step(recorder, 3, step);
    for (;;) {  // until the writer has 40 pieces out
      tierscope_recorder_counts counts;
      tierscope_recorder_get_counts(recorder, &counts);
      if (counts.recorded_steps > 8 * 41) kill(getpid(), SIGKILL);
      usleep(1000);
    }
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(std::filesystem::exists(path));
  const ImportResult result = Import(path + ".recording", folder.File("joined.trace"));
  EXPECT_TRUE(absl::StrContains(absl::StrJoin(result.notes, "\n"), "was not closed"));
  const std::vector<RecordedProfile> profiles = LoadProfiles(folder.File("joined.trace"));
  ASSERT_EQ(profiles.size(), 1u);
  EXPECT_GE(profiles[0].header.step_count(), 8 * 40);
  ExpectSelections(profiles[0], 3, 0);
}

// Cut at every length, a recording gives an error or a prefix of its pieces.
TEST(RecorderTest, CutAnywhere) {
  const testing::TempFolder folder;
  tierscope_recorder* recorder = Open(folder.File("r.trace"), Options());
  tierscope_recorder_begin(recorder, 3, kPrompt);
  for (int32_t step = 0; step <= 24; ++step) Step(recorder, 3, step);
  Close(recorder);
  std::ifstream in(folder.File("r.trace"), std::ios::binary);
  const std::string whole(std::istreambuf_iterator<char>(in), {});
  int32_t best = 0;
  for (size_t length = 30; length < whole.size(); ++length) {
    const std::string path = folder.Write("cut.recording", whole.substr(0, length));
    const auto format = DetectImportFormat(path);
    if (!format.ok() || *format != ImportFormat::kRecording) continue;
    const auto result = ImportAttentionTrace({path}, ImportOptions(), folder.File("out.trace"));
    if (!result.ok()) continue;
    const RecordedProfile profile = LoadProfiles(folder.File("out.trace"))[0];
    EXPECT_GE(profile.header.step_count(), best);
    best = profile.header.step_count();
    ExpectSelections(profile, 3, 0);
  }
  EXPECT_EQ(best, 24);
}

// With no memory to spare steps are dropped, counted and declared; what is recorded is right.
TEST(RecorderTest, DropsAreCountedAndDeclared) {
  const testing::TempFolder folder;
  tierscope_recorder_options options = Options();
  // Fewer steps than wake the writer: so many calls in a row must lose some.
  options.memory_bytes_max = 12 * kLayers * kTopK * 4;
  tierscope_recorder* recorder = Open(folder.File("r.trace"), options);
  tierscope_recorder_begin(recorder, 3, kPrompt);
  int64_t dropped = 0, recorded = 0;
  for (int32_t step = 0; step < 30; ++step) {
    const int status = Step(recorder, 3, step);
    ASSERT_TRUE(status == TIERSCOPE_OK || status == TIERSCOPE_DROPPED) << status;
    ++(status == TIERSCOPE_OK ? recorded : dropped);
  }
  EXPECT_GT(dropped, 0);
  EXPECT_GE(recorded, 12);
  tierscope_recorder_counts counts;
  tierscope_recorder_get_counts(recorder, &counts);
  EXPECT_EQ(counts.dropped_steps, dropped);
  Close(recorder);
  const ImportResult result = Import(folder.File("r.trace"), folder.File("joined.trace"));
  EXPECT_TRUE(absl::StrContains(absl::StrJoin(result.notes, "\n"),
                                absl::StrCat("dropped ", dropped, " steps")))
      << absl::StrJoin(result.notes, "\n");
  ExpectSelections(LoadProfiles(folder.File("joined.trace"))[0], 3, 0);
}

// Steps that the caller leaves out open another profile behind the gap, where a tick stands.
TEST(RecorderTest, GapsSplitProfiles) {
  const testing::TempFolder folder;
  tierscope_recorder* recorder = Open(folder.File("r.trace"), Options());
  tierscope_recorder_begin(recorder, 3, kPrompt);
  for (int32_t step = 0; step <= 24; ++step) {
    if (step == 10) continue;
    EXPECT_EQ(Step(recorder, 3, step), TIERSCOPE_OK);
  }
  Close(recorder);
  Import(folder.File("r.trace"), folder.File("joined.trace"));
  const std::vector<RecordedProfile> profiles = LoadProfiles(folder.File("joined.trace"));
  ASSERT_EQ(profiles.size(), 2u);
  EXPECT_EQ(profiles[0].header.step_count(), 8);
  EXPECT_EQ(profiles[1].header.prompt_tokens(), kPrompt + 12);
  EXPECT_EQ(profiles[1].header.step_count(), 12);
  ExpectSelections(profiles[1], 3, 12);
}

TEST(RecorderTest, WrongCallsAreRefusedAndTheRestIsRecorded) {
  const testing::TempFolder folder;
  tierscope_recorder* recorder = Open(folder.File("r.trace"), Options());
  EXPECT_EQ(Step(recorder, 3, 0), TIERSCOPE_REFUSED);
  EXPECT_EQ(std::string(tierscope_recorder_error(recorder)),
            "request 3, step 0: the request has not begun");
  EXPECT_EQ(tierscope_recorder_begin(recorder, 3, -1), TIERSCOPE_REFUSED);
  EXPECT_EQ(tierscope_recorder_begin(recorder, 3, kPrompt), TIERSCOPE_OK);
  EXPECT_EQ(tierscope_recorder_begin(recorder, 3, kPrompt), TIERSCOPE_REFUSED);
  EXPECT_EQ(tierscope_recorder_end(recorder, 4), TIERSCOPE_REFUSED);
  for (int32_t step = 0; step <= 20; ++step) {
    std::vector<int32_t> entries = EntriesOf(3, step);
    if (step == 9) entries[4] = 5'000;  // outside the history: found by the writer
    EXPECT_EQ(tierscope_recorder_step(recorder, 3, step, entries.data(), nullptr), TIERSCOPE_OK);
    EXPECT_EQ(tierscope_recorder_step(recorder, 3, step, entries.data(), nullptr),
              TIERSCOPE_REFUSED);
  }
  EXPECT_EQ(tierscope_recorder_tick(recorder, 3, 20, 0, nullptr, nullptr, 0), TIERSCOPE_REFUSED);
  Close(recorder);
  const ImportResult result = Import(folder.File("r.trace"), folder.File("joined.trace"));
  EXPECT_TRUE(absl::StrContains(absl::StrJoin(result.notes, "\n"), "refused 1 wrong steps"));
  const std::vector<RecordedProfile> profiles = LoadProfiles(folder.File("joined.trace"));
  ASSERT_EQ(profiles.size(), 2u);
  ExpectSelections(profiles[0], 3, 0);
  ExpectSelections(profiles[1], 3, 12);
}

TEST(RecorderTest, OpenSaysWhatIsWrong) {
  const testing::TempFolder folder;
  const auto error_of = [](const std::string& path, const tierscope_recorder_options& options) {
    char error[512] = "";
    EXPECT_EQ(tierscope_recorder_open(path.c_str(), &options, error, sizeof error), nullptr);
    return std::string(error);
  };
  tierscope_recorder_options options = Options();
  EXPECT_TRUE(absl::StrContains(error_of("/no/such/folder/x", options), "/no/such/folder/x"));
  options.layer_count = 0;
  EXPECT_TRUE(absl::StrContains(error_of(folder.File("x"), options), "csa_layer_count = 0"));
  options = Options();
  options.version = 0;
  EXPECT_TRUE(absl::StrContains(error_of(folder.File("x"), options), "version"));
  options = Options();
  options.segment_steps = 5;
  EXPECT_TRUE(absl::StrContains(error_of(folder.File("x"), options), "multiple"));
}

TEST(RecorderTest, ManyThreads) {
  const testing::TempFolder folder;
  tierscope_recorder* recorder = Open(folder.File("r.trace"), Options());
  std::vector<std::thread> threads;
  for (uint64_t request = 0; request < 8; ++request) {
    threads.emplace_back([recorder, request] {
      tierscope_recorder_begin(recorder, request, kPrompt);
      for (int32_t step = 0; step <= 64; ++step) Step(recorder, request, step);
      tierscope_recorder_end(recorder, request);
    });
  }
  for (std::thread& thread : threads) thread.join();
  Close(recorder);
  Import(folder.File("r.trace"), folder.File("joined.trace"));
  const std::vector<RecordedProfile> profiles = LoadProfiles(folder.File("joined.trace"));
  ASSERT_EQ(profiles.size(), 8u);
  for (uint64_t request = 0; request < 8; ++request) {
    EXPECT_EQ(profiles[request].header.step_count(), 64);
    ExpectSelections(profiles[request], request, 0);
  }
}

}  // namespace
}  // namespace tierscope

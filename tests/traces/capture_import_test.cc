// Indexer top-k captures: round trips and every refusal.
#include "traces/capture_import.h"

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/testing/foreign_formats.h"
#include "tests/testing/temp_folder.h"
#include "traces/generator.h"
#include "traces/import.h"

namespace tierscope {
namespace {

using testing::AsNpy;
using testing::LoadProfiles;
using testing::RecordedProfile;

// Two requests of 16K tokens and 64 steps with selections per layer.
std::string GenerateSmall(const testing::TempFolder& folder) {
  GeneratorOptions options;
  options.parameters = *GeneratorPreset("v4_flash");
  options.context_tokens = {16'384};
  options.profiles_per_context = 2;
  options.step_count = 64;
  options.per_layer = true;
  const std::string path = folder.File("generated.trace");
  EXPECT_TRUE(GenerateAttentionTrace(options, path).ok());
  return path;
}

ImportOptions V4Options(int64_t prompt_tokens) {
  ImportOptions options;
  options.tokens_per_entry = 4;
  options.prompt_tokens = {prompt_tokens};
  return options;
}

std::string ImportError(const std::vector<std::string>& files, const ImportOptions& options,
                        const testing::TempFolder& folder) {
  const auto result = ImportAttentionTrace(files, options, folder.File("refused.trace"));
  EXPECT_FALSE(result.ok()) << "was imported";
  EXPECT_FALSE(std::filesystem::exists(folder.File("refused.trace")));
  const std::string message(result.status().message());
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return message;
}

TEST(CaptureImportTest, RoundTripOfSeveralFiles) {
  const testing::TempFolder folder;
  const std::vector<RecordedProfile> profiles = LoadProfiles(GenerateSmall(folder));
  ASSERT_EQ(profiles.size(), 2u);
  // Seven rows of the prompt's end stand before the decode steps.
  ImportOptions options = V4Options(16'384);
  options.prompt_start_tokens = 16'384 - 7;
  std::vector<std::string> files;
  for (size_t i = 0; i < 2; ++i) {
    files.push_back(folder.Write(absl::StrCat(i, ".npy"), AsNpy(profiles[i], 7)));
  }
  const auto result = ImportAttentionTrace(files, options, folder.File("out.trace"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->profiles, 2);
  EXPECT_TRUE(result->notes.empty());
  const std::vector<RecordedProfile> imported = LoadProfiles(folder.File("out.trace"));
  ASSERT_EQ(imported.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(imported[i].selections, profiles[i].selections);
    const ProfileHeader& header = imported[i].header;
    EXPECT_EQ(header.prompt_tokens(), 16'384);
    EXPECT_EQ(header.step_count(), 64);
    EXPECT_EQ(header.top_k(), 512);
    EXPECT_EQ(header.csa_layer_count(), 21);
    EXPECT_EQ(header.tick_stride_steps(), 16);
    EXPECT_TRUE(header.no_scores());
    EXPECT_EQ(header.selections(), SELECTIONS_FULL_HISTORY);
    EXPECT_TRUE(absl::StrContains(header.provenance().recorded_with(), absl::StrCat(i, ".npy")));
  }
}

// A profile of one layer and top 3: prompt 10 tokens, an entry a token, so step s sees 11 + s.
RecordedProfile Tiny() {
  RecordedProfile profile;
  profile.header.set_csa_layer_count(1);
  profile.header.set_top_k(3);
  for (uint32_t step = 0; step <= 4; ++step) profile.selections.push_back({{0, 5, 10 + step}});
  return profile;
}

ImportOptions TinyOptions() {
  ImportOptions options;
  options.tokens_per_entry = 1;
  options.prompt_tokens = {10};
  options.prompt_start_tokens = 10;
  options.tick_stride_steps = 2;
  return options;
}

TEST(CaptureImportTest, StepsBehindTheLastStrideAreLeftOutAndSaid) {
  const testing::TempFolder folder;
  RecordedProfile profile = Tiny();
  profile.selections.push_back({{1, 2, 15}});
  const auto result = ImportAttentionTrace({folder.Write("a.npy", AsNpy(profile, 0))},
                                           TinyOptions(), folder.File("out.trace"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(LoadProfiles(folder.File("out.trace"))[0].header.step_count(), 4);
  ASSERT_EQ(result->notes.size(), 1u);
  EXPECT_TRUE(absl::StrContains(result->notes[0], "the last 1 steps")) << result->notes[0];
}

// Rows that pad are read where the history is short or the indexer saw a part of it.
TEST(CaptureImportTest, PaddingAtTheEndOfARow) {
  const testing::TempFolder folder;
  RecordedProfile profile = Tiny();
  profile.selections[3] = {{4}};
  const std::string file = folder.Write("a.npy", AsNpy(profile, 0));
  EXPECT_TRUE(absl::StrContains(ImportError({file}, TinyOptions(), folder),
                                "decode step 3, layer 0: 1 slots are used where"));
  ImportOptions options = TinyOptions();
  options.selections = SELECTIONS_RESIDENT_ONLY;
  ASSERT_TRUE(ImportAttentionTrace({file}, options, folder.File("out.trace")).ok());
  const RecordedProfile imported = LoadProfiles(folder.File("out.trace"))[0];
  EXPECT_EQ(imported.selections, profile.selections);
  EXPECT_EQ(imported.header.selections(), SELECTIONS_RESIDENT_ONLY);
}

// The bytes of Tiny() with one int32 replaced.
std::string WithWord(int64_t step, int64_t slot, int32_t value) {
  std::string bytes = AsNpy(Tiny(), 0);
  const size_t header_bytes = bytes.size() - 5 * 3 * 4;
  std::memcpy(bytes.data() + header_bytes + (step * 3 + slot) * 4, &value, 4);
  return bytes;
}

TEST(CaptureImportTest, WrongValuesAreNamedWithTheirPlace) {
  const testing::TempFolder folder;
  const auto error = [&folder](const std::string& bytes) {
    return ImportError({folder.Write("a.npy", bytes)}, TinyOptions(), folder);
  };
  // The header takes 128 bytes; step 2 begins at 128 + 2 * 12.
  EXPECT_EQ(error(WithWord(2, 1, 13)),
            folder.File("a.npy") +
                ": offset 152: decode step 2, layer 0: slot 1 is entry 13, the history holds 13; "
                "capture positions within the request (not cache slots), pad at the end of a row, "
                "and check --prompt-tokens, --prompt-start and --tokens-per-entry");
  for (const auto& [value, what] : std::vector<std::pair<int32_t, std::string>>{
           {-2, "is -2"}, {2'000'000'000, "is entry 2000000000"}}) {
    EXPECT_TRUE(absl::StrContains(error(WithWord(0, 2, value)), "slot 2 " + what)) << value;
  }
  std::string gap = WithWord(1, 0, -1);
  std::string front = AsNpy(Tiny(), 0);
  EXPECT_TRUE(absl::StrContains(error(gap), "in front of used slot 2"));
  RecordedProfile twice = Tiny();
  twice.selections[4] = {{7, 7, 8}};
  EXPECT_TRUE(absl::StrContains(error(AsNpy(twice, 0)), "step 4, layer 0: 1 slots name an entry"));
}

TEST(CaptureImportTest, WrongFilesAreRefused) {
  const testing::TempFolder folder;
  const std::string good = AsNpy(Tiny(), 0);
  const auto error = [&folder](const std::string& bytes) {
    return ImportError({folder.Write("a.npy", bytes)}, TinyOptions(), folder);
  };
  const auto with = [&good](const std::string& from, const std::string& to) {
    std::string bytes = good;
    bytes.replace(bytes.find(from), from.size(), to);
    return bytes;
  };
  EXPECT_TRUE(absl::StrContains(error(with("<i4", "<f4")), "dtype '<f4', expected '<i4'"));
  EXPECT_TRUE(absl::StrContains(error(with("<i4", ">i4")), "dtype '>i4'"));
  EXPECT_TRUE(absl::StrContains(error(with("<i4", "<i8")), "dtype '<i8'"));
  EXPECT_TRUE(absl::StrContains(error(with("False", "True ")), "Fortran order"));
  EXPECT_TRUE(absl::StrContains(error(with("(5, 1, 3)", "(5, 1*3) ")), "no tuple"));
  EXPECT_TRUE(absl::StrContains(error(with("(5, 1, 3)", "(15, 3)  ")), "2 dimensions"));
  EXPECT_TRUE(absl::StrContains(error(with("(5, 1, 3)", "(5, 0, 3)")), "layers dimension 0"));
  EXPECT_TRUE(absl::StrContains(error(with("(5, 1, 3)", "(-5,1, 3)")), "tokens dimension -5"));
  EXPECT_TRUE(absl::StrContains(error(with("(5, 1, 3)", "(6, 1, 3)")), "the file is cut"));
  EXPECT_TRUE(absl::StrContains(error(with("(5, 1, 3)", "(4, 1, 3)")), "bytes behind the array"));
  EXPECT_TRUE(absl::StrContains(error(std::string("\x80\x04\x95\x00", 4)), "a pickle"));
  std::string versioned = good;
  versioned[6] = 9;
  EXPECT_TRUE(absl::StrContains(error(versioned), "unknown version"));
  // A cut anywhere.
  for (size_t length = 6; length < good.size(); ++length) {
    const std::string message = error(good.substr(0, length));
    EXPECT_EQ(message.find(folder.File("a.npy") + ": offset"), 0u) << message;
  }
}

TEST(CaptureImportTest, NothingIsGuessed) {
  const testing::TempFolder folder;
  const std::string file = folder.Write("a.npy", AsNpy(Tiny(), 0));
  ImportOptions options = TinyOptions();
  options.tokens_per_entry = 0;
  EXPECT_TRUE(absl::StrContains(ImportError({file}, options, folder), "--tokens-per-entry"));
  options = TinyOptions();
  options.prompt_tokens = {};
  EXPECT_TRUE(absl::StrContains(ImportError({file}, options, folder), "--prompt-tokens names 0"));
  options.prompt_tokens = {10, 10};
  EXPECT_TRUE(absl::StrContains(ImportError({file}, options, folder), "2 prompts for 1"));
  options.prompt_tokens = {9};
  EXPECT_TRUE(absl::StrContains(ImportError({file}, options, folder), "hold 0 decode steps"));
  options = TinyOptions();
  options.tick_stride_steps = 5;
  EXPECT_TRUE(absl::StrContains(ImportError({file}, options, folder), "lower --tick-stride"));
  const std::string other = folder.Write("b.jsonl", "{}");
  EXPECT_TRUE(
      absl::StrContains(ImportError({file, other}, TinyOptions(), folder), "another format"));
}

TEST(CaptureImportTest, DamagedBytesGiveAnErrorOrAValidTrace) {
  const testing::TempFolder folder;
  Rng rng(3);
  const std::string good = AsNpy(Tiny(), 0);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = good;
    for (uint64_t i = 0; i <= rng.NextBelow(3); ++i) {
      bytes[rng.NextBelow(bytes.size())] = static_cast<char>(rng.NextBelow(256));
    }
    const auto result = ImportAttentionTrace({folder.Write("a.npy", bytes)}, TinyOptions(),
                                             folder.File("out.trace"));
    if (result.ok()) LoadProfiles(folder.File("out.trace"));
  }
}

}  // namespace
}  // namespace tierscope

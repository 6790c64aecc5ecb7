// Step logs and responses with captures: round trips and every refusal.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/testing/foreign_formats.h"
#include "tests/testing/temp_folder.h"
#include "traces/generator.h"
#include "traces/import.h"

namespace tierscope {
namespace {

using testing::LoadProfiles;
using testing::RecordedProfile;

std::vector<RecordedProfile> GenerateSmall(const testing::TempFolder& folder) {
  GeneratorOptions options;
  options.parameters = *GeneratorPreset("v4_flash");
  options.context_tokens = {8'192};
  options.profiles_per_context = 2;
  options.step_count = 32;
  options.per_layer = true;
  const std::string path = folder.File("generated.trace");
  EXPECT_TRUE(GenerateAttentionTrace(options, path).ok());
  return LoadProfiles(path);
}

std::string ImportError(const std::string& file, const ImportOptions& options,
                        const testing::TempFolder& folder) {
  const auto result = ImportAttentionTrace({file}, options, folder.File("refused.trace"));
  EXPECT_FALSE(result.ok()) << "was imported";
  const std::string message(result.status().message());
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return message;
}

TEST(StepImportTest, RoundTripOfInterleavedRequests) {
  const testing::TempFolder folder;
  const std::vector<RecordedProfile> profiles = GenerateSmall(folder);
  ImportOptions options;
  options.tokens_per_entry = 4;
  options.prompt_tokens = {8'192};
  const auto result = ImportAttentionTrace({folder.Write("log", AsStepLog(profiles))}, options,
                                           folder.File("out.trace"));
  ASSERT_TRUE(result.ok()) << result.status();
  const std::vector<RecordedProfile> imported = LoadProfiles(folder.File("out.trace"));
  ASSERT_EQ(imported.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(imported[i].selections, profiles[i].selections);
    EXPECT_EQ(imported[i].header.prompt_tokens(), 8'192);
  }
}

std::string Line(const std::string& request, int layer, int step, const std::string& positions,
                 const std::string& more = "") {
  return absl::StrCat("{\"request_id\":", request, ",\"layer_id\":", layer, ",\"step_idx\":", step,
                      more, ",\"selected_token_pos\":[", positions, "]}\n");
}

// Two layers, steps 0 to 2 of request 7, lines in no order.
std::vector<std::string> TinyLines() {
  return {Line("7", 9, 1, "3,1"),  Line("7", 4, 0, "0,2", ",\"prompt_tokens\":10"),
          Line("7", 4, 1, "11,5"), Line("7", 9, 0, "10,4"),
          Line("7", 9, 2, "2,3"),  Line("7", 4, 2, "12,1")};
}

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

ImportOptions TinyOptions() {
  ImportOptions options;
  options.tokens_per_entry = 1;
  options.tick_stride_steps = 2;
  return options;
}

TEST(StepImportTest, LinesAreSortedLayersNumbered) {
  const testing::TempFolder folder;
  const auto result = ImportAttentionTrace({folder.Write("log", Joined(TinyLines()))},
                                           TinyOptions(), folder.File("out.trace"));
  ASSERT_TRUE(result.ok()) << result.status();
  const RecordedProfile profile = LoadProfiles(folder.File("out.trace"))[0];
  const std::vector<std::vector<std::vector<uint32_t>>> expected = {
      {{0, 2}, {4, 10}}, {{5, 11}, {1, 3}}, {{1, 12}, {2, 3}}};
  EXPECT_EQ(profile.selections, expected);
  EXPECT_EQ(profile.header.prompt_tokens(), 10);
  EXPECT_EQ(profile.header.top_k(), 2);
}

TEST(StepImportTest, WrongLogsAreNamedWithTheirLine) {
  const testing::TempFolder folder;
  const std::string file = folder.File("log");
  const auto error = [&](const std::vector<std::string>& lines) {
    folder.Write("log", Joined(lines));
    return ImportError(file, TinyOptions(), folder);
  };
  const auto with = [](size_t at, const std::string& line) {
    std::vector<std::string> lines = TinyLines();
    lines[at] = line;
    return lines;
  };
  EXPECT_EQ(error(with(5, Line("7", 4, 2, "13,1"))),
            file +
                ":6: selected_token_pos[0] is no position below the 13 tokens whose entries exist "
                "at step 2; check prompt_tokens and --tokens-per-entry, or record again");
  EXPECT_TRUE(absl::StrContains(error(with(2, Line("7", 4, 1, "-1,5"))), ":3: "));
  EXPECT_TRUE(absl::StrContains(error(with(2, Line("7", 4, 1, "1.5,5"))), ":3: "));
  EXPECT_TRUE(absl::StrContains(error(with(2, Line("7", 4, 1, "NaN,5"))), ":3: "));
  EXPECT_TRUE(absl::StrContains(error(with(2, Line("7", 4, 1, "5,5"))), "stands twice"));
  EXPECT_TRUE(absl::StrContains(error(with(2, Line("7", 4, 1, "5"))), "resident_only"));
  EXPECT_TRUE(absl::StrContains(error(with(2, Line("7", 4, 2, "5,6"))),
                                "where step 1, layer 4 was expected"));
  EXPECT_TRUE(absl::StrContains(error(with(0, Line("7", 9, 0, "5,6"))), "a second line of step 0"));
  EXPECT_TRUE(absl::StrContains(error(with(2, "{\"layer_id\":4}\n")), ":3: a field of request_id"));
  EXPECT_TRUE(absl::StrContains(error(with(2, "[1]\n")), ":3: damaged or cut JSON"));
  std::vector<std::string> two_prompts = TinyLines();
  two_prompts[3] = Line("7", 9, 0, "10,4", ",\"prompt_tokens\":11");
  EXPECT_TRUE(absl::StrContains(error(two_prompts), ":4: prompt_tokens 11 of request 7, was 10"));
  std::vector<std::string> cut = TinyLines();
  cut.pop_back();
  EXPECT_TRUE(absl::StrContains(error(cut), "where step 2, layer 4 was expected"));
  std::vector<std::string> unknown_prompt = TinyLines();
  unknown_prompt[1] = Line("7", 4, 0, "0,2");
  EXPECT_TRUE(absl::StrContains(error(unknown_prompt), "no line of request 7 says prompt_tokens"));
  // A cut in the middle of the last line.
  const std::string whole = Joined(TinyLines());
  for (size_t lost = 2; lost < 60; ++lost) {
    folder.Write("log", whole.substr(0, whole.size() - lost));
    EXPECT_TRUE(absl::StrContains(ImportError(file, TinyOptions(), folder), ":6: ")) << lost;
  }
}

std::string VllmResponse(const RecordedProfile& profile) {
  return absl::StrCat(
      "{\"id\":\"x\",\"choices\":[{\"index\":0,\"text\":\"\\\"n\",\"indexer_topk\":\"",
      testing::Base64(AsNpy(profile, 3)),
      "\"}],\"usage\":{\"prompt_tokens\":", profile.header.prompt_tokens(), "}}");
}

std::string SglangResponse(const RecordedProfile& profile, const std::string& more) {
  return absl::StrCat(
      "{\"text\":\"a\",\"meta_info\":{\"prompt_tokens\":", profile.header.prompt_tokens(),
      ",\"completion_tokens\":", profile.selections.size() + 1, more, ",\"indexer_topk\":\"",
      testing::Base64(AsRawCapture(profile, 3)), "\"}}");
}

TEST(ResponseImportTest, RoundTripOfBothEngines) {
  const testing::TempFolder folder;
  const std::vector<RecordedProfile> profiles = GenerateSmall(folder);
  ImportOptions options;
  options.tokens_per_entry = 4;
  options.prompt_start_tokens = 8'192 - 3;
  const std::string layers = ",\"indexer_topk_num_layers\":21";
  for (const std::string& text :
       {VllmResponse(profiles[0]) + "\n" + VllmResponse(profiles[1]) + "\n",
        "[\n" + VllmResponse(profiles[0]) + ",\n" + VllmResponse(profiles[1]) + "]",
        SglangResponse(profiles[0], layers) + "\n" + SglangResponse(profiles[1], layers)}) {
    const auto result =
        ImportAttentionTrace({folder.Write("r.json", text)}, options, folder.File("out.trace"));
    ASSERT_TRUE(result.ok()) << result.status();
    const std::vector<RecordedProfile> imported = LoadProfiles(folder.File("out.trace"));
    ASSERT_EQ(imported.size(), 2u);
    EXPECT_EQ(imported[0].selections, profiles[0].selections);
    EXPECT_EQ(imported[1].selections, profiles[1].selections);
    EXPECT_EQ(imported[1].header.prompt_tokens(), 8'192);
  }
}

TEST(ResponseImportTest, Refusals) {
  const testing::TempFolder folder;
  RecordedProfile profile;
  profile.header.set_csa_layer_count(2);
  profile.header.set_top_k(2);
  profile.header.set_prompt_tokens(10);
  for (uint32_t step = 0; step <= 2; ++step) profile.selections.push_back({{0, 1}, {2, 3}});
  ImportOptions options = TinyOptions();
  options.prompt_start_tokens = 7;
  const auto error = [&](const std::string& text) {
    return ImportError(folder.Write("r.json", text), options, folder);
  };
  EXPECT_TRUE(absl::StrContains(error(SglangResponse(profile, "")), "give --layers"));
  EXPECT_TRUE(absl::StrContains(error(SglangResponse(profile, ",\"indexer_topk_num_layers\":5")),
                                "give --topk"));
  EXPECT_TRUE(absl::StrContains(error("{\"meta_info\":{}}"), "a response without a capture"));
  EXPECT_TRUE(absl::StrContains(error("{\"choices\":[]}"), "--enable-return-indexer-topk"));
  EXPECT_TRUE(absl::StrContains(error("{\"meta_info\":{\"indexer_topk\":\"?\"}}"), "no base64"));
  EXPECT_TRUE(
      absl::StrContains(error(absl::StrReplaceAll(VllmResponse(profile), {{"prompt_tokens", "p"}})),
                        "does not say prompt_tokens"));
  EXPECT_TRUE(absl::StrContains(
      error(absl::StrReplaceAll(SglangResponse(profile, ",\"indexer_topk_num_layers\":2"),
                                {{"completion_tokens\":4", "completion_tokens\":5"}})),
      "a capture of 12 tokens"));
  options.topk = 2;
  EXPECT_TRUE(absl::StrContains(
      error(absl::StrReplaceAll(SglangResponse(profile, ",\"indexer_topk_num_layers\":2"),
                                {{"completion_tokens\":4", "completion_tokens\":5"}})),
      "a capture of 6 tokens"));
  const std::string whole = VllmResponse(profile);
  for (size_t length = 20; length < whole.size(); length += 7) error(whole.substr(0, length));
}

TEST(StepImportTest, DamagedBytesGiveAnErrorOrAValidTrace) {
  const testing::TempFolder folder;
  Rng rng(3);
  const std::string good = Joined(TinyLines());
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = good;
    for (uint64_t i = 0; i <= rng.NextBelow(3); ++i) {
      bytes[rng.NextBelow(bytes.size())] = static_cast<char>(rng.NextBelow(256));
    }
    const std::string file = folder.Write("log", bytes);
    const auto format = DetectImportFormat(file);
    if (!format.ok() || *format == ImportFormat::kRequestTrace) continue;
    const auto result = ImportAttentionTrace({file}, TinyOptions(), folder.File("out.trace"));
    if (result.ok()) LoadProfiles(folder.File("out.trace"));
  }
}

}  // namespace
}  // namespace tierscope

// Safetensors files and label dumps: round trips and every refusal.
#include "traces/label_import.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/testing/temp_folder.h"
#include "traces/attention_trace.h"
#include "traces/import.h"
#include "traces/safetensors.h"

namespace tierscope {
namespace {

struct Part {
  std::string name, dtype, shape;
  std::string bytes;
};

template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string Safetensors(const std::vector<Part>& parts) {
  std::vector<std::string> fields = {"\"__metadata__\":{\"format\":\"pt\"}"};
  std::string data;
  for (const Part& part : parts) {
    fields.push_back(absl::StrCat("\"", part.name, "\":{\"dtype\":\"", part.dtype, "\",\"shape\":[",
                                  part.shape, "],\"data_offsets\":[", data.size(), ",",
                                  data.size() + part.bytes.size(), "]}"));
    data += part.bytes;
  }
  const std::string header = absl::StrCat("{", absl::StrJoin(fields, ","), "}");
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + data;
}

// Three rows, 64 tokens apart, behind 100 tokens: histories of 25, 41 and 57 entries.
std::vector<Part> Dump() {
  return {{"label_pointers", "I64", "4", BytesOf(std::vector<int64_t>{0, 2, 2, 5})},
          {"label_indices", "I64", "5", BytesOf(std::vector<int64_t>{24, 3, 50, 7, 40})},
          {"label_scores", "F32", "5", BytesOf(std::vector<float>{3, 21, 4, 5, 6})},
          {"positions_layer_10", "I64", "3", BytesOf(std::vector<int64_t>{100, 164, 228})},
          {"positions_layer_12", "I32", "3", BytesOf(std::vector<int32_t>{100, 164, 228})},
          {"hidden_layer_10", "BF16", "3,2", std::string(12, '\0')}};
}

class GoldenCollector : public AttentionVisitor {
 public:
  absl::Status OnProfile(const ProfileHeader& profile) override {
    header = profile;
    return absl::OkStatus();
  }
  absl::Status OnTick(int32_t, int32_t, std::span<const uint32_t>,
                      std::span<const uint8_t>) override {
    return absl::InternalError("a tick");
  }
  absl::Status OnSelection(int32_t, int32_t, std::span<const uint32_t>,
                           std::span<const uint8_t>) override {
    return absl::InternalError("a selection");
  }
  absl::Status OnGolden(int32_t step, std::span<const uint32_t> entries,
                        std::span<const uint8_t> votes) override {
    steps.push_back(step);
    golden.emplace_back(entries.begin(), entries.end());
    golden_votes.emplace_back(votes.begin(), votes.end());
    return absl::OkStatus();
  }
  absl::Status OnProfileEnd() override { return absl::OkStatus(); }

  ProfileHeader header;
  std::vector<int32_t> steps;
  std::vector<std::vector<uint32_t>> golden;
  std::vector<std::vector<uint8_t>> golden_votes;
};

TEST(LabelImportTest, RowsBecomeTicksWithGoldenEntries) {
  const testing::TempFolder folder;
  const auto result = ImportAttentionTrace({folder.Write("doc_0.safetensors", Safetensors(Dump()))},
                                           ImportOptions(), folder.File("out.trace"));
  ASSERT_TRUE(result.ok()) << result.status();
  GoldenCollector collected;
  ASSERT_TRUE(ReadAttentionTrace(folder.File("out.trace"), collected).ok());
  EXPECT_EQ(collected.header.prompt_tokens(), 100);
  EXPECT_EQ(collected.header.tick_stride_steps(), 64);
  EXPECT_EQ(collected.header.step_count(), 192);
  EXPECT_TRUE(collected.header.no_scores());
  EXPECT_EQ(collected.steps, (std::vector<int32_t>{0, 64, 128}));
  EXPECT_EQ(collected.golden, (std::vector<std::vector<uint32_t>>{{3, 24}, {}, {7, 40, 50}}));
  EXPECT_EQ(collected.golden_votes, (std::vector<std::vector<uint8_t>>{{21, 3}, {}, {5, 6, 4}}));
}

TEST(LabelImportTest, Refusals) {
  const testing::TempFolder folder;
  const auto error = [&folder](const std::vector<Part>& parts) {
    const std::string path = folder.Write("d.safetensors", Safetensors(parts));
    const auto result = ImportAttentionTrace({path}, ImportOptions(), folder.File("out.trace"));
    EXPECT_FALSE(result.ok());
    const std::string message(result.status().message());
    EXPECT_EQ(message.find(path), 0u) << message;
    return message;
  };
  const auto with = [](size_t at, const std::string& dtype, const std::string& bytes) {
    std::vector<Part> parts = Dump();
    parts[at].dtype = dtype;
    parts[at].bytes = bytes;
    return parts;
  };
  const auto i64 = [](std::vector<int64_t> values) { return BytesOf(values); };
  EXPECT_TRUE(absl::StrContains(error(with(0, "I64", i64({0, 2, 1, 5}))), "falls from 2 to 1"));
  EXPECT_TRUE(absl::StrContains(error(with(0, "I64", i64({0, 2, 2, 6}))), "runs from 0 to 6"));
  EXPECT_TRUE(absl::StrContains(error(with(0, "F64", i64({0, 2, 2, 5}))), "has dtype F64"));
  EXPECT_TRUE(absl::StrContains(error(with(1, "I64", i64({25, 3, 50, 7, 40}))),
                                "row 0: golden entry 25 lies outside the history of 25 entries"));
  EXPECT_TRUE(absl::StrContains(error(with(1, "I64", i64({-1, 3, 50, 7, 40}))), "entry -1"));
  EXPECT_TRUE(absl::StrContains(error(with(1, "I64", i64({3, 3, 50, 7, 40}))), "stands twice"));
  const auto f32 = [](std::vector<float> values) { return BytesOf(values); };
  EXPECT_TRUE(absl::StrContains(error(with(2, "F32", f32({3, std::nanf(""), 4, 5, 6}))),
                                "label_scores[1] is no whole number"));
  EXPECT_TRUE(absl::StrContains(error(with(2, "F32", f32({3, 1.5f, 4, 5, 6}))), "label_scores[1]"));
  EXPECT_TRUE(absl::StrContains(error(with(2, "F32", f32({3, 22, 4, 5, 6}))), "22 votes"));
  std::vector<Part> uneven = with(3, "I64", i64({100, 164, 229}));
  uneven.erase(uneven.begin() + 4);
  EXPECT_TRUE(absl::StrContains(error(uneven), "does not rise evenly: 229 at row 2, expected 228"));
  EXPECT_TRUE(absl::StrContains(error(with(3, "I64", i64({101, 165, 229}))), "differs from"));
  for (size_t missing = 0; missing < 4; ++missing) {
    std::vector<Part> parts = Dump();
    if (missing == 3) parts.erase(parts.begin() + 4);
    parts.erase(parts.begin() + static_cast<int64_t>(missing));
    if (missing == 0) continue;  // detected by its pointers, see below
    EXPECT_TRUE(absl::StrContains(error(parts),
                                  missing == 3 ? "no tensor positions_layer_L" : "is missing"));
  }
  std::vector<Part> matrix = Dump();
  matrix[1].shape = "5,1";
  EXPECT_TRUE(absl::StrContains(error(matrix), "2 dimensions"));
}

TEST(SafetensorsTest, HeadersThatLie) {
  const testing::TempFolder folder;
  const auto error = [&folder](const std::string& bytes) {
    const auto source = OpenFileSource(folder.Write("x.safetensors", bytes));
    const auto tensors = ReadSafetensorsHeader(**source);
    EXPECT_FALSE(tensors.ok());
    return std::string(tensors.status().message());
  };
  const std::string data(16, '\0');
  EXPECT_TRUE(
      absl::StrContains(error(Safetensors({{"a", "I64", "3", data}})), "its shape needs 24"));
  EXPECT_TRUE(
      absl::StrContains(error(Safetensors({{"a", "Q4", "2", data}})), "unknown dtype 'Q4'"));
  EXPECT_TRUE(absl::StrContains(error(Safetensors({{"a", "I64", "-2", data}})), "impossible"));
  EXPECT_TRUE(absl::StrContains(error(Safetensors({{"a", "I64", "4611686018427387904,4", data}})),
                                "impossible"));
  EXPECT_TRUE(absl::StrContains(error(Safetensors({{"a", "I64", "2", data}, {"a", "U8", "0", ""}})),
                                "twice"));
  std::string overlap = Safetensors({{"a", "I64", "2", data}, {"b", "I64", "2", data}});
  overlap.replace(overlap.find("[16,32]"), 7, "[08,24]");
  EXPECT_FALSE(error(overlap).empty());
  overlap.replace(overlap.find("[08,24]"), 7, "[ 8,24]");
  EXPECT_TRUE(absl::StrContains(error(overlap), "overlaps"));
  const std::string good = Safetensors({{"a", "I64", "2", data}});
  for (size_t length = 1; length < good.size(); ++length) error(good.substr(0, length));
  std::string huge = good;
  huge[6] = '\x7f';
  EXPECT_TRUE(absl::StrContains(error(huge), "it claims"));
}

TEST(LabelImportTest, DamagedBytesGiveAnErrorOrAValidTrace) {
  const testing::TempFolder folder;
  Rng rng(3);
  const std::string good = Safetensors(Dump());
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = good;
    for (uint64_t i = 0; i <= rng.NextBelow(3); ++i) {
      bytes[rng.NextBelow(bytes.size())] = static_cast<char>(rng.NextBelow(256));
    }
    const std::string path = folder.Write("d.safetensors", bytes);
    const auto format = DetectImportFormat(path);
    if (!format.ok() || *format != ImportFormat::kLabelDump) continue;
    const auto result = ImportAttentionTrace({path}, ImportOptions(), folder.File("out.trace"));
    GoldenCollector collected;
    if (!result.ok()) continue;
    EXPECT_TRUE(ReadAttentionTrace(folder.File("out.trace"), collected).ok());
  }
}

}  // namespace
}  // namespace tierscope

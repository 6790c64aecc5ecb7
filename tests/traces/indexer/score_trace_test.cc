// Score traces of dumps: every code, which rows become ticks, golden windows, what is left out.
#include "traces/indexer/score_trace.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <tuple>

#include "gtest/gtest.h"
#include "tbb/global_control.h"

#include "tests/testing/temp_folder.h"
#include "tests/traces/indexer/indexer_testing.h"
#include "traces/attention_trace.h"
#include "traces/container.h"
#include "traces/indexer/planted_dump.h"

namespace tierscope::testing {
namespace {

constexpr IndexerShape kShape = {24, 8, 3, 16};

struct Collector : AttentionVisitor {
  absl::Status OnProfile(const ProfileHeader& profile) override {
    headers.push_back(profile);
    return absl::OkStatus();
  }
  absl::Status OnTick(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                      std::span<const uint8_t> codes) override {
    ticks.push_back({step, layer, {entries.begin(), entries.end()}, {codes.begin(), codes.end()}});
    return absl::OkStatus();
  }
  absl::Status OnSelection(int32_t, int32_t, std::span<const uint32_t>,
                           std::span<const uint8_t>) override {
    return absl::InternalError("a selection");
  }
  absl::Status OnGolden(int32_t step, std::span<const uint32_t> entries,
                        std::span<const uint8_t> votes) override {
    golden.push_back({step, 0, {entries.begin(), entries.end()}, {votes.begin(), votes.end()}});
    return absl::OkStatus();
  }
  absl::Status OnProfileEnd() override { return absl::OkStatus(); }

  struct Record {
    int32_t step, layer;
    std::vector<uint32_t> entries;
    std::vector<uint8_t> values;
    bool operator==(const Record&) const = default;
  };
  std::vector<ProfileHeader> headers;
  std::vector<Record> ticks, golden;
};

class ScoreTraceTest : public ::testing::Test {
 protected:
  // 12 rows from token 161 on: 40 entries at rows 0 to 1, 41 at 2 to 5, 42 at 6 to 9, 43 behind.
  void SetUp() override {
    dump_ = DumpTensors({10, 12}, kShape, 12, 161, 43);
    weights_ = {DrawWeights(10, kShape), DrawWeights(12, kShape)};
    checkpoint_ = WriteTensors(CheckpointTensors(weights_), folder_.File("weights"));
    options_.tick_stride_steps = 4;
    options_.window_steps = 3;
  }

  Collector Score(const std::string& name = "out.trace") {
    const auto result = ScoreDumps(checkpoint_, {WriteTensors(dump_, folder_.File("dump"))},
                                   options_, folder_.File(name));
    EXPECT_TRUE(result.ok()) << result.status();
    Collector collected;
    if (!result.ok()) return collected;
    result_ = *result;
    const absl::Status read = ReadAttentionTrace(folder_.File(name), collected);
    EXPECT_TRUE(read.ok()) << read;
    return collected;
  }

  void ExpectError(const std::string& part) {
    const auto result = ScoreDumps(checkpoint_, {WriteTensors(dump_, folder_.File("dump"))},
                                   options_, folder_.File("no.trace"));
    ASSERT_FALSE(result.ok());
    EXPECT_NE(result.status().message().find(part), absl::string_view::npos) << result.status();
    EXPECT_FALSE(std::ifstream(folder_.File("no.trace")).good());
  }

  // Codes of a layer at a row, one key at a time.
  std::vector<uint8_t> CodesOf(size_t layer, int64_t row, size_t entries) const {
    const std::string l = std::to_string(weights_[layer].csa_layer);
    std::vector<float> hidden(24), logits(KeyTile::kKeysMax);
    std::memcpy(hidden.data(), dump_.at("hidden_layer_" + l).bytes.data() + row * 24 * 4, 24 * 4);
    const int64_t position = 161 + row;
    const IndexerQuery query = MakeQueries(weights_[layer], hidden, {&position, 1})[0];
    const auto* keys = reinterpret_cast<const uint8_t*>(dump_.at("compk_layer_" + l).bytes.data());
    KeyTile tile(16);
    std::vector<uint8_t> codes;
    for (size_t entry = 0; entry < entries; ++entry) {
      EXPECT_EQ(tile.Load({keys + entry * 20, 20}, 1), -1);
      tile.Score(query, options_.logit_offset, logits);
      codes.push_back(ScoreCode(logits[0]));
    }
    return codes;
  }

  TempFolder folder_;
  Tensors dump_;
  std::vector<LayerWeights> weights_;
  std::string checkpoint_;
  ScoreOptions options_;
  ScoreResult result_;
};

TEST_F(ScoreTraceTest, TicksHoldTheBestLayersCodes) {
  options_.logit_offset = -0.5f;
  const Collector collected = Score();
  ASSERT_EQ(collected.headers.size(), 1u);
  const ProfileHeader& header = collected.headers[0];
  EXPECT_EQ(header.prompt_tokens(), 161);
  EXPECT_EQ(header.step_count(), 12);
  EXPECT_EQ(header.tick_stride_steps(), 4);
  EXPECT_EQ(header.score_floor_code(), 0u);
  EXPECT_EQ(header.target_layers_size(), 2);
  EXPECT_NE(header.provenance().recorded_with().find("weights on dump, logit offset -0.5"),
            std::string::npos);
  ASSERT_EQ(collected.ticks.size(), 3u);
  int different = 0;
  for (size_t tick = 0; tick < 3; ++tick) {
    const size_t entries = std::vector<size_t>{40, 41, 42}[tick];  // those of rows 0, 4, 8
    EXPECT_EQ(collected.ticks[tick].step, int32_t(4 * tick));
    EXPECT_EQ(collected.ticks[tick].layer, kAllLayers);
    std::vector<uint8_t> expected = CodesOf(0, int64_t(4 * tick), entries);
    const std::vector<uint8_t> other = CodesOf(1, int64_t(4 * tick), entries);
    for (size_t i = 0; i < entries; ++i) {
      different += expected[i] != other[i];
      expected[i] = std::max(expected[i], other[i]);
    }
    EXPECT_EQ(collected.ticks[tick].values, expected);
    EXPECT_EQ(collected.ticks[tick].entries.size(), entries);
  }
  EXPECT_GT(different, 60);  // or the maximum was not tested
  EXPECT_EQ(result_.scores, 40 + 41 + 42);
}

TEST_F(ScoreTraceTest, TicksPerLayer) {
  options_.per_layer = true;
  const Collector collected = Score();
  ASSERT_EQ(collected.ticks.size(), 6u);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(collected.ticks[i].step, int32_t(i / 2 * 4));
    EXPECT_EQ(collected.ticks[i].layer, i % 2 == 0 ? 10 : 12);
    EXPECT_EQ(collected.ticks[i].values,
              CodesOf(i % 2, int64_t(i / 2 * 4), collected.ticks[i].entries.size()));
  }
  options_.per_layer = false;
  options_.layers = {12};
  EXPECT_EQ(Score().ticks[1].values, collected.ticks[3].values);
}

TEST_F(ScoreTraceTest, ScoresUnderTheFloorAreLeftOut) {
  const Collector all = Score();
  std::vector<uint8_t> sorted = all.ticks[0].values;
  std::sort(sorted.begin(), sorted.end());
  const uint32_t floor = sorted[20];
  options_.score_floor = floor / 256.0 - 0.001;  // rounded up to a code
  const Collector some = Score();
  EXPECT_EQ(some.headers[0].score_floor_code(), floor);
  for (size_t tick = 0; tick < 3; ++tick) {
    std::vector<uint32_t> expected;
    for (size_t i = 0; i < all.ticks[tick].values.size(); ++i) {
      if (all.ticks[tick].values[i] >= floor) expected.push_back(uint32_t(i));
    }
    EXPECT_EQ(some.ticks[tick].entries, expected);
    EXPECT_GT(expected.size(), 0u);
    EXPECT_LT(expected.size(), all.ticks[tick].values.size());
  }
}

// A window of 3 steps behind row 0 is rows 0 to 2; entry 40 is not there yet at row 0. Of row 8's
// window the last row is there, so three windows are whole.
TEST_F(ScoreTraceTest, GoldenEntriesAreAUnion) {
  std::vector<std::vector<int32_t>> rows(12);
  rows[0] = {5, 2};
  rows[1] = {7};
  rows[2] = {40, 5};
  rows[3] = {1};
  rows[4] = {3};
  AddLabels(rows, &dump_);
  const Collector collected = Score();
  ASSERT_EQ(collected.golden.size(), 3u);
  EXPECT_EQ(collected.golden[0].entries, (std::vector<uint32_t>{2, 5, 7}));
  EXPECT_EQ(collected.golden[0].values, (std::vector<uint8_t>{3, 3, 3}));
  EXPECT_EQ(collected.golden[1].entries, (std::vector<uint32_t>{3}));
  EXPECT_TRUE(collected.golden[2].entries.empty());
  options_.window_steps = 5;
  EXPECT_EQ(Score().golden.size(), 2u);
  options_.window_steps = 13;
  EXPECT_TRUE(Score().golden.empty());
  ASSERT_EQ(result_.notes.size(), 1u);
  EXPECT_NE(result_.notes[0].find("shorter than a window of 13 steps"), std::string::npos);
}

TEST_F(ScoreTraceTest, EntriesWithoutAKeyHaveNoScore) {
  dump_ = DumpTensors({10, 12}, kShape, 12, 161, 40);
  AddLabels(std::vector<std::vector<int32_t>>(12, {1, 41 - 2}), &dump_);
  const Collector collected = Score();
  EXPECT_EQ(collected.ticks[2].values.size(), 40u);
  ASSERT_EQ(result_.notes.size(), 1u);
  EXPECT_NE(result_.notes[0].find("keys of 40 entries, 42 exist at the last tick"),
            std::string::npos);
}

TEST_F(ScoreTraceTest, Refusals) {
  options_.tick_stride_steps = 13;
  ExpectError("it holds 12 steps");
  options_.tick_stride_steps = 4;
  options_.layers = {11};
  ExpectError("no weights of layer 11; it has the layers 10, 12");
  options_.layers = {};
  dump_["compk_layer_12"].bytes[20 * 17 + 3] = 0x7F;
  ExpectError("compk_layer_12[17] holds a NaN");
  dump_ = DumpTensors({10}, kShape, 12, 161, 43);
  ExpectError("layer 12 has no hidden_layer_12");
  dump_ = DumpTensors({10, 12}, {20, 8, 3, 16}, 12, 161, 43);
  ExpectError("hidden size is 20, that of the checkpoint 24");
  dump_ = DumpTensors({10, 12}, {24, 8, 3, 8}, 12, 161, 43);
  ExpectError("head_dim is 8, that of the checkpoint 16");
  dump_ = DumpTensors({10, 12}, kShape, 12, 161, 43);
  const float infinite = std::numeric_limits<float>::infinity();
  std::memcpy(dump_["hidden_layer_12"].bytes.data() + (8 * 24 + 2) * 4, &infinite, 4);
  ExpectError("hidden_layer_12[194] is not finite");
}

TEST_F(ScoreTraceTest, ThreadsChangeNothing) {
  PlantedOptions options;
  options.rows = 40;
  options.document = 3;
  checkpoint_ = folder_.File("planted");
  ASSERT_TRUE(WritePlantedDump(options, folder_.File("long"), checkpoint_).ok());
  std::vector<std::string> bytes;
  ScoreOptions scoring;
  scoring.tick_stride_steps = 64;
  for (const size_t threads : {1, 2, 5}) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    const std::string path = folder_.File("t" + std::to_string(threads));
    ASSERT_TRUE(ScoreDumps(checkpoint_, {folder_.File("long")}, scoring, path).ok());
    // The same on every machine and in every build: sample, queries and scores.
    EXPECT_EQ((*ContainerReader::Open(path))->digest(), "04d0f6598c03d29b");
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    bytes.push_back(text.str());
  }
  EXPECT_GT(bytes[0].size(), 10000u);
  EXPECT_EQ(bytes[1], bytes[0]);
  EXPECT_EQ(bytes[2], bytes[0]);
}

}  // namespace
}  // namespace tierscope::testing

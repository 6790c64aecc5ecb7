// Statistics of scores: the maximum over target layers, and each target layer for itself.
#include "traces/tick_meters.h"

#include <map>
#include <set>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/traces/trace_testing.h"
#include "traces/attention_statistics.h"
#include "traces/attention_trace.h"

namespace tierscope {
namespace {

using Scores = std::map<uint32_t, uint8_t>;  // entry -> code

std::vector<uint32_t> EntriesOf(const Scores& scores) {
  std::vector<uint32_t> entries;
  for (const auto& [entry, code] : scores) entries.push_back(entry);
  return entries;
}

std::vector<uint8_t> CodesOf(const Scores& scores) {
  std::vector<uint8_t> codes;
  for (const auto& [entry, code] : scores) codes.push_back(code);
  return codes;
}

TEST(MergeMaximumTest, TakesTheLargerCodeOfEachEntry) {
  TickScores a, merged;
  a.Assign(std::vector<uint32_t>{1, 4, 9}, std::vector<uint8_t>{100, 200, 70});
  MergeMaximum(a, std::vector<uint32_t>{0, 4, 5, 9}, std::vector<uint8_t>{90, 80, 60, 250},
               &merged);
  EXPECT_EQ(merged.entries, (std::vector<uint32_t>{0, 1, 4, 5, 9}));
  EXPECT_EQ(merged.codes, (std::vector<uint8_t>{90, 100, 200, 60, 250}));
  MergeMaximum({}, std::vector<uint32_t>{3}, std::vector<uint8_t>{64}, &merged);
  EXPECT_EQ(merged.entries, (std::vector<uint32_t>{3}));
}

ProfileHeader Header(const std::vector<int32_t>& targets) {
  ProfileHeader header;
  header.set_model("toy");
  header.set_prompt_tokens(200);
  header.set_step_count(24);
  header.set_tick_stride_steps(4);
  header.set_score_floor_code(64);
  header.set_tokens_per_entry(1);
  header.set_csa_layer_count(6);
  header.set_top_k(8);
  header.set_selections(SELECTIONS_FULL_HISTORY);
  for (const int32_t layer : targets) header.add_target_layers(layer);
  header.mutable_provenance()->set_recorded_with("test");
  return header;
}

// Profiles of the same selections: ticks of each target layer, of their maximum, of one alone.
ProfileStatistics Describe(const std::vector<int32_t>& targets, bool maximum) {
  Rng rng(5);
  std::vector<TraceRecord> records(1);
  *records[0].mutable_profile() = Header({1, 3, 5});
  for (int32_t step = 0; step <= 24; ++step) {
    std::set<uint32_t> chosen;
    while (chosen.size() < 8) chosen.insert(static_cast<uint32_t>(rng.NextBelow(60)));
    const std::vector<uint32_t> entries(chosen.begin(), chosen.end());
    FillSelection(step, kAllLayers, entries, std::vector<uint8_t>(8, 1), {},
                  &records.emplace_back());
    if (step % 4 != 0) continue;
    std::map<int32_t, Scores> by_layer;
    Scores all;
    for (const int32_t layer : {1, 3, 5}) {
      for (int i = 0; i < 30 + 10 * layer; ++i) {
        const auto entry = static_cast<uint32_t>(rng.NextBelow(190));
        by_layer[layer][entry] = static_cast<uint8_t>(64 + rng.NextBelow(192));
      }
    }
    for (const int32_t layer : targets) {
      for (const auto& [entry, code] : by_layer[layer]) all[entry] = std::max(all[entry], code);
      if (maximum) continue;
      const Scores& scores = by_layer[layer];
      FillTick(step, layer, EntriesOf(scores), CodesOf(scores), &records.emplace_back());
    }
    if (!maximum) continue;
    FillTick(step, kAllLayers, EntriesOf(all), CodesOf(all), &records.emplace_back());
  }
  const std::string path = TempPath("t");
  WriteContainer(path, records);
  StatisticsOptions options;
  options.window_steps = 8;
  const auto statistics = ComputeAttentionStatistics(path, options);
  EXPECT_TRUE(statistics.ok()) << statistics.status();
  return statistics->profiles.at(0);
}

void ExpectSame(const std::vector<IndexerQuality>& a, const std::vector<IndexerQuality>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].kept_fraction, b[i].kept_fraction);
    EXPECT_EQ(a[i].precision, b[i].precision);
    EXPECT_EQ(a[i].recall, b[i].recall);
    EXPECT_EQ(a[i].vote_recall, b[i].vote_recall);
  }
}

TEST(TargetLayerStatisticsTest, TheMaximumIsThatOfARecordedMaximum) {
  const ProfileStatistics layers = Describe({1, 3, 5}, false), all = Describe({1, 3, 5}, true);
  ExpectSame(layers.quality, all.quality);
  EXPECT_EQ(layers.kept_fraction, all.kept_fraction);
  EXPECT_EQ(layers.recorded_fraction, all.recorded_fraction);
  EXPECT_EQ(layers.page_churn, all.page_churn);
  EXPECT_EQ(layers.kept_page_fraction, all.kept_page_fraction);
  EXPECT_TRUE(all.quality_by_target_layer.empty());
}

TEST(TargetLayerStatisticsTest, EachLayerIsJudgedByItself) {
  const ProfileStatistics layers = Describe({1, 3, 5}, false);
  ASSERT_EQ(layers.quality_by_target_layer.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const TargetLayerQuality& target = layers.quality_by_target_layer[i];
    EXPECT_EQ(target.layer, static_cast<int32_t>(2 * i + 1));
    ExpectSame(target.quality, Describe({target.layer}, true).quality);
    // Lower than of the maximum, which wants what any layer wants.
    EXPECT_LT(target.quality[2].recall, layers.quality[2].recall);
  }
  EXPECT_LT(layers.quality_by_target_layer[0].quality[2].recall,
            layers.quality_by_target_layer[2].quality[2].recall);
}

// Window of 8 steps, 8 entries a step. Wanted of layer 1 at threshold 0.5: entries 0 (selected) and
// 100 (never); of layer 3: 0, 1, both selected.
TEST(TargetLayerStatisticsTest, HandWorked) {
  std::vector<TraceRecord> records(1);
  *records[0].mutable_profile() = Header({1, 3});
  records[0].mutable_profile()->set_step_count(8);
  records[0].mutable_profile()->set_tick_stride_steps(8);
  for (int32_t step = 0; step <= 8; ++step) {
    FillSelection(step, kAllLayers, std::vector<uint32_t>{0, 1, 2, 3},
                  std::vector<uint8_t>{2, 1, 1, 1}, {}, &records.emplace_back());
    if (step != 0) continue;
    FillTick(0, 1, std::vector<uint32_t>{0, 2, 100}, std::vector<uint8_t>{128, 127, 255},
             &records.emplace_back());
    FillTick(0, 3, std::vector<uint32_t>{0, 1}, std::vector<uint8_t>{130, 140},
             &records.emplace_back());
  }
  const std::string path = TempPath("t");
  WriteContainer(path, records);
  StatisticsOptions options;
  options.window_steps = 8;
  options.thresholds = {0.5};
  const auto statistics = ComputeAttentionStatistics(path, options);
  ASSERT_TRUE(statistics.ok()) << statistics.status();
  const ProfileStatistics& s = statistics->profiles.at(0);
  EXPECT_DOUBLE_EQ(s.quality[0].precision, 2.0 / 3.0);  // 0, 1 of 0, 1, 100
  EXPECT_DOUBLE_EQ(s.quality[0].recall, 0.5);           // 0, 1 of 0 .. 3
  EXPECT_DOUBLE_EQ(s.quality[0].vote_recall, 0.6);
  EXPECT_DOUBLE_EQ(s.quality_by_target_layer[0].quality[0].precision, 0.5);
  EXPECT_DOUBLE_EQ(s.quality_by_target_layer[0].quality[0].recall, 0.25);
  EXPECT_DOUBLE_EQ(s.quality_by_target_layer[0].quality[0].vote_recall, 0.4);
  EXPECT_DOUBLE_EQ(s.quality_by_target_layer[1].quality[0].precision, 1.0);
  EXPECT_DOUBLE_EQ(s.quality_by_target_layer[1].quality[0].recall, 0.5);
}

}  // namespace
}  // namespace tierscope

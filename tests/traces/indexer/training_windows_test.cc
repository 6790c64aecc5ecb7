// Which windows are trained on and which are held out, and what is drawn from one.
#include "traces/indexer/training_windows.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "tests/testing/temp_folder.h"
#include "tests/traces/indexer/indexer_testing.h"

namespace tierscope::testing {
namespace {

// 40 rows, a label each; windows of 4 rows every 2 rows: rows 0, 2, .. 36 start one, 19 in all. The
// last fifth of them, 4, starts at rows 30 to 36; 28's window reaches row 31 and is left out.
TEST(TrainingWindowsTest, NoLabelIsOnBothSides) {
  const TempFolder folder;
  Tensors tensors = DumpTensors({10}, {4, 2, 1, 4}, 40, 400, 100);
  std::vector<std::vector<int32_t>> labels;
  for (int32_t row = 0; row < 40; ++row) labels.push_back({row});
  labels[10] = labels[11] = labels[12] = labels[13] = {};  // no golden entries: no window
  AddLabels(labels, &tensors);
  std::vector<std::unique_ptr<HiddenDump>> dumps;
  dumps.push_back(
      *HiddenDump::Open(*OpenFileSource(WriteTensors(tensors, folder.File("dump"))), {}, 4));
  WindowOptions options;
  options.stride_steps = 2;
  options.window_steps = 4;
  const auto split = CollectWindows(dumps, options);
  ASSERT_TRUE(split.ok()) << split.status();
  std::vector<int64_t> training, held_out;
  for (const GoldenWindow& window : split->training) training.push_back(window.row);
  for (const GoldenWindow& window : split->held_out) held_out.push_back(window.row);
  EXPECT_EQ(training, (std::vector<int64_t>{0, 2, 4, 6, 8, 12, 14, 16, 18, 20, 22, 24, 26}));
  EXPECT_EQ(held_out, (std::vector<int64_t>{30, 32, 34, 36}));
  EXPECT_EQ(split->training[1].golden, (std::vector<uint32_t>{2, 3, 4, 5}));
  options.held_out_share = 0.9;
  EXPECT_FALSE(CollectWindows(dumps, options).ok());  // none is left to train on
}

TEST(TrainingWindowsTest, Examples) {
  GoldenWindow window = {0, 0, {3, 50, 99}};
  Rng rng(1);
  std::set<uint32_t> drawn_before;
  for (int round = 0; round < 200; ++round) {
    const Examples examples = DrawExamples(window, 100, 4, &rng);
    ASSERT_EQ(examples.entries.size(), 15u);
    EXPECT_EQ(std::vector<uint32_t>(examples.entries.begin(), examples.entries.begin() + 3),
              window.golden);
    for (size_t i = 0; i < 15; ++i) EXPECT_EQ(examples.labels[i], i < 3);
    const std::set<uint32_t> distinct(examples.entries.begin(), examples.entries.end());
    EXPECT_EQ(distinct.size(), 15u);
    EXPECT_LT(*distinct.rbegin(), 100u);
    drawn_before.insert(distinct.begin(), distinct.end());
  }
  EXPECT_EQ(drawn_before.size(), 100u);  // any other entry may be drawn
  EXPECT_EQ(DrawExamples(window, 100, 50, &rng).entries.size(), 100u);  // no more than there are

  window.golden.clear();
  for (uint32_t entry = 0; entry < 2000; entry += 2) window.golden.push_back(entry);
  const Examples many = DrawExamples(window, 3000, 1, &rng);
  EXPECT_EQ(std::count(many.labels.begin(), many.labels.end(), 1),
            std::ptrdiff_t(Examples::kGoldenMax));
  EXPECT_EQ(many.entries.size(), 2 * Examples::kGoldenMax);
  for (size_t i = 0; i < many.entries.size(); ++i) {
    EXPECT_EQ(many.labels[i] == 1, many.entries[i] < 2000 && many.entries[i] % 2 == 0);
  }
}

}  // namespace
}  // namespace tierscope::testing

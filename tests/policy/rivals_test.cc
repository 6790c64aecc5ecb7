// The pages that StreamingLLM, H2O and Quest take, worked by hand; the arithmetic of hot buffers.
#include <algorithm>
#include <vector>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "sim/policy/h2o.h"
#include "sim/policy/hot_buffer.h"
#include "sim/policy/quest.h"
#include "sim/policy/streaming_llm.h"

namespace tierscope {
namespace {

using Pages = std::vector<uint16_t>;

Pages Window(const ForcedPages& forced, int32_t kmax) {
  Pages pages(static_cast<size_t>(forced.page_count));
  pages.resize(static_cast<size_t>(SelectSinkAndWindow(forced, kmax, pages.data())));
  return pages;
}

Pages HeavyHitters(const std::vector<uint64_t>& accumulated, const ForcedPages& forced,
                   int32_t kmax, std::vector<uint8_t>* kept) {
  Pages pages(accumulated.size()), scratch;
  pages.resize(static_cast<size_t>(
      KeepHeavyHitters(accumulated.data(), forced, kmax, kept->data(), scratch, pages.data())));
  return pages;
}

Pages HighestBounds(const std::vector<uint8_t>& bound, const ForcedPages& forced, int32_t kmax) {
  Pages pages(bound.size());
  pages.resize(static_cast<size_t>(SelectHighestBounds(bound.data(), forced, kmax, pages.data())));
  return pages;
}

TEST(StreamingLlmTest, TheSinkAndTheNewest) {
  EXPECT_EQ(Window({10, 1, 9}, 3), (Pages{0, 6, 7, 8, 9}));
  EXPECT_EQ(Window({10, 0, 9}, 0), (Pages{9}));
  EXPECT_EQ(Window({3, 1, 2}, 5), (Pages{0, 1, 2}));
}

// As a history grows entry by entry, no page that has left comes back.
TEST(StreamingLlmTest, WhatHasLeftNeverReturns) {
  Pages before;
  int64_t pages_before = 0;
  for (int64_t entries = 1; entries < 3000; ++entries) {
    const ForcedPages forced = ForcedPagesOf(entries, 4, 200);
    const Pages now = Window(forced, 5);
    for (const uint16_t page : now) {
      const bool formed = page >= pages_before;
      ASSERT_TRUE(formed || std::count(before.begin(), before.end(), page) == 1) << entries;
    }
    before = now;
    pages_before = forced.page_count;
  }
  EXPECT_EQ(before.front(), 0);
}

// Page 5 is the newest. Of 0 to 4 the two with most attention, the newer of equals.
TEST(H2oTest, TheMostAttendedAndTheNewest) {
  std::vector<uint8_t> kept(6, 1);
  EXPECT_EQ(HeavyHitters({3, 9, 3, 1, 3, 0}, {6, 0, 5}, 2, &kept), (Pages{1, 4, 5}));
  EXPECT_EQ(kept, (std::vector<uint8_t>{0, 1, 0, 0, 1, 1}));
}

// What was dropped stays away however much attention it would have by now.
TEST(H2oTest, WhatIsDroppedNeverReturns) {
  std::vector<uint8_t> kept(7, 1);
  EXPECT_EQ(HeavyHitters({5, 4, 3, 0, 0, 0, 0}, {5, 0, 4}, 2, &kept), (Pages{0, 1, 4}));
  EXPECT_EQ(HeavyHitters({5, 4, 99, 99, 6, 0, 0}, {7, 0, 6}, 2, &kept), (Pages{0, 4, 6}));
  EXPECT_EQ(kept[2], 0);
  EXPECT_EQ(kept[3], 0);
}

// A page that leaves the forced ones competes from then on.
TEST(H2oTest, ForcedPagesDoNotUseTheBudget) {
  std::vector<uint8_t> kept(5, 1);
  EXPECT_EQ(HeavyHitters({0, 7, 8, 0, 0}, {5, 1, 3}, 1, &kept), (Pages{0, 2, 3, 4}));
}

// The page with one entry of code 250 comes before the one whose 64 entries all have 249: it is the
// bound that counts and not how many are high.
TEST(QuestTest, TheHighestBoundsWhateverTheirNumber) {
  EXPECT_EQ(HighestBounds({249, 250, 10, 249, 0}, {5, 0, 4}, 1), (Pages{1, 4}));
  EXPECT_EQ(HighestBounds({249, 250, 10, 249, 0}, {5, 0, 4}, 2), (Pages{0, 1, 4}));
  // Exactly so many, those without a recorded score too, the lower id of two equals.
  EXPECT_EQ(HighestBounds({0, 0, 9, 0, 0}, {5, 0, 4}, 3), (Pages{0, 1, 2, 4}));
  EXPECT_EQ(HighestBounds({0, 0, 9, 0, 0}, {5, 0, 4}, 9), (Pages{0, 1, 2, 3, 4}));
  EXPECT_EQ(HighestBounds({1, 2, 3, 4, 5}, {5, 1, 4}, 0), (Pages{0, 4}));
}

TEST(QuestTest, AgreesWithASort) {
  Rng rng(5);
  for (int round = 0; round < 2000; ++round) {
    const auto pages = static_cast<int32_t>(1 + rng.NextBelow(60));
    std::vector<uint8_t> bound(static_cast<size_t>(pages));
    const uint64_t levels = 1 + rng.NextBelow(256);
    for (uint8_t& b : bound) b = static_cast<uint8_t>(rng.NextBelow(levels));
    const auto begin = static_cast<int32_t>(rng.NextBelow(static_cast<uint64_t>(pages)));
    const auto kmax = static_cast<int32_t>(rng.NextBelow(30));
    std::vector<uint16_t> order;
    for (int32_t page = 0; page < begin; ++page) order.push_back(static_cast<uint16_t>(page));
    std::stable_sort(order.begin(), order.end(),
                     [&](uint16_t a, uint16_t b) { return bound[a] > bound[b]; });
    if (std::ssize(order) > kmax) order.resize(static_cast<size_t>(kmax));
    for (int32_t page = begin; page < pages; ++page) order.push_back(static_cast<uint16_t>(page));
    std::sort(order.begin(), order.end());
    ASSERT_EQ(HighestBounds(bound, {pages, 0, begin}, kmax), order);
  }
}

TEST(HotBufferTest, PoolEntriesAreAShareOfTheContext) {
  EXPECT_EQ(PoolEntries(32768, 200'000), 6553);
  EXPECT_EQ(PoolEntries(131072, 1'000'000), 131072);
}

// Where layers overlap, the longer of fetch and compute counts.
TEST(HotBufferTest, WhatAStepHides) {
  EXPECT_EQ(HiddenNs(300, 1000, 0.0), 0);
  EXPECT_EQ(HiddenNs(300, 1000, 1.0), 300);
  EXPECT_EQ(HiddenNs(3000, 1000, 1.0), 1000);
  EXPECT_EQ(HiddenNs(300, 1000, 0.5), 150);
}

}  // namespace
}  // namespace tierscope

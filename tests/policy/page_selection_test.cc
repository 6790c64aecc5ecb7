#include "sim/policy/page_selection.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "sim/policy/oracle.h"
#include "sim/policy/random.h"
#include "sim/policy/recency.h"

namespace tierscope {
namespace {

using Pages = std::vector<uint16_t>;

Pages Densest(const std::vector<uint8_t>& density, const ForcedPages& forced, int32_t kmax) {
  Pages pages(density.size());
  pages.resize(static_cast<size_t>(SelectDensestPages(density.data(), forced, kmax, pages.data())));
  return pages;
}

TEST(ForcedPagesTest, TailAndSink) {
  // 1,000 entries: 16 pages, the last with 40. The newest 100 begin at entry 900, page 14.
  const ForcedPages forced = ForcedPagesOf(1000, 65, 100);
  EXPECT_EQ(forced.page_count, 16);
  EXPECT_EQ(forced.recency_begin, 14);
  EXPECT_EQ(forced.sink_end, 2);
  EXPECT_EQ(ForcedPagesOf(1000, 0, 0).recency_begin, 15);   // the open page, always
  EXPECT_EQ(ForcedPagesOf(50, 10, 2048).recency_begin, 0);  // shorter than the tail: all forced
  EXPECT_EQ(ForcedPagesOf(50, 10, 2048).sink_end, 0);
  EXPECT_EQ(ForcedPagesOf(0, 0, 2048).page_count, 0);
}

TEST(SelectDensestPagesTest, TiesGoToTheLowerPage) {
  const std::vector<uint8_t> density = {3, 9, 3, 3, 0, 9, 1, 0};
  const ForcedPages forced{8, 0, 7};
  EXPECT_EQ(Densest(density, forced, 3), (Pages{0, 1, 5, 7}));
  EXPECT_EQ(Densest(density, forced, 4), (Pages{0, 1, 2, 5, 7}));
  EXPECT_EQ(Densest(density, forced, 100), (Pages{0, 1, 2, 3, 5, 6, 7}));  // never one of density 0
}

TEST(SelectDensestPagesTest, ForcedPagesDoNotUseTheBudget) {
  const std::vector<uint8_t> density = {64, 5, 4, 64};
  EXPECT_EQ(Densest(density, ForcedPages{4, 1, 3}, 1), (Pages{0, 1, 3}));
}

// Against a sort by (density descending, page ascending).
TEST(SelectDensestPagesTest, AgreesWithASort) {
  Rng rng(3);
  for (int round = 0; round < 3000; ++round) {
    const auto pages = static_cast<int32_t>(1 + rng.NextBelow(80));
    std::vector<uint8_t> density(static_cast<size_t>(pages));
    const uint64_t levels = 1 + rng.NextBelow(65);
    for (uint8_t& d : density) d = static_cast<uint8_t>(rng.NextBelow(levels));
    const auto begin = static_cast<int32_t>(rng.NextBelow(static_cast<uint64_t>(pages) + 1));
    const auto sink = static_cast<int32_t>(rng.NextBelow(static_cast<uint64_t>(begin) + 1));
    const auto kmax = static_cast<int32_t>(rng.NextBelow(30));
    std::vector<int32_t> candidates;
    for (int32_t p = sink; p < begin; ++p) {
      if (density[static_cast<size_t>(p)] > 0) candidates.push_back(p);
    }
    std::stable_sort(candidates.begin(), candidates.end(), [&](int32_t a, int32_t b) {
      return density[static_cast<size_t>(a)] > density[static_cast<size_t>(b)];
    });
    if (static_cast<int32_t>(candidates.size()) > kmax)
      candidates.resize(static_cast<size_t>(kmax));
    for (int32_t p = 0; p < sink; ++p) candidates.push_back(p);
    for (int32_t p = begin; p < pages; ++p) candidates.push_back(p);
    std::sort(candidates.begin(), candidates.end());
    const Pages expected(candidates.begin(), candidates.end());
    ASSERT_EQ(Densest(density, ForcedPages{pages, sink, begin}, kmax), expected);
  }
}

Pages ExactlyKmax(const std::vector<uint8_t>& density, const ForcedPages& forced, int32_t kmax) {
  Pages pages(density.size());
  pages.resize(
      static_cast<size_t>(SelectExactlyKmaxPages(density.data(), forced, kmax, pages.data())));
  return pages;
}

TEST(SelectExactlyKmaxPagesTest, ForcedPagesCountAndEmptyPagesFillUp) {
  const std::vector<uint8_t> density = {0, 0, 5, 0, 7, 64};
  const ForcedPages forced{6, 0, 5};
  EXPECT_EQ(ExactlyKmax(density, forced, 1), (Pages{5}));
  EXPECT_EQ(ExactlyKmax(density, forced, 3), (Pages{2, 4, 5}));
  EXPECT_EQ(ExactlyKmax(density, forced, 5), (Pages{0, 1, 2, 4, 5}));
  EXPECT_EQ(ExactlyKmax(density, forced, 99), (Pages{0, 1, 2, 3, 4, 5}));
  // More forced than KMAX: the newest first, then the oldest.
  EXPECT_EQ(ExactlyKmax(density, ForcedPages{6, 2, 4}, 1), (Pages{5}));
  EXPECT_EQ(ExactlyKmax(density, ForcedPages{6, 2, 4}, 3), (Pages{0, 4, 5}));
  EXPECT_EQ(ExactlyKmax(density, forced, 0), (Pages{}));
}

// Against a sort by (forced: newest, then oldest; then density descending; then page ascending).
TEST(SelectExactlyKmaxPagesTest, AgreesWithASort) {
  Rng rng(4);
  for (int round = 0; round < 3000; ++round) {
    const auto pages = static_cast<int32_t>(1 + rng.NextBelow(80));
    std::vector<uint8_t> density(static_cast<size_t>(pages));
    const uint64_t levels = 1 + rng.NextBelow(65);
    for (uint8_t& d : density) d = static_cast<uint8_t>(rng.NextBelow(levels));
    const auto begin = static_cast<int32_t>(rng.NextBelow(static_cast<uint64_t>(pages) + 1));
    const auto sink = static_cast<int32_t>(rng.NextBelow(static_cast<uint64_t>(begin) + 1));
    const auto kmax = static_cast<int32_t>(rng.NextBelow(90));
    const auto rank = [&](int32_t p) {
      if (p >= begin) return std::pair{0, pages - p};
      if (p < sink) return std::pair{1, p};
      return std::pair{2 + 64 - density[static_cast<size_t>(p)], p};
    };
    std::vector<int32_t> order(static_cast<size_t>(pages));
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return rank(a) < rank(b); });
    order.resize(static_cast<size_t>(std::min(kmax, pages)));
    std::sort(order.begin(), order.end());
    ASSERT_EQ(ExactlyKmax(density, ForcedPages{pages, sink, begin}, kmax),
              Pages(order.begin(), order.end()));
  }
}

TEST(BaselinePoliciesTest, RecencyTakesTheNewest) {
  Pages pages(10);
  pages.resize(static_cast<size_t>(SelectNewestPages(ForcedPages{10, 1, 8}, 3, pages.data())));
  EXPECT_EQ(pages, (Pages{0, 5, 6, 7, 8, 9}));
}

TEST(BaselinePoliciesTest, RandomTakesEachPageEquallyOften) {
  Rng rng(9);
  std::vector<int> taken(12);
  for (int round = 0; round < 20000; ++round) {
    Pages pages(12);
    const int32_t count = SelectRandomPages(ForcedPages{12, 1, 11}, 4, rng, pages.data());
    ASSERT_EQ(count, 6);
    for (int32_t i = 0; i < count; ++i) ++taken[pages[static_cast<size_t>(i)]];
  }
  EXPECT_EQ(taken[0], 20000);
  EXPECT_EQ(taken[11], 20000);
  for (int page = 1; page < 11; ++page) EXPECT_NEAR(taken[static_cast<size_t>(page)], 8000, 350);
}

TEST(BaselinePoliciesTest, OracleTakesTheMostDemanded) {
  const std::vector<uint32_t> demand = {1, 0, 7, 7, 2, 9};
  Pages scratch, pages(6);
  pages.resize(static_cast<size_t>(
      SelectMostDemandedPages(demand.data(), ForcedPages{6, 0, 5}, 2, scratch, pages.data())));
  EXPECT_EQ(pages, (Pages{2, 3, 5}));
}

}  // namespace
}  // namespace tierscope

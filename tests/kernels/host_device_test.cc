// The headers that host and device share, exhaustively where the domain is small.
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "gtest/gtest.h"

#include "kernels/attention.h"
#include "kernels/fp8.h"
#include "kernels/kv_entry.h"
#include "kernels/page_copy.h"
#include "kernels/paged.h"
#include "kernels/radix_select.h"
#include "kernels/score_code.h"
#include "kernels/top_entries.h"
#include "sim/base/rng.h"

namespace tierscope {
namespace {

// By the definition of OCP FP8 E4M3: bias 7, three bits of mantissa.
double E4m3Value(int code) {
  const int exponent = code >> 3 & 15;
  const double mantissa = code & 7;
  const double value =
      exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return code & 128 ? -value : value;
}

TEST(Fp8Test, DecodesEveryCode) {
  for (int code = 0; code < 256; ++code) {
    if ((code & 127) == 127) continue;  // NaN, of which the header says what it does
    EXPECT_EQ(E4m3ToFloat(static_cast<uint32_t>(code)), E4m3Value(code)) << code;
  }
  EXPECT_EQ(E4m3ToFloat(0x7E), 448.0f);
  EXPECT_EQ(E4m3ToFloat(0x01), 0x1p-9f);
}

TEST(Fp8Test, EncodesEveryValueToItsCode) {
  for (int code = 0; code < 256; ++code) {
    if ((code & 127) == 127) continue;
    EXPECT_EQ(FloatToE4m3(static_cast<float>(E4m3Value(code))), code);
  }
  EXPECT_EQ(FloatToE4m3(std::numeric_limits<float>::quiet_NaN()), 0x7F);
  EXPECT_EQ(FloatToE4m3(1e9f), 0x7E);
  EXPECT_EQ(FloatToE4m3(-std::numeric_limits<float>::infinity()), 0xFE);
}

// Between neighbours, below and above the middle, and ties to the even code.
TEST(Fp8Test, RoundsToTheNearest) {
  for (int code = 0; code < 0x7E; ++code) {
    const double low = E4m3Value(code);
    const double high = E4m3Value(code + 1);
    const auto middle = static_cast<float>((low + high) / 2);
    EXPECT_EQ(FloatToE4m3(std::nextafter(middle, 0.0f)), code) << code;
    EXPECT_EQ(FloatToE4m3(std::nextafter(middle, 1e9f)), code + 1) << code;
    EXPECT_EQ(FloatToE4m3(middle), code + (code & 1)) << code;
    EXPECT_EQ(FloatToE4m3(-middle), 128 + code + (code & 1)) << code;
  }
}

TEST(Ue8m0Test, EveryCode) {
  for (int code = 0; code < 255; ++code) {
    const double value = std::ldexp(1.0, code - 127);
    EXPECT_EQ(Ue8m0ToFloat(static_cast<uint32_t>(code)), value);
    EXPECT_EQ(FloatToUe8m0(static_cast<float>(value)), code);
    EXPECT_EQ(FloatToUe8m0(static_cast<float>(value * 1.25)), std::min(254, code + 1)) << code;
  }
  EXPECT_TRUE(std::isnan(Ue8m0ToFloat(255)));
}

TEST(Bf16Test, EveryCodeAndRounding) {
  for (uint32_t code = 0; code < 65536; ++code) {
    const float value = Bf16ToFloat(static_cast<uint16_t>(code));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(value))));
      continue;
    }
    EXPECT_EQ(FloatToBf16(value), code);
  }
  EXPECT_EQ(FloatToBf16(FloatOfBits(0x3F808000u)), 0x3F80);  // a tie, to even
  EXPECT_EQ(FloatToBf16(FloatOfBits(0x3F818000u)), 0x3F82);
  EXPECT_EQ(FloatToBf16(FloatOfBits(0x3F808001u)), 0x3F81);
}

// A scaled e4m3 value is a bf16 value, whatever the scale of a KV entry: attention relies on it.
TEST(Fp8Test, ScaledValuesFitInBf16) {
  for (int scale = 16; scale < 240; ++scale) {
    for (int code = 0; code < 127; ++code) {
      const float x =
          E4m3ToFloat(static_cast<uint32_t>(code)) * Ue8m0ToFloat(static_cast<uint32_t>(scale));
      ASSERT_EQ(Bf16ToFloat(FloatToBf16(x)), x);
    }
  }
}

TEST(ScoreCodeTest, IsTheFloorOf256TimesTheScore) {
  for (int i = -2000; i <= 2000; ++i) {
    const double logit = i * 0.01;
    const double scaled = 256 / (1 + std::exp(-logit));
    if (std::fabs(scaled - std::round(scaled)) < 1e-4) continue;
    EXPECT_EQ(ScoreCodeOf(static_cast<float>(logit)), std::min(255.0, std::floor(scaled))) << logit;
  }
  EXPECT_EQ(ScoreCodeOf(0.0f), 128);
  EXPECT_EQ(ScoreCodeOf(-std::numeric_limits<float>::infinity()), 0);
  EXPECT_EQ(ScoreCodeOf(std::numeric_limits<float>::infinity()), 255);
  EXPECT_EQ(ScoreCodeOf(std::numeric_limits<float>::quiet_NaN()), 0);
}

TEST(PagedTest, WorkRangesCoverEverythingOnce) {
  for (int items = 0; items < 40; ++items) {
    for (int parts = 1; parts < 12; ++parts) {
      int next = 0;
      for (int part = 0; part < parts; ++part) {
        const WorkRange range = WorkRangeOf(items, part, parts);
        EXPECT_EQ(range.begin, next);
        EXPECT_LE(range.end - range.begin, items / parts + 1);
        next = range.end;
      }
      EXPECT_EQ(next, items);
    }
  }
  EXPECT_EQ(WorkRangeOf(2'000'000'000, 999, 1000).end, 2'000'000'000);
}

TEST(PagedTest, TilesOfARaggedBatch) {
  const int32_t entries[] = {0, 64 * 3, 1, 0, 64 * 4 + 1};  // tiles of two pages: 0, 2, 1, 0, 3
  TileWalk walk{entries, 5, 2};
  ASSERT_EQ(walk.TilesTotal(), 6);
  const std::pair<int, int> expected[] = {{1, 0}, {1, 2}, {2, 0}, {4, 0}, {4, 2}, {4, 4}};
  for (int tile = 0; tile < 6; ++tile) {
    const int page = walk.SeekFirstPage(tile);
    EXPECT_EQ(std::make_pair(walk.request, page), expected[tile]) << tile;
  }
  TileWalk late{entries, 5, 2};
  EXPECT_EQ(late.SeekFirstPage(5), 4);
  EXPECT_EQ(late.request, 4);
}

TEST(RemapTest, CellsOfBlocks) {
  EXPECT_EQ(CellOf(0, 63), 63);
  EXPECT_EQ(CellOf(3, 5), 197);
  EXPECT_EQ(CellOf(-1, 5), -1);
  const auto* base = reinterpret_cast<const uint8_t*>(uintptr_t{1} << 40);
  const KvRow row = KvRowOf({base, 784896}, 197);
  EXPECT_EQ(row.values - base, 3 * 784896 + 5 * 576);
  EXPECT_EQ(row.scales - base, 3 * 784896 + 36864 + 5 * 8);
  EXPECT_EQ(KvRowOf({base, 784896}, -1).values, nullptr);
}

TEST(RadixTest, KeysAreInTheOrderOfTheScores) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> rising = {-inf, -1e30f, -1.5f, -1.0f, -1e-40f, -0.0f,
                                     0.0f, 1e-40f, 1.0f,  1e30f, inf};
  for (size_t i = 1; i < rising.size(); ++i)
    EXPECT_LT(OrderedBits(rising[i - 1]), OrderedBits(rising[i]));
  EXPECT_LT(OrderedBits(std::numeric_limits<float>::quiet_NaN()), OrderedBits(-inf));
  EXPECT_GT(SelectionKey(1.0f, 3), SelectionKey(1.0f, 4));
  Rng rng(1);
  for (int i = 0; i < 100000; ++i) {
    const float a = FloatOfBits(static_cast<uint32_t>(rng.NextUint64()));
    const float b = FloatOfBits(static_cast<uint32_t>(rng.NextUint64()));
    if (std::isnan(a) || std::isnan(b) || a == b) continue;
    EXPECT_EQ(OrderedBits(a) < OrderedBits(b), a < b);
  }
}

TEST(RadixTest, DigitsMakeUpTheKey) {
  Rng rng(2);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t key = rng.NextUint64();
    uint64_t rebuilt = 0;
    for (int previous = 64; previous > 0;) {
      const int shift = NextDigitShift(previous);
      EXPECT_TRUE(SamePrefix(key, rebuilt, previous));
      EXPECT_LT(DigitOf(key, shift, previous), static_cast<uint32_t>(kRadixBins));
      rebuilt |= uint64_t{DigitOf(key, shift, previous)} << shift;
      previous = shift;
    }
    EXPECT_EQ(rebuilt, key);
  }
}

// Descriptors against single moves: the same bytes, each once, and no two neighbours left unjoined.
TEST(PageCopyTest, CoalescingKeepsEveryMove) {
  std::vector<uint8_t> cold(1 << 10, 1), reserve(1 << 10, 2);
  auto* cold_base =
      reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(cold.data()) + 15) / 16 * 16);
  auto* reserve_base =
      reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(reserve.data()) + 15) / 16 * 16);
  const PagePools pools{cold_base, reserve_base, 16, 60, 60};
  Rng rng(3);
  for (int round = 0; round < 2000; ++round) {
    std::vector<PageMove> moves;
    PageMove next{0, 0};
    while (next.cold_page < 60 && next.block < 60) {
      moves.push_back(next);
      next.cold_page += 1 + static_cast<int32_t>(rng.NextBelow(3) == 0);
      next.block += 1 + static_cast<int32_t>(rng.NextBelow(4) == 0);
    }
    PageCopyBatch batch;
    ASSERT_TRUE(BuildPageCopies(pools, moves.data(), static_cast<int64_t>(moves.size()),
                                CopyDirection::kRecall, &batch)
                    .ok());
    size_t at = 0;
    for (size_t d = 0; d < batch.sizes.size(); ++d) {
      const auto* source = static_cast<const uint8_t*>(batch.sources[d]);
      auto* target = static_cast<uint8_t*>(batch.targets[d]);
      for (size_t done = 0; done < batch.sizes[d]; done += 16, ++at) {
        ASSERT_EQ(source + done, cold_base + moves[at].cold_page * 16);
        ASSERT_EQ(target + done, reserve_base + moves[at].block * 16);
      }
      if (d == 0) continue;
      EXPECT_FALSE(static_cast<const uint8_t*>(batch.sources[d - 1]) + batch.sizes[d - 1] ==
                       source &&
                   static_cast<uint8_t*>(batch.targets[d - 1]) + batch.sizes[d - 1] == target);
    }
    ASSERT_EQ(at, moves.size());
  }
}

TEST(AttentionSplitsTest, FillTheDevice) {
  EXPECT_EQ(ChooseAttentionSplits(200, 640, 132), 1);
  EXPECT_GE(ChooseAttentionSplits(1, 8320, 132), 40);
  EXPECT_LE(ChooseAttentionSplits(1, 64, 132), 1);
  for (int requests : {1, 8, 40, 76}) {
    const int splits = ChooseAttentionSplits(requests, 640, 132);
    EXPECT_TRUE(splits >= 1 && splits <= 10) << requests;
  }
}

}  // namespace
}  // namespace tierscope

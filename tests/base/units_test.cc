#include "sim/base/units.h"

#include <limits>

#include "gtest/gtest.h"

namespace tierscope {
namespace {

TEST(UnitsTest, TransferDurationRoundsUp) {
  EXPECT_EQ(TransferDuration(1, 1'000'000'000).ns, 1);
  EXPECT_EQ(TransferDuration(10, 3'000'000'000).ns, 4);  // 3.33 ns
  EXPECT_EQ(TransferDuration(0, 5).ns, 0);
  EXPECT_EQ(TransferDuration(784'896, 55'600'000'000).ns,
            14'117);  // one V4-Flash page at PCIe peak
}

TEST(UnitsTest, NoOverflowAtPetabytes) {
  EXPECT_EQ(TransferDuration(int64_t{1} << 50, 1'000'000'000).ns, int64_t{1} << 50);
  EXPECT_EQ(BytesMoved(SimDuration{int64_t{1} << 50}, 1'000'000'000), int64_t{1} << 50);
}

TEST(UnitsTest, SpansEndAtTheLongest) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(TransferDuration(kMost, 1), kLongest);
  EXPECT_EQ(TransferDuration(kLongest.ns - 1, 1'000'000'000).ns, kLongest.ns - 1);
  EXPECT_EQ(BytesMoved(kLongest, 1'000'000'000'000'000'000), kMost);
  EXPECT_EQ(DurationFromNs(1e300), kLongest);
  EXPECT_EQ(DurationFromNs(-1e300).ns, -kLongest.ns);
  EXPECT_EQ(DurationFromNs(std::numeric_limits<double>::infinity()), kLongest);
  EXPECT_EQ(DurationFromNs(std::numeric_limits<double>::quiet_NaN()), kLongest);
  EXPECT_EQ(DurationFromNs(2.9).ns, 2);
  EXPECT_EQ(DurationFromNs(-2.9).ns, -2);
  EXPECT_EQ(DurationFromSeconds(1e300), kFurthest);
  EXPECT_EQ(DurationFromSeconds(-1e300).ns, -kFurthest.ns);
  EXPECT_EQ(DurationFromSeconds(1e8).ns, 100'000'000'000'000'000);  // engine.simulated_s at most
  EXPECT_LT(SimTime{} + DurationFromSeconds(1e8), kClockEnd);
  EXPECT_EQ(DurationFromSeconds(100.0 * 365 * 86'400).ns, 3'153'600'000'000'000'000);  // of a trace
}

TEST(UnitsTest, MovedBytesNeverExceedTheTransfer) {
  for (int64_t bytes : {1, 7, 1000, 784'896}) {
    const SimDuration d = TransferDuration(bytes, 37'123'456'789);
    EXPECT_GE(BytesMoved(d, 37'123'456'789), bytes);
    EXPECT_LT(BytesMoved(SimDuration{d.ns - 1}, 37'123'456'789), bytes);
  }
}

}  // namespace
}  // namespace tierscope

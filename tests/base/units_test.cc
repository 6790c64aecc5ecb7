#include "sim/base/units.h"

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

TEST(UnitsTest, MovedBytesNeverExceedTheTransfer) {
  for (int64_t bytes : {1, 7, 1000, 784'896}) {
    const SimDuration d = TransferDuration(bytes, 37'123'456'789);
    EXPECT_GE(BytesMoved(d, 37'123'456'789), bytes);
    EXPECT_LT(BytesMoved(SimDuration{d.ns - 1}, 37'123'456'789), bytes);
  }
}

}  // namespace
}  // namespace tierscope

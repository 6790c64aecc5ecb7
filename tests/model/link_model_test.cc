#include "sim/model/link_model.h"

#include "gtest/gtest.h"

#include "scenarios/presets.h"

namespace tierscope {
namespace {

Link H100Link() { return HardwarePreset("h100_sxm")->host_link(); }

// Row 13 of the published results: the table itself, exactly at its points.
TEST(LinkModelTest, ReproducesTheTable) {
  const Link link = H100Link();
  const LinkModel model(link);
  ASSERT_EQ(link.batched_copy_size(), 12);
  for (const CopyPoint& point : link.batched_copy()) {
    EXPECT_NEAR(model.BatchedCopyRate(point.piece_bytes(), point.descriptors()) /
                    static_cast<double>(point.bytes_per_s()),
                1.0, 1e-9)
        << point.DebugString();
  }
}

// Left out, the 64 KiB point of 10,000 descriptors is predicted from 28 KiB by the overhead law
// within the 10 % of row 13, and 28 KiB from its neighbours.
TEST(LinkModelTest, PredictsPointsLeftOut) {
  for (const int64_t left_out : {65536, 28672}) {
    Link link = H100Link();
    double published = 0.0;
    for (int i = link.batched_copy_size() - 1; i >= 0; --i) {
      const CopyPoint& point = link.batched_copy(i);
      const bool out = point.descriptors() != 10000 || point.piece_bytes() == left_out;
      if (point.descriptors() == 10000 && out) published = static_cast<double>(point.bytes_per_s());
      if (out) link.mutable_batched_copy()->DeleteSubrange(i, 1);
    }
    EXPECT_NEAR(LinkModel(link).BatchedCopyRate(left_out, 10000) / published, 1.0, 0.10)
        << left_out;
  }
}

// A page of 784,896 bytes in one piece: overhead of the 64 KiB point (65,536 / 38.8 - 65,536 / 55.6
// = 510.4 ns at 10,000 descriptors) and the wire at 55.6 GB/s (14,116.8 ns) give 53.66 GB/s.
TEST(LinkModelTest, PageMajorRunsNearPeakAndLayerMajorDoesNot) {
  const LinkModel model(H100Link());
  EXPECT_NEAR(model.BatchedCopyRate(784'896, 96) / 1e9, 53.66, 0.01);
  EXPECT_LT(model.BatchedCopyRate(37'376, 96 * 21) / 1e9, 35.0);
  EXPECT_GT(model.BatchedCopyRate(37'376, 96 * 21) / 1e9, 27.5);
}

TEST(LinkModelTest, RisesWithThePieceBeyondTheTable) {
  const LinkModel model(H100Link());
  double last = 0.0;
  for (int64_t piece = 64 << 10; piece < (64 << 20); piece *= 2) {
    const double rate = model.BatchedCopyRate(piece, 1000);
    EXPECT_GT(rate, last);
    EXPECT_LT(rate, 55.6e9);
    last = rate;
  }
}

TEST(LinkModelTest, WithoutATableEveryCopyRunsAtPeak) {
  Link link;
  link.set_peak_bytes_per_s(10);
  EXPECT_EQ(LinkModel(link).BatchedCopyRate(1, 1), 10.0);
}

}  // namespace
}  // namespace tierscope

// Attribution of made-up record streams: none of these came from a device.
#include "real/activity.h"

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace tierscope {
namespace {

constexpr int64_t kPageBytes = 1000;

ActivityTrace MadeUp() {
  ActivityTrace trace;
  trace.links = {{3, ActivityTag(Phase::kRecall, 7, 2)},
                 {1, ActivityTag(Phase::kBallast, 7, -1)},
                 {2, ActivityTag(Phase::kBallast, 7, -1)},
                 {4, ActivityTag(Phase::kScore, 7, 2)}};
  return trace;
}

TEST(ActivityTest, TagsNameTheirPhase) {
  EXPECT_NE(ActivityTag(Phase::kStep, -1, -1), 0u);
  ActivityTrace trace;
  trace.links = {{1, ActivityTag(Phase::kPublish, INT32_MAX - 1, (1 << 22) - 1)},
                 {2, ActivityTag(Phase::kStep, 0, -1)}};
  trace.records = {{ActivityKind::kKernel, 1, 0, 1, 0}, {ActivityKind::kKernel, 2, 0, 1, 0}};
  const ActivityTable table = Attribute(trace, kPageBytes).value();
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[0].step, 0);
  EXPECT_EQ(table.rows[0].tick, -1);
  EXPECT_EQ(table.rows[0].phase, Phase::kStep);
  EXPECT_EQ(table.rows[1].step, INT32_MAX - 1);
  EXPECT_EQ(table.rows[1].tick, (1 << 22) - 1);
  EXPECT_EQ(table.rows[1].phase, Phase::kPublish);
}

// Two kernels of one phase run at once for 30 of their 60 and 40 ns, and come in the wrong order; a
// recall runs beside them.
TEST(ActivityTest, OverlapCountsOnceAndOrderDoesNotMatter) {
  ActivityTrace trace = MadeUp();
  trace.records = {{ActivityKind::kKernel, 2, 130, 170, 0},
                   {ActivityKind::kCopy, 3, 120, 150, 2500},
                   {ActivityKind::kKernel, 1, 100, 160, 0},
                   {ActivityKind::kCopy, 3, 150, 155, 500},
                   {ActivityKind::kFill, 3, 200, 210, 0}};
  const ActivityTable table = Attribute(trace, kPageBytes).value();
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[0], (ActivityRow{7, -1, Phase::kBallast, 100, 170, 70, 100, 0, 0, 0, 2}));
  EXPECT_EQ(table.rows[1], (ActivityRow{7, 2, Phase::kRecall, 120, 210, 45, 0, 45, 3000, 3, 3}));
  EXPECT_EQ(table.records, 5);
  EXPECT_EQ(table.outside_records, 0);
}

TEST(ActivityTest, WhatHasNoPhaseIsCountedApart) {
  ActivityTrace trace = MadeUp();
  trace.links.push_back({6, 0});
  trace.records = {{ActivityKind::kKernel, 1, 100, 110, 0},
                   {ActivityKind::kCopy, 5, 105, 125, 64},
                   {ActivityKind::kCopy, 6, 120, 130, 64},
                   {ActivityKind::kOverhead, 0, 0, 1000, 0}};
  const ActivityTable table = Attribute(trace, kPageBytes).value();
  ASSERT_EQ(table.rows.size(), 1u);
  EXPECT_EQ(table.outside_records, 2);
  EXPECT_EQ(table.outside_ns, 25);
  EXPECT_EQ(table.overhead_ns, 1000);
  EXPECT_EQ(table.records, 3);
}

TEST(ActivityTest, IsWrittenWithItsSummary) {
  ActivityTrace trace = MadeUp();
  trace.records = {{ActivityKind::kKernel, 1, 100, 110, 0}, {ActivityKind::kCopy, 5, 0, 1, 64}};
  const ActivityTable table = Attribute(trace, kPageBytes).value();
  EXPECT_EQ(ActivitySummary(table),
            "2 records, 1 of them outside any phase, tracing overhead 0 ns");
  EXPECT_EQ(ActivityCsv(table, 100),
            "# 2 records, 1 of them outside any phase, tracing overhead 0 ns\n"
            "step,tick,phase,begin_ns,end_ns,busy_ns,kernel_ns,copy_ns,bytes,pages,records\n"
            "7,-1,ballast,0,10,10,10,0,0,0,1\n");
}

TEST(ActivityTest, ARecordWithHolesIsRefused) {
  ActivityTrace trace = MadeUp();
  trace.records = {{ActivityKind::kKernel, 1, 100, 110, 0}};
  EXPECT_TRUE(Attribute(trace, kPageBytes).ok());
  const auto refused = [&trace](int64_t dropped, int64_t untimed) {
    trace.dropped = dropped;
    trace.untimed = untimed;
    const absl::Status status = Attribute(trace, kPageBytes).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "--no-trace")) << status;
    return std::string(status.message());
  };
  EXPECT_TRUE(absl::StrContains(
      refused(3, 0), "3 records were dropped and 0 have no times, beside 1 that are whole"));
  EXPECT_TRUE(absl::StrContains(refused(0, 1), "0 records were dropped and 1 have no times"));
}

TEST(ActivityTest, ARecordOfNoPhaseIsRefused) {
  ActivityTrace trace;
  EXPECT_TRUE(absl::IsDataLoss(Attribute(trace, kPageBytes).status()));
  trace.records = {{ActivityKind::kKernel, 1, 100, 110, 0}};
  const absl::Status status = Attribute(trace, kPageBytes).status();
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_TRUE(absl::StrContains(status.message(), "none of its 1 records belongs to a phase"));
}

}  // namespace
}  // namespace tierscope

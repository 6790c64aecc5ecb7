#include "sim/model/shared_bandwidth.h"

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "sim/base/units.h"

namespace tierscope {
namespace {

constexpr int64_t kGB = 1'000'000'000;

// Alone, capped at 3 of 4 GB/s: 6 GB take 2 s.
TEST(SharedBandwidthTest, AloneAFlowRunsAtItsCap) {
  SharedBandwidth shared(4 * kGB);
  shared.Start(SimTime{0}, Flow::kRecall, 6 * kGB, 3 * kGB);
  EXPECT_EQ(shared.CompletionTime(Flow::kRecall).ns, 2 * kGB);
  EXPECT_EQ(shared.CompletionTime(Flow::kIngest), kSimTimeNever);
  shared.Finish(SimTime{2 * kGB}, Flow::kRecall);
  EXPECT_FALSE(shared.busy(Flow::kRecall));
}

// Two flows of cap 3 on 4 GB/s run at 2 each. At 1 s recall (6 GB) has 4 left, ingest (2 GB) is
// done; from there recall runs at 3: 1 + 4/3 s, rounded up to a nanosecond.
TEST(SharedBandwidthTest, SharesEquallyAndTakesOverWhatBecomesFree) {
  SharedBandwidth shared(4 * kGB);
  shared.Start(SimTime{0}, Flow::kRecall, 6 * kGB, 3 * kGB);
  shared.Start(SimTime{0}, Flow::kIngest, 2 * kGB, 3 * kGB);
  EXPECT_EQ(shared.CompletionTime(Flow::kIngest).ns, kGB);
  EXPECT_EQ(shared.CompletionTime(Flow::kRecall).ns, 3 * kGB);
  shared.Finish(SimTime{kGB}, Flow::kIngest);
  EXPECT_EQ(shared.CompletionTime(Flow::kRecall).ns, kGB + 1'333'333'334);
}

// Max-min: a flow capped at 1 leaves 3 to the other two, 1.5 each.
TEST(SharedBandwidthTest, WhatACapHoldsBackGoesToTheOthers) {
  SharedBandwidth shared(4 * kGB);
  shared.Start(SimTime{0}, Flow::kWriteback, 3 * kGB, kGB);
  shared.Start(SimTime{0}, Flow::kRecall, 3 * kGB, 4 * kGB);
  shared.Start(SimTime{0}, Flow::kIngest, 3 * kGB, 4 * kGB);
  EXPECT_EQ(shared.CompletionTime(Flow::kWriteback).ns, 3 * kGB);
  EXPECT_EQ(shared.CompletionTime(Flow::kRecall).ns, 2 * kGB);
  EXPECT_EQ(shared.CompletionTime(Flow::kIngest).ns, 2 * kGB);
}

// Whatever starts when: a flow never ends before its bytes could have moved at its cap, and all
// together never beat the shared bandwidth.
TEST(SharedBandwidthTest, NothingIsFasterThanItsRoofs) {
  Rng rng(21);
  for (int round = 0; round < 500; ++round) {
    const auto capacity = static_cast<int64_t>(1 + rng.NextBelow(10'000'000'000));
    SharedBandwidth shared(capacity);
    SimTime now;
    int64_t moved = 0;
    struct Begun {
      SimTime at;
      int64_t bytes;
      int64_t cap;
    } begun[kFlowCount] = {};
    for (int step = 0; step < 60; ++step) {
      const auto flow = static_cast<Flow>(rng.NextBelow(kFlowCount));
      Begun& b = begun[static_cast<size_t>(flow)];
      if (!shared.busy(flow)) {
        b = {now, static_cast<int64_t>(1 + rng.NextBelow(1'000'000'000)),
             static_cast<int64_t>(1 + rng.NextBelow(10'000'000'000))};
        shared.Start(now, flow, b.bytes, b.cap);
        continue;
      }
      Flow first = flow;
      for (int i = 0; i < kFlowCount; ++i) {
        const auto other = static_cast<Flow>(i);
        if (shared.CompletionTime(other) < shared.CompletionTime(first)) first = other;
      }
      now = shared.CompletionTime(first);
      shared.Finish(now, first);
      const Begun& done = begun[static_cast<size_t>(first)];
      moved += done.bytes;
      ASSERT_GE((now - done.at).ns + 1, TransferDuration(done.bytes, done.cap).ns);
      ASSERT_GE(now.ns + 60, TransferDuration(moved, capacity).ns - 60);
    }
  }
}

}  // namespace
}  // namespace tierscope

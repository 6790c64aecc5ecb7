#include "sim/model/shared_bandwidth.h"

#include <algorithm>
#include <array>
#include <cmath>

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

// Ends the flow that is first to complete, and says when and which.
std::pair<SimTime, Flow> FinishNext(SharedBandwidth& shared) {
  Flow first = Flow::kRecall;
  for (int i = 0; i < kFlowCount; ++i) {
    const auto flow = static_cast<Flow>(i);
    if (shared.CompletionTime(flow) < shared.CompletionTime(first)) first = flow;
  }
  const SimTime now = shared.CompletionTime(first);
  shared.Finish(now, first);
  return {now, first};
}

// n flows of b_1 <= b_2 <= .. bytes that start together and have the roof C alone: the k-th ends at
// (b_1 + .. + b_(k-1) + (n - k + 1) b_k) / C, as each gets C / m while m are left.
TEST(SharedBandwidthTest, FlowsStartedTogetherEndAsTheClosedFormSays) {
  Rng rng(22);
  for (int round = 0; round < 2000; ++round) {
    const int n = 1 + static_cast<int>(rng.NextBelow(kFlowCount));
    const auto capacity = static_cast<int64_t>(1'000'000 + rng.NextBelow(100 * kGB));
    SharedBandwidth shared(capacity);
    std::vector<int64_t> bytes;
    for (int i = 0; i < n; ++i) {
      bytes.push_back(static_cast<int64_t>(1 + rng.NextBelow(10 * kGB)));
      shared.Start(SimTime{0}, static_cast<Flow>(i), bytes.back(), 200 * kGB);
    }
    std::sort(bytes.begin(), bytes.end());
    double before = 0;
    for (int k = 0; k < n; ++k) {
      const double b = static_cast<double>(bytes[static_cast<size_t>(k)]);
      const double end_ns = (before + (n - k) * b) / static_cast<double>(capacity) * 1e9;
      // Rates are whole bytes per second and ends whole nanoseconds.
      const double rounding =
          4.0 + end_ns * kFlowCount * kFlowCount / static_cast<double>(capacity);
      EXPECT_NEAR(static_cast<double>(FinishNext(shared).first.ns), end_ns, rounding);
      before += b;
    }
  }
}

// Three sources that think for an exponential time and then send one transfer (the machine
// repairman with processor sharing). With r = mean transfer alone / mean think, k are sending for a
// part of time p_k ~ 3! / (3 - k)! r^k, whatever the distribution of the sizes (insensitivity:
// Baskett, Chandy, Muntz, Palacios, 1975); by Little's law a transfer then takes
// 3 S / (1 - p_0) - Z on average. First come, first served would give another time for each
// distribution.
double MeanTransfer(double r, bool exponential_sizes, uint64_t seed) {
  constexpr double kAloneNs = 1e6, kRate = 1e9;
  constexpr int kTransfers = 300'000;
  Rng rng(seed);
  const auto exponential = [&](double mean) { return -mean * std::log1p(-rng.NextDouble()); };
  SharedBandwidth shared(static_cast<int64_t>(kRate));
  std::array<SimTime, kFlowCount> starts;  // of the next transfer, or of the one under way
  for (SimTime& start : starts) start.ns = static_cast<int64_t>(exponential(kAloneNs / r));
  double sum_ns = 0;
  for (int done = 0; done < kTransfers;) {
    int starter = -1;
    SimTime end = kSimTimeNever;
    for (int i = 0; i < kFlowCount; ++i) {
      const auto flow = static_cast<size_t>(i);
      end = std::min(end, shared.CompletionTime(static_cast<Flow>(i)));
      if (shared.busy(static_cast<Flow>(i))) continue;
      if (starter < 0 || starts[flow] < starts[static_cast<size_t>(starter)]) starter = i;
    }
    if (starter >= 0 && starts[static_cast<size_t>(starter)] < end) {
      const double bytes = kAloneNs * kRate / 1e9 * (exponential_sizes ? exponential(1.0) : 1.0);
      shared.Start(starts[static_cast<size_t>(starter)], static_cast<Flow>(starter),
                   std::max<int64_t>(1, static_cast<int64_t>(bytes)), 200 * kGB);
      continue;
    }
    const auto [now, flow] = FinishNext(shared);
    SimTime& start = starts[static_cast<size_t>(flow)];
    sum_ns += static_cast<double>((now - start).ns);
    start.ns = now.ns + 1 + static_cast<int64_t>(exponential(kAloneNs / r));
    ++done;
  }
  return sum_ns / kTransfers / kAloneNs;
}

TEST(SharedBandwidthTest, TransfersTakeAsLongAsProcessorSharingSays) {
  for (const double r : {0.2, 1.0, 5.0}) {
    double sum = 1, term = 1;
    for (int k = 1; k <= kFlowCount; ++k) sum += term *= (kFlowCount + 1 - k) * r;
    const double expected = kFlowCount / (1 - 1 / sum) - 1 / r;
    EXPECT_NEAR(MeanTransfer(r, true, 1) / expected, 1.0, 0.02) << "exponential sizes, r = " << r;
    EXPECT_NEAR(MeanTransfer(r, false, 2) / expected, 1.0, 0.02) << "equal sizes, r = " << r;
  }
}

}  // namespace
}  // namespace tierscope

#include "sim/engine/run_series.h"

#include <numeric>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "sim/engine/coverage_tally.h"
#include "sim/engine/fleet.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

// Told what a run tells, it keeps the series beside the diary.
class SeriesKeeper : public Diary {
 public:
  void WarmupEnded(SimTime now) override { series_.WarmupEnded(now); }
  void StepEnded(SimTime end, SimDuration length, const Counters& counters,
                 const MemoryUse& memory) override {
    series_.StepEnded(end, length, counters, memory);
  }
  void Transfer(int64_t, SimTime begin, SimTime end, int64_t bytes) override {
    transferred_ += bytes;
    link_ += end - begin;
  }
  void Finished(SimTime end, const Counters& counters) override { series_.Finished(end, counters); }

  const RunSeries& series() const { return series_; }
  int64_t transferred() const { return transferred_; }
  SimDuration link() const { return link_; }

 private:
  RunSeries series_;
  int64_t transferred_ = 0;
  SimDuration link_;
};

TEST(CoarseHistogramTest, EdgesEncloseEveryValue) {
  Rng rng(5);
  for (int round = 0; round < 20'000; ++round) {
    const auto value = static_cast<int64_t>(rng.NextUint64() >> (1 + rng.NextBelow(63)));
    const size_t bin = CoarseHistogram::BinOf(value);
    ASSERT_LT(bin, CoarseHistogram::kBins);
    ASSERT_LE(CoarseHistogram::LowerEdge(bin), value);
    if (bin + 1 < CoarseHistogram::kBins) {
      ASSERT_GT(CoarseHistogram::LowerEdge(bin + 1), value);
    }
  }
  for (int64_t value = 0; value < 64; ++value) {
    EXPECT_EQ(CoarseHistogram::LowerEdge(CoarseHistogram::BinOf(value)), value);
  }
}

// A million steps of 1 ms: the one long step and the one full moment are found where they were.
TEST(RunSeriesTest, ALongRunStaysBoundedAndKeepsItsPeaks) {
  RunSeries series;
  Counters counters;
  constexpr int64_t kSteps = 1'000'000;
  for (int64_t step = 1; step <= kSteps; ++step) {
    counters.steps = step;
    counters.decode = SimDuration{step * 1'000'000};
    MemoryUse memory{.blocks_held = 5};
    if (step == 700'001) memory.blocks_held = 9;
    const SimDuration length{step == 123'456 ? 77 : 1};
    series.StepEnded(SimTime{step * 1'000'000}, length, counters, memory);
  }
  series.Finished(SimTime{kSteps * 1'000'000 + 500}, counters);
  const std::vector<SeriesSample>& samples = series.samples();
  ASSERT_LE(samples.size(), RunSeries::kBucketsMax);
  ASSERT_GE(samples.size(), RunSeries::kBucketsMax / 2);
  EXPECT_EQ(samples.front().steps, 0);
  EXPECT_EQ(samples.back().steps, kSteps);
  EXPECT_EQ(samples.back().time.ns, kSteps * 1'000'000 + 500);
  for (size_t i = 1; i < samples.size(); ++i) {
    ASSERT_GT(samples[i].time, samples[i - 1].time);
    ASSERT_EQ(samples[i].decode_ns, samples[i].steps * 1'000'000);
    const auto inside = [&](int64_t step) {
      return samples[i - 1].steps < step && step <= samples[i].steps;
    };
    if (samples[i].steps == samples[i - 1].steps) continue;  // the run's end
    ASSERT_EQ(samples[i].step_ns_max, inside(123'456) ? 77 : 1) << i;
    ASSERT_EQ(samples[i].memory_max.blocks_held, inside(700'001) ? 9 : 5) << i;
  }
}

TEST(RunSeriesTest, TheWarmUpIsOneSampleWithItsPeaks) {
  RunSeries series;
  Counters counters;
  for (int64_t step = 1; step <= 3'000; ++step) {
    counters.steps = step;
    series.StepEnded(SimTime{step * 3'000'000}, SimDuration{3'000'000}, counters,
                     {.tokens_in_use = step == 7 ? 99 : 1});
  }
  series.WarmupEnded(SimTime{9'000'000'000});
  counters.steps = 1;
  series.StepEnded(SimTime{9'003'000'000}, SimDuration{3'000'000}, counters, {.tokens_in_use = 2});
  series.Finished(SimTime{9'003'000'000}, counters);
  ASSERT_EQ(series.samples().size(), 3u);
  EXPECT_EQ(series.samples()[0].time.ns, 9'000'000'000);
  EXPECT_EQ(series.samples()[0].steps, 0);
  EXPECT_EQ(series.samples()[0].memory_max.tokens_in_use, 99);
  EXPECT_EQ(series.samples()[1].memory_max.tokens_in_use, 2);
  const auto& bins = series.step_ns().bins;
  EXPECT_EQ(std::accumulate(bins.begin(), bins.end(), int64_t{0}), 1) << "steps of the warm-up";
}

// Where a run ends the series ends, with the run's own counters; leaping changes nothing.
TEST(RunSeriesTest, EndsWithTheCountersOfTheRun) {
  const Scenario scenario = ToyScenario(R"(
    workload { context_tokens: 3072 output_tokens: 40 request_limit: 6 concurrency: 2
      attention { random_offset: false } }
    engine { simulated_s: 0 }
    policy { kind: LSA tau_steps: 8 page_kmax: 3 reserve_entries: 1920 })");
  std::vector<ToyWindow> windows(12);
  for (size_t w = 0; w < windows.size(); ++w) {
    windows[w].scored_pages = {static_cast<PageIndex>(w), static_cast<PageIndex>((w + 5) % 12)};
    windows[w].selections = {{static_cast<PageIndex>(w), 3}, {0, 2}};
  }
  const WindowDemand demand = ToyDemand(scenario, 12, 4, windows);
  const absl::StatusOr<MemoryPlan> plan = MakeMemoryPlan(scenario);
  ASSERT_TRUE(plan.ok()) << plan.status();
  std::vector<std::vector<SeriesSample>> both;
  for (const bool leap : {true, false}) {
    SeriesKeeper keeper;
    ReplicaOptions options;
    options.leap = leap;
    Fleet fleet(scenario, *plan, &demand, nullptr, &keeper, options);
    const ReplicaOutcome outcome = fleet.Run();
    const Counters& c = outcome.counters;
    const SeriesSample& last = keeper.series().samples().back();
    EXPECT_EQ(last.time, outcome.end);
    EXPECT_EQ(last.steps, c.steps);
    EXPECT_EQ(last.output_tokens, c.output_tokens);
    EXPECT_EQ(last.decode_ns, c.decode.ns);
    EXPECT_EQ(last.selections, c.selections.all);
    EXPECT_EQ(last.missed, c.inactive.all + c.evicted.all);
    EXPECT_EQ(last.recall_bytes, c.recall_bytes);
    EXPECT_EQ(last.link_busy_ns, c.link_busy.ns);
    EXPECT_GT(c.recall_bytes, 0);
    EXPECT_GT(c.selections.all, 0);
    int64_t blocks = 0, tokens = 0;
    for (const SeriesSample& sample : keeper.series().samples()) {
      blocks = std::max(blocks, sample.memory_max.blocks_held);
      tokens = std::max(tokens, sample.memory_max.tokens_in_use);
    }
    EXPECT_EQ(tokens, outcome.peaks.tokens_in_use);
    EXPECT_LE(blocks, outcome.peaks.blocks_in_use);
    EXPECT_GT(blocks, 0);
    both.push_back(keeper.series().samples());
  }
  ASSERT_EQ(both[0].size(), both[1].size());
  for (size_t i = 0; i < both[0].size(); ++i) {
    EXPECT_EQ(both[0][i].time, both[1][i].time);
    EXPECT_EQ(both[0][i].steps, both[1][i].steps);
    EXPECT_EQ(both[0][i].step_ns_max, both[1][i].step_ns_max);
  }
}

// One request, ticks after steps 0 and 4, each wanting page 0 alone; pages 0 and 9 of 12 are
// selected in every step. What is missed is page 9, in part 24 of 32 of the prompt.
TEST(CoverageTallyTest, SaysWhereTheMissesAre) {
  const Scenario scenario = ToyScenario(R"(
    workload { context_tokens: 3072 output_tokens: 9 request_limit: 1
      attention { random_offset: false } }
    engine { simulated_s: 0 }
    policy { kind: LSA tau_steps: 4 page_kmax: 1 reserve_entries: 1280 level1: SYNC })");
  std::vector<ToyWindow> windows(4, {{0}, {{0, 3}, {9, 1}}});
  const WindowDemand demand = ToyDemand(scenario, 12, 4, windows);
  CoverageTally tally;
  ReplicaOptions options;
  options.coverage = &tally;
  RunToy(scenario, &demand, nullptr, options);
  const CoverageGrid grid = tally.Sum();
  ASSERT_EQ(grid.stride_steps, 4);
  const int64_t steps = 8;  // all but step 0
  for (size_t cell = 0; cell < grid.all.size(); ++cell) {
    const size_t position = cell % CoverageGrid::kPositions;
    const bool first_lag = cell < CoverageGrid::kPositions;
    const int64_t all = position == 0 ? 3 : position == 24 ? 1 : 0;
    EXPECT_EQ(grid.all[cell], first_lag ? all * steps * 4 : 0) << cell;
    EXPECT_EQ(grid.missed[cell], first_lag && position == 24 ? steps * 4 : 0) << cell;
  }
}

}  // namespace
}  // namespace tierscope::testing

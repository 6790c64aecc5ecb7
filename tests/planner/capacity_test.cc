#include "sim/planner/capacity.h"

#include <functional>
#include <map>

#include "gtest/gtest.h"

#include "sim/base/rng.h"

namespace tierscope {
namespace {

using Curve = std::function<double(int64_t)>;

// A run whose metrics follow the given curves; counts how often each load was run.
struct FakeRuns {
  std::map<std::string, Curve> curves;
  std::map<int64_t, int> runs;

  absl::StatusOr<RunResult> operator()(int64_t load) {
    ++runs[load];
    return Beyond(load);
  }
  absl::StatusOr<RunResult> Beyond(int64_t load) const {
    RunResult result;
    for (const auto& [name, curve] : curves) {
      Metric* metric = result.add_metrics();
      metric->set_name(name);
      metric->set_value(curve(load));
    }
    return result;
  }
};

absl::StatusOr<Capacity> Find(FakeRuns& runs, const CapacitySearch& search) {
  return FindCapacity(search, [&](int64_t load, Bottleneck lifted) {
    return lifted == Bottleneck::kNone ? runs(load) : runs.Beyond(load);
  });
}

CapacitySearch Search(std::vector<Limit> limits) {
  CapacitySearch search;
  search.limits = std::move(limits);
  return search;
}

TEST(Capacity, EveryAnswerIsProvenByTwoRuns) {
  for (int64_t answer = 0; answer <= 300; ++answer) {
    FakeRuns runs{{{"tpot_ms_p99", [](int64_t n) { return static_cast<double>(n); }}}, {}};
    const double bound = static_cast<double>(answer) + 0.5;
    const auto found = Find(runs, Search({{"tpot_ms_p99", true, bound, ""}}));
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->load, answer);
    EXPECT_TRUE(found->monotone);
    if (answer > 0) {
      EXPECT_EQ(runs.runs[answer], 1);
    }
    EXPECT_EQ(runs.runs[answer + 1], 1);
    EXPECT_EQ(found->binding.limit, 0);
    for (const auto& [load, count] : runs.runs) EXPECT_EQ(count, 1) << load;
  }
}

TEST(Capacity, NamesTheBindingLimitAndTheOneBehindIt) {
  FakeRuns runs{{{"tpot_ms_p99", [](int64_t n) { return static_cast<double>(n); }},
                 {"coverage", [](int64_t n) { return 1.0 - 0.01 * static_cast<double>(n); }},
                 {"stall_fraction", [](int64_t) { return 0.0; }}},
                {}};
  const auto found = Find(runs, Search({{"tpot_ms_p99", true, 40.0, ""},
                                        {"coverage", false, 0.75, ""},
                                        {"stall_fraction", true, 0.1, ""}}));
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->load, 25);
  EXPECT_EQ(found->binding.limit, 1);
  EXPECT_EQ(found->next.bound.limit, 0);
  EXPECT_LE(found->next.load_holds, 40);
  EXPECT_GT(found->next.load_fails, 40);
  EXPECT_LE(found->next.load_fails - found->next.load_holds, 3);
}

TEST(Capacity, ACeilingBindsWithoutARunBeyondIt) {
  FakeRuns runs{{{"tpot_ms_p99", [](int64_t n) { return static_cast<double>(n); }}}, {}};
  CapacitySearch search = Search({{"tpot_ms_p99", true, 100.0, ""}});
  search.ceilings = {{"CUDA graph", 80, Bottleneck::kGraphBatch},
                     {"host DRAM", 44, Bottleneck::kHost}};
  const auto found = Find(runs, search);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->load, 44);
  EXPECT_EQ(found->binding.ceiling, 1);
  EXPECT_EQ(found->next.bound.ceiling, 0);
  EXPECT_EQ(found->next.load_holds, 80);
  EXPECT_LE(runs.runs.rbegin()->first, 44);
}

TEST(Capacity, ALimitInFrontOfACeilingHasTheCeilingBehindIt) {
  FakeRuns runs{{{"tpot_ms_p99", [](int64_t n) { return static_cast<double>(n); }}}, {}};
  CapacitySearch search = Search({{"tpot_ms_p99", true, 30.0, ""}});
  search.ceilings = {{"host DRAM", 44, Bottleneck::kHost}};
  const auto found = Find(runs, search);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->load, 30);
  EXPECT_EQ(found->binding.limit, 0);
  EXPECT_EQ(found->next.bound.ceiling, 0);
  EXPECT_EQ(found->next.load_holds, 44);
}

// With host DRAM lifted the next to stop is a limit, in front of the next ceiling.
TEST(Capacity, BehindACeilingStandsTheLimitThatStopsFirst) {
  FakeRuns runs{{{"tpot_ms_p99", [](int64_t n) { return static_cast<double>(n); }}}, {}};
  CapacitySearch search = Search({{"tpot_ms_p99", true, 60.0, ""}});
  search.ceilings = {{"CUDA graph", 80, Bottleneck::kGraphBatch},
                     {"host DRAM", 44, Bottleneck::kHost}};
  const auto found = Find(runs, search);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->load, 44);
  EXPECT_EQ(found->next.bound.limit, 0);
  EXPECT_LE(found->next.load_holds, 60);
  EXPECT_GT(found->next.load_fails, 60);
  EXPECT_LE(runs.runs.rbegin()->first, 44) << "runs beyond a ceiling are lifted ones";
}

TEST(Capacity, BelowACeilingThatHoldsOneRunAndTheCurveAreAll) {
  FakeRuns runs{{{"stall_fraction", [](int64_t) { return 0.0; }}}, {}};
  CapacitySearch search = Search({});
  search.ceilings = {{"host DRAM", 1000, Bottleneck::kHost}};
  const auto found = Find(runs, search);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->load, 1000);
  EXPECT_EQ(runs.runs.size(), 9u);  // 1 and eight even steps
}

TEST(Capacity, NoCeilingHoldsOne) {
  FakeRuns runs;
  CapacitySearch search = Search({});
  search.ceilings = {{"HBM", 0, Bottleneck::kHbm}};
  const auto found = Find(runs, search);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->load, 0);
  EXPECT_EQ(found->binding.ceiling, 0);
  EXPECT_TRUE(runs.runs.empty());
}

// A metric that scatters by 0.5 % about its bound where it reaches it: chance, not thrashing. The
// answer lies below the first load that fails.
TEST(Capacity, ChanceAtTheBoundIsNotThrashing) {
  FakeRuns runs{{{"tpot_ms_p99",
                  [](int64_t n) {
                    const double scatter = n % 2 == 0 ? 1.005 : 0.995;
                    return n < 40   ? static_cast<double>(n)
                           : n > 60 ? 2.0 * static_cast<double>(n)
                                    : 50.0 * scatter;
                  }}},
                {}};
  CapacitySearch search = Search({{"tpot_ms_p99", true, 50.0, ""}});
  search.load_max = 64;
  const auto found = Find(runs, search);
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->monotone);
  for (const LoadPoint& point : found->points) {
    if (point.load <= found->load) {
      EXPECT_TRUE(point.holds) << point.load;
    }
  }
  EXPECT_GE(found->load, 32);
  EXPECT_EQ(found->binding.limit, 0);
}

// A metric without a value at a load (nobody finished in time) does not hold there; without one at
// the least load it never will.
TEST(Capacity, AMetricWithoutAValueFailsItsLimit) {
  const auto evaluate = [](int64_t absent_from) {
    return [absent_from](int64_t load, Bottleneck) -> absl::StatusOr<RunResult> {
      RunResult result;
      Metric* metric = result.add_metrics();
      metric->set_name("tpot_ms_p99");
      if (load >= absent_from) {
        metric->set_absent("no request finished");
      } else {
        metric->set_value(1.0);
      }
      return result;
    };
  };
  const CapacitySearch search = Search({{"tpot_ms_p99", true, 2.0, ""}});
  const auto found = FindCapacity(search, evaluate(30));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->load, 29);
  EXPECT_TRUE(found->FirstFailing()->readings[0].absent);
  const auto never = FindCapacity(search, evaluate(1));
  EXPECT_NE(std::string(never.status().message()).find("no request finished"), std::string::npos);
}

// Thrashing that heals: a hump between 17 and 21 that bisection alone jumps over (1, 2, 4, .. 16,
// 32, 64, then down to 60); the curve's load of 18 falls into it.
TEST(Capacity, AHumpIsFoundAndSaid) {
  FakeRuns runs{{{"tpot_ms_p99",
                  [](int64_t n) {
                    const bool hump = n >= 17 && n < 22;
                    return hump ? 1000.0 : static_cast<double>(n);
                  }}},
                {}};
  const auto found = Find(runs, Search({{"tpot_ms_p99", true, 60.5, ""}}));
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found->monotone);
  EXPECT_EQ(found->load, 60);
}

TEST(Capacity, AFloorThatNeedsLoadIsFoundAboveTheBottom) {
  FakeRuns runs{{{"throughput_tok_per_s", [](int64_t n) { return 100.0 * static_cast<double>(n); }},
                 {"tpot_ms_p99", [](int64_t n) { return static_cast<double>(n); }}},
                {}};
  CapacitySearch search =
      Search({{"throughput_tok_per_s", false, 1000.0, ""}, {"tpot_ms_p99", true, 20.0, ""}});
  search.load_max = 64;
  const auto found = Find(runs, search);
  ASSERT_TRUE(found.ok());
  EXPECT_GE(found->load, 10);
  EXPECT_LE(found->load, 20);
  EXPECT_FALSE(found->monotone);
}

TEST(Capacity, NothingBindsUpToTheLargestLoad) {
  FakeRuns runs{{{"stall_fraction", [](int64_t) { return 0.0; }}}, {}};
  CapacitySearch search = Search({{"stall_fraction", true, 0.1, ""}});
  search.load_max = 50;
  const auto found = Find(runs, search);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->load, 50);
  EXPECT_EQ(found->binding.limit, -1);
  EXPECT_EQ(found->binding.ceiling, -1);
}

TEST(Capacity, RandomMonotoneLimitsAgreeWithCounting) {
  Rng rng(7);
  for (int trial = 0; trial < 2000; ++trial) {
    const double a = 0.2 + rng.NextDouble(), b = 0.2 + rng.NextDouble();
    FakeRuns runs{{{"tpot_ms_p99", [a](int64_t n) { return a * static_cast<double>(n); }},
                   {"stall_fraction", [b](int64_t n) { return b * static_cast<double>(n * n); }}},
                  {}};
    const auto found =
        Find(runs, Search({{"tpot_ms_p99", true, 30.0, ""}, {"stall_fraction", true, 500.0, ""}}));
    ASSERT_TRUE(found.ok());
    int64_t expected = 0;
    while (a * static_cast<double>(expected + 1) <= 30.0 &&
           b * static_cast<double>((expected + 1) * (expected + 1)) <= 500.0) {
      ++expected;
    }
    EXPECT_EQ(found->load, expected);
  }
}

}  // namespace
}  // namespace tierscope

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
  return FindCapacity(search, [&](int64_t load) { return runs(load); });
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
    EXPECT_EQ(found->binding_limit, 0);
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
  EXPECT_EQ(found->binding_limit, 1);
  EXPECT_EQ(found->next_limit, 0);
  EXPECT_EQ(found->next_load, 40);
}

TEST(Capacity, ACeilingBindsWithoutARunBeyondIt) {
  FakeRuns runs{{{"tpot_ms_p99", [](int64_t n) { return static_cast<double>(n); }}}, {}};
  CapacitySearch search = Search({{"tpot_ms_p99", true, 100.0, ""}});
  search.ceilings = {{"CUDA graph", 80}, {"host DRAM", 44}};
  const auto found = Find(runs, search);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->load, 44);
  EXPECT_EQ(found->binding_ceiling, 1);
  EXPECT_EQ(found->next_ceiling, 0);
  EXPECT_EQ(found->next_load, 80);
  EXPECT_LE(runs.runs.rbegin()->first, 44);
}

TEST(Capacity, ALimitInFrontOfACeilingHasTheCeilingBehindIt) {
  FakeRuns runs{{{"tpot_ms_p99", [](int64_t n) { return static_cast<double>(n); }}}, {}};
  CapacitySearch search = Search({{"tpot_ms_p99", true, 30.0, ""}});
  search.ceilings = {{"host DRAM", 44}};
  const auto found = Find(runs, search);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->load, 30);
  EXPECT_EQ(found->binding_limit, 0);
  EXPECT_EQ(found->next_ceiling, 0);
  EXPECT_EQ(found->next_load, 44);
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
  EXPECT_EQ(found->binding_limit, -1);
  EXPECT_EQ(found->binding_ceiling, -1);
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

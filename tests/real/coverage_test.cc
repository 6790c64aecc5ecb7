#include "real/coverage.h"

#include "gtest/gtest.h"

namespace tierscope {
namespace {

// One request of 9 steps, a stride of 4: sub-windows are steps 1 to 4 and 5 to 8. In the first,
// page 0 is selected from 8 times and page 3 (not of the prompt) 4 times; in the second page 1 12
// times.
struct World {
  World() {
    plan.requests = {{256, 9, 0, 0, 4, 0, 1}};
    plan.stride_steps = 4;
    ProfileDemand profile;
    profile.stride_steps = 4;
    profile.position_count = 2;
    profile.prompt_page_count = 3;
    profile.touched_begin = {0, 2, 3};
    profile.touched_pages = {0, 3, 1};
    profile.touched_selections = {8, 4, 12};
    demand.profiles.push_back(profile);
    pass.requests.resize(1);
  }
  MissCounts Count(int64_t first_batch_step = 0) {
    return CountMisses(plan, pass, demand, first_batch_step);
  }
  ExecutionPlan plan;
  WindowDemand demand;
  PassRecord pass;
};

// In units of a quarter: each step of a sub-window has its page counts.
TEST(CoverageTest, NothingIsActiveBeforeTheFirstPublish) {
  World world;
  const MissCounts counts = world.Count();
  EXPECT_EQ(counts.selections, (SelectionCount{4 * 12 + 4 * 12, 4 * 8 + 4 * 12}));
  EXPECT_EQ(counts.inactive, counts.selections);
  EXPECT_EQ(counts.evicted, SelectionCount());
}

TEST(CoverageTest, ASetCountsFromItsStepOn) {
  World world;
  // Page 0 from step 1, page 1 from step 7: missed are page 3 always and page 1 in steps 5 and 6.
  world.pass.requests[0].sets = {{1, {0}, {}}, {7, {0, 1}, {}}};
  const MissCounts counts = world.Count();
  EXPECT_EQ(counts.inactive, (SelectionCount{4 * 4 + 2 * 12, 2 * 12}));
  EXPECT_EQ(counts.evicted, SelectionCount());
}

TEST(CoverageTest, APageWithoutABlockIsEvicted) {
  World world;
  world.pass.requests[0].sets = {{1, {0, 1, 3}, {}}, {3, {0, 1, 3}, {0}}, {8, {0, 1, 3}, {0, 1}}};
  const MissCounts counts = world.Count();
  EXPECT_EQ(counts.inactive, SelectionCount());
  EXPECT_EQ(counts.evicted, (SelectionCount{2 * 8 + 12, 2 * 8 + 12}));  // steps 3, 4, and 8
}

TEST(CoverageTest, TheWarmUpIsLeftOut) {
  World world;
  world.pass.requests[0].sets = {{1, {0, 3}, {}}};
  const MissCounts counts = world.Count(/*first_batch_step=*/4);
  EXPECT_EQ(counts.selections, (SelectionCount{12 + 4 * 12, 8 + 4 * 12}));
  EXPECT_EQ(counts.inactive, (SelectionCount{4 * 12, 4 * 12}));
}

}  // namespace
}  // namespace tierscope

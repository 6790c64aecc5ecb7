#include "sim/demand/assignment.h"

#include <map>

#include "gtest/gtest.h"

namespace tierscope {
namespace {

WindowDemand WithPrompts(const std::vector<int64_t>& prompts) {
  WindowDemand demand;
  for (int64_t tokens : prompts) {
    demand.profiles.emplace_back();
    demand.profiles.back().prompt_tokens = tokens;
    demand.profiles.back().position_count = 10;
    demand.profiles.back().stride_steps = 16;
  }
  return demand;
}

TEST(ProfileAssignerTest, NearestContextTheShorterOnATie) {
  const WindowDemand demand = WithPrompts({400, 100, 200});
  ProfileAssigner assigner(demand, 1, true);
  EXPECT_EQ(assigner.Assign(1, 1000).profile.value, 1);
  EXPECT_EQ(assigner.Assign(149, 1000).profile.value, 1);
  EXPECT_EQ(assigner.Assign(150, 1000).profile.value, 1);
  EXPECT_EQ(assigner.Assign(151, 1000).profile.value, 2);
  EXPECT_EQ(assigner.Assign(300, 1000).profile.value, 2);
  EXPECT_EQ(assigner.Assign(100000, 1000).profile.value, 0);
}

TEST(ProfileAssignerTest, SpreadsOverProfilesAndOffsets) {
  const WindowDemand demand = WithPrompts({100, 100, 100, 100});
  ProfileAssigner assigner(demand, 1, true);
  std::map<int32_t, int> profiles, positions;
  for (int i = 0; i < 4000; ++i) {
    const ProfileStart start = assigner.Assign(100, 1000);
    ++profiles[start.profile.value];
    ++positions[start.position];
  }
  ASSERT_EQ(profiles.size(), 4u);
  ASSERT_EQ(positions.size(), 10u);
  for (const auto& [profile, n] : profiles) EXPECT_NEAR(n, 1000, 150);
  for (const auto& [position, n] : positions) EXPECT_NEAR(n, 400, 100);
}

// 160 recorded steps: a request of 100 more steps fits from ticks 0..3, one of 160 from tick 0
// only.
TEST(ProfileAssignerTest, StartsWhereTheRequestFits) {
  const WindowDemand demand = WithPrompts({100});
  ProfileAssigner assigner(demand, 1, true);
  std::map<int32_t, int> positions;
  for (int i = 0; i < 400; ++i) ++positions[assigner.Assign(100, 100).position];
  ASSERT_EQ(positions.size(), 4u);
  EXPECT_EQ(positions.rbegin()->first, 3);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(assigner.Assign(100, 160).position, 0);
}

TEST(ProfileAssignerTest, SeedDecides) {
  const WindowDemand demand = WithPrompts({100, 100, 100, 100});
  ProfileAssigner a(demand, 1, true), b(demand, 1, true), c(demand, 2, true);
  int differ = 0;
  for (int i = 0; i < 100; ++i) {
    const ProfileStart x = a.Assign(100, 1000), y = b.Assign(100, 1000), z = c.Assign(100, 1000);
    EXPECT_EQ(x.profile, y.profile);
    EXPECT_EQ(x.position, y.position);
    differ += x.profile != z.profile || x.position != z.position;
  }
  EXPECT_GT(differ, 50);
}

// A demand whose buffers are warmed with what was recorded before: no start comes earlier.
TEST(ProfileAssignerTest, StartsBehindTheWarmUp) {
  WindowDemand demand = WithPrompts({100});
  demand.first_start = 3;
  EXPECT_EQ(ProfileAssigner(demand, 1, false).Assign(100, 10).position, 3);
  ProfileAssigner assigner(demand, 1, true);
  std::map<int32_t, int> positions;
  for (int i = 0; i < 400; ++i) ++positions[assigner.Assign(100, 60).position];
  ASSERT_EQ(positions.size(), 4u);  // ticks 3 to 6 of 10, with 60 of 160 steps to come
  EXPECT_EQ(positions.begin()->first, 3);
  EXPECT_EQ(assigner.Assign(100, 160).position, 3);  // fits from tick 0 alone: it wraps
}

}  // namespace
}  // namespace tierscope

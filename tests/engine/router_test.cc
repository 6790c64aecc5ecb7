// Which replica a router chooses, on loads written down by hand.
#include "sim/engine/router.h"

#include <vector>

#include "gtest/gtest.h"

namespace tierscope {
namespace {

using Loads = std::vector<GroupLoad>;

Engine EngineOf(Engine::Routing routing, int32_t replicas, int32_t groups = 1) {
  Engine engine;
  engine.set_routing(routing);
  engine.set_replicas(replicas);
  engine.set_dp_attention(groups);
  return engine;
}

TEST(RouterTest, RoundRobinTakesTurnsWhateverTheLoad) {
  Router router(EngineOf(Engine::ROUND_ROBIN, 3));
  const Loads loads = {{9'000'000, 100, 9}, {0, 0, 0}, {5, 1, 0}};
  std::vector<int32_t> routed;
  for (int i = 0; i < 7; ++i) routed.push_back(router.Route(loads));
  EXPECT_EQ(routed, (std::vector<int32_t>{0, 1, 2, 0, 1, 2, 0}));
}

TEST(RouterTest, LeastLoadedCountsTokensAndNotRequests) {
  Router router(EngineOf(Engine::LEAST_LOADED, 3));
  EXPECT_EQ(router.Route(Loads{{600, 1, 0}, {500, 9, 0}, {700, 0, 0}}), 1);
  EXPECT_EQ(router.Route(Loads{{500, 1, 0}, {500, 0, 0}, {700, 0, 0}}), 0);  // the first of equals
}

// Replicas of two groups: loads 900, 800, 1,000. Replica 1 has the least together, and its second
// group the least of that, though other replicas have groups with less.
TEST(RouterTest, AGroupIsChosenWithinTheReplica) {
  const Loads loads = {{100, 1, 0}, {800, 1, 0}, {450, 1, 0}, {350, 1, 0}, {0, 0, 0}, {1000, 1, 0}};
  Router least(EngineOf(Engine::LEAST_LOADED, 3, 2));
  EXPECT_EQ(least.Route(loads), 3);
  Router turns(EngineOf(Engine::ROUND_ROBIN, 3, 2));
  EXPECT_EQ(turns.Route(loads), 0);
  EXPECT_EQ(turns.Route(loads), 3);
  EXPECT_EQ(turns.Route(loads), 4);
}

TEST(RouterTest, PrefixAwareChoosesTheHolder) {
  Router router(EngineOf(Engine::PREFIX_AWARE, 3));
  EXPECT_EQ(router.Route(Loads{{0, 0, 2}, {900, 3, 7}, {10, 1, 0}}), 1);
  EXPECT_EQ(router.Route(Loads{{80, 1, 4}, {70, 1, 4}, {0, 0, 3}}), 1);   // of two, the less loaded
  EXPECT_EQ(router.Route(Loads{{80, 1, 0}, {70, 1, 0}, {90, 1, 0}}), 1);  // nobody holds it
}

// Out of balance: the difference is above the bound and so is the ratio; one alone is not enough.
TEST(RouterTest, PrefixAwareGivesWayToTheLoadOutOfBalance) {
  Engine engine = EngineOf(Engine::PREFIX_AWARE, 2);
  engine.set_routing_imbalance_requests(4);
  engine.set_routing_imbalance_factor(1.5);
  Router router(engine);
  EXPECT_EQ(router.Route(Loads{{900, 6, 7}, {100, 2, 0}}), 0);    // 4 more
  EXPECT_EQ(router.Route(Loads{{900, 7, 7}, {100, 2, 0}}), 1);    // 5 more and 3.5 times
  EXPECT_EQ(router.Route(Loads{{900, 15, 7}, {100, 10, 0}}), 0);  // 5 more, 1.5 times
  EXPECT_EQ(router.Route(Loads{{900, 16, 7}, {100, 10, 0}}), 1);
}

}  // namespace
}  // namespace tierscope

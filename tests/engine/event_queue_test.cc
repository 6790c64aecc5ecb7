#include "sim/engine/event_queue.h"

#include <algorithm>

#include "gtest/gtest.h"

#include "sim/base/rng.h"

namespace tierscope {
namespace {

TEST(EventQueueTest, TimeThenPhaseThenInsertion) {
  EventQueue queue;
  queue.Push(5, 1, 100);
  queue.Push(5, 0, 101);
  queue.Push(4, 9, 102);
  queue.Push(5, 0, 103);
  std::vector<int32_t> order;
  while (!queue.empty()) order.push_back(queue.Pop().subject);
  EXPECT_EQ(order, (std::vector<int32_t>{102, 101, 103, 100}));
}

// Against a stable sort, with pushes and pops mixed.
TEST(EventQueueTest, AgreesWithAStableSort) {
  Rng rng(11);
  for (int round = 0; round < 200; ++round) {
    EventQueue queue;
    struct Item {
      int64_t key;
      uint8_t phase;
      int32_t subject;
    };
    std::vector<Item> pending;
    int32_t next = 0;
    for (int step = 0; step < 200; ++step) {
      if (pending.empty() || rng.NextBelow(3) > 0) {
        const auto key = static_cast<int64_t>(rng.NextBelow(8));
        const auto phase = static_cast<uint8_t>(rng.NextBelow(3));
        pending.push_back({key, phase, next});
        queue.Push(key, phase, next++);
        continue;
      }
      const auto least =
          std::min_element(pending.begin(), pending.end(), [](const Item& a, const Item& b) {
            return std::tie(a.key, a.phase, a.subject) < std::tie(b.key, b.phase, b.subject);
          });
      ASSERT_EQ(queue.Pop().subject, least->subject);
      pending.erase(least);
    }
    ASSERT_EQ(queue.pending(), pending.size());
  }
}

}  // namespace
}  // namespace tierscope

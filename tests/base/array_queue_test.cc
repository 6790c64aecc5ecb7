#include "sim/base/array_queue.h"

#include <algorithm>
#include <deque>
#include <vector>

#include "gtest/gtest.h"

#include "sim/base/rng.h"

namespace tierscope {
namespace {

std::vector<int> Elements(const ArrayQueue<int>& queue) { return {queue.begin(), queue.end()}; }

// The same random calls to a std::deque.
TEST(ArrayQueueTest, DoesAsADeque) {
  Rng rng(3);
  ArrayQueue<int> queue;
  std::deque<int> slow;
  for (int i = 0; i < 20'000; ++i) {
    const uint64_t call = rng.NextBelow(10);
    if (call < 5) {
      queue.push_back(i);
      slow.push_back(i);
      EXPECT_EQ(queue.back(), i);
    } else if (call < 8 && !slow.empty()) {
      EXPECT_EQ(queue.front(), slow.front());
      queue.pop_front();
      slow.pop_front();
    } else if (call == 8) {
      const size_t at = rng.NextBelow(slow.size() + 1);
      queue.Insert(at, -i);
      slow.insert(slow.begin() + static_cast<std::ptrdiff_t>(at), -i);
    } else if (!slow.empty()) {
      const size_t from = rng.NextBelow(slow.size());
      const auto drops = [](int value) { return value % 5 == 0; };
      queue.EraseIf(from, drops);
      slow.erase(
          std::remove_if(slow.begin() + static_cast<std::ptrdiff_t>(from), slow.end(), drops),
          slow.end());
    }
    ASSERT_EQ(queue.empty(), slow.empty());
    ASSERT_EQ(queue.size(), slow.size());
    ASSERT_EQ(Elements(queue), std::vector<int>(slow.begin(), slow.end()));
  }
}

// As many as five stand in line while 10,000 pass: where they stand stays a small array.
TEST(ArrayQueueTest, KeepsToItsMemory) {
  ArrayQueue<int> queue;
  for (int i = 0; i < 4; ++i) queue.push_back(i);
  const int* lowest = queue.begin();
  const int* highest = lowest;
  for (int i = 4; i < 10'000; ++i) {
    queue.push_back(i);
    queue.pop_front();
    if (i == 100) lowest = highest = queue.begin();
    if (i <= 100) continue;
    lowest = std::min<const int*>(lowest, queue.begin());
    highest = std::max<const int*>(highest, queue.begin());
  }
  EXPECT_LE(highest - lowest, 16);
}

}  // namespace
}  // namespace tierscope

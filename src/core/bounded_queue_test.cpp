#include "core/bounded_queue.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

namespace backstay::core {
namespace {

TEST(BoundedQueueTest, KeepsOrderAndDrainsAfterClose) {
  BoundedQueue<int> queue(4);
  EXPECT_TRUE(queue.push(1));
  EXPECT_TRUE(queue.push(2));
  queue.close();
  EXPECT_FALSE(queue.push(3));
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_EQ(queue.pop(), std::nullopt);
}

TEST(BoundedQueueTest, AProducerWaitsForRoom) {
  BoundedQueue<int> queue(1);
  constexpr int kItems = 1000;
  std::jthread producer([&] {
    for (int i = 0; i < kItems; ++i) queue.push(i);
    queue.close();
  });
  int expected = 0;
  while (const auto item = queue.pop()) EXPECT_EQ(*item, expected++);
  EXPECT_EQ(expected, kItems);
}

TEST(BoundedQueueTest, AbortReleasesEverybodyAndDropsTheRest) {
  BoundedQueue<int> full(1);
  ASSERT_TRUE(full.push(1));
  std::atomic<bool> pushed = true;
  {
    std::jthread producer([&] { pushed = full.push(2); });
    full.abort();
  }
  EXPECT_FALSE(pushed);
  EXPECT_EQ(full.pop(), std::nullopt);
}

}  // namespace
}  // namespace backstay::core

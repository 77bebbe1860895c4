#include "control/operation_feed.h"

#include <thread>

#include <gtest/gtest.h>

namespace backstay::control {
namespace {

TEST(OperationFeedTest, WakesWhoeverWaitsForAChange) {
  OperationFeed feed;
  const auto seen = feed.version("a");
  const std::jthread changer([&] { feed.notify("a"); });
  EXPECT_NE(feed.wait("a", seen, {}, std::chrono::minutes(1)), seen);
}

TEST(OperationFeedTest, EndsAWaitThatIsStopped) {
  OperationFeed feed;
  std::stop_source stop;
  const std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_EQ(feed.wait("a", 0, stop.get_token(), std::chrono::minutes(1)), 0u);
}

TEST(OperationFeedTest, EndsAWaitInTime) {
  OperationFeed feed;
  feed.notify("b");
  EXPECT_EQ(feed.wait("a", 0, {}, std::chrono::milliseconds(1)), 0u);
}

TEST(OperationFeedTest, TellsOfEveryChangeHoweverManyOperationsThereAre) {
  OperationFeed feed;
  feed.notify("a");
  const auto known = feed.version("a");
  const auto unknown = feed.version("b");
  for (std::size_t i = 0; i < 3 * OperationFeed::kMostRemembered; ++i) feed.notify(std::to_string(i));
  const auto forgotten = feed.version("a");
  EXPECT_EQ(feed.version("b"), forgotten);
  feed.notify("a");
  feed.notify("b");
  EXPECT_NE(feed.version("a"), known);
  EXPECT_NE(feed.version("a"), forgotten);
  EXPECT_NE(feed.version("b"), unknown);
}

}  // namespace
}  // namespace backstay::control

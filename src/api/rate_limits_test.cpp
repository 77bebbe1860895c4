#include "api/rate_limits.h"

#include <gtest/gtest.h>

#include "core/testing/manual_clock.h"

namespace backstay::api {
namespace {

class RateLimitsTest : public testing::Test {
 protected:
  core::testing::ManualClock clock;
  RateLimiter limiter{{.token = {.per_second = 2, .burst = 3}, .address = {.per_second = 0.5, .burst = 1}}, clock};
};

TEST_F(RateLimitsTest, LetsABurstThroughAndThenARate) {
  EXPECT_EQ(limiter.take_token("a")->remaining, 2);
  EXPECT_EQ(limiter.take_token("a")->remaining, 1);
  const auto last = limiter.take_token("a").value();
  EXPECT_EQ(last.remaining, 0);
  EXPECT_EQ(last.limit, 3);
  EXPECT_EQ(last.reset, std::chrono::seconds(2));
  EXPECT_THROW(limiter.take_token("a"), RateLimited);
  clock.advance(std::chrono::milliseconds(500));
  EXPECT_NO_THROW(limiter.take_token("a"));
  EXPECT_THROW(limiter.take_token("a"), RateLimited);
}

TEST_F(RateLimitsTest, SaysWhenToComeAgain) {
  static_cast<void>(limiter.take_address("192.0.2.1"));
  try {
    static_cast<void>(limiter.take_address("192.0.2.1"));
    FAIL() << "did not throw";
  } catch (const RateLimited& error) {
    EXPECT_EQ(error.code(), core::Code::kRateLimited);
    EXPECT_EQ(error.retry_after(), std::chrono::seconds(2));
    EXPECT_EQ(error.allowance().remaining, 0);
  }
}

TEST_F(RateLimitsTest, KeepsCallersApart) {
  for (int i = 0; i < 3; ++i) static_cast<void>(limiter.take_token("a"));
  EXPECT_THROW(limiter.take_token("a"), RateLimited);
  EXPECT_NO_THROW(limiter.take_token("b"));
  EXPECT_NO_THROW(limiter.take_address("a"));
}

TEST_F(RateLimitsTest, NeverHoldsMoreThanItsBurst) {
  clock.advance(std::chrono::hours(24));
  for (int i = 0; i < 3; ++i) static_cast<void>(limiter.take_token("a"));
  clock.advance(std::chrono::hours(24));
  for (int i = 0; i < 3; ++i) static_cast<void>(limiter.take_token("a"));
  EXPECT_THROW(limiter.take_token("a"), RateLimited);
}

TEST_F(RateLimitsTest, ForgetsWhoWasQuietForLongest) {
  RateLimiter small({.token = {.per_second = 1, .burst = 1}, .address = {}, .most_callers = 2}, clock);
  static_cast<void>(small.take_token("a"));
  static_cast<void>(small.take_token("b"));
  EXPECT_THROW(small.take_token("a"), RateLimited);
  static_cast<void>(small.take_token("c"));
  EXPECT_THROW(small.take_token("a"), RateLimited);
  EXPECT_NO_THROW(small.take_token("b")) << "was the one that was quiet";
}

TEST_F(RateLimitsTest, CountsNothingWithoutALimit) {
  RateLimiter open({}, clock);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(open.take_token("a"), std::nullopt);
}

}  // namespace
}  // namespace backstay::api

#include "api/token_places.h"

#include <gtest/gtest.h>

#include "api/rate_limits.h"

namespace backstay::api {
namespace {

core::Code refusal(TokenPlaces& places, const std::string& token) {
  try {
    static_cast<void>(places.take(token));
  } catch (const core::Error& error) {
    return error.code();
  }
  return core::Code::kInternal;
}

TEST(TokenPlacesTest, GivesATokenFewAndAllTogetherNotMany) {
  TokenPlaces places({.what = "downloads", .of_token = 1, .of_all = 2});
  auto first = places.take("a");
  EXPECT_EQ(refusal(places, "a"), core::Code::kRateLimited);
  const auto second = places.take("b");
  EXPECT_EQ(refusal(places, "c"), core::Code::kUnavailable);
  EXPECT_EQ(refusal(places, "a"), core::Code::kRateLimited) << "its own fault is told first";
  const auto copy = first;
  first.reset();
  EXPECT_EQ(refusal(places, "c"), core::Code::kUnavailable) << "a copy holds the place";
}

TEST(TokenPlacesTest, APlaceIsFreeWhenItsHolderIsGone) {
  TokenPlaces places({.what = "downloads", .of_token = 1, .of_all = 1});
  places.take("a").reset();
  EXPECT_NO_THROW(places.take("a").reset());
  EXPECT_NO_THROW(places.take("b").reset());
}

}  // namespace
}  // namespace backstay::api

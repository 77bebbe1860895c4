#include "api/authentication.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::api {
namespace {

http::Request request_with(const std::string& authorization) {
  http::Request request;
  request.headers.set("Authorization", authorization);
  return request;
}

class AuthenticationTest : public testing::Test {
 protected:
  Authentication authentication{[](std::string_view token) -> std::optional<control::Principal> {
    if (token != "good-token") return std::nullopt;
    control::Principal principal;
    principal.token_name = "ci";
    return principal;
  }};

  std::string refusal(const http::Request& request) {
    try {
      static_cast<void>(authentication.require(request));
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::Code::kUnauthenticated);
      return error.what();
    }
    ADD_FAILURE() << "accepted";
    return "";
  }
};

TEST_F(AuthenticationTest, TakesABearerTokenWhateverTheCaseOfTheScheme) {
  EXPECT_EQ(authentication.require(request_with("Bearer good-token")).token_name, "ci");
  EXPECT_EQ(authentication.require(request_with("bearer  good-token ")).token_name, "ci");
}

TEST_F(AuthenticationTest, RefusesWhatIsNoKnownToken) {
  EXPECT_NE(refusal(http::Request()).find("no Authorization header"), std::string::npos);
  EXPECT_NE(refusal(request_with("Basic Zm9v")).find("Bearer"), std::string::npos);
  EXPECT_NE(refusal(request_with("good-token")).find("Bearer"), std::string::npos);
  EXPECT_NE(refusal(request_with("Bearer ")).find("unknown"), std::string::npos);
}

TEST_F(AuthenticationTest, NeverQuotesTheToken) {
  EXPECT_EQ(refusal(request_with("Bearer secret-of-mine")).find("secret-of-mine"), std::string::npos);
  EXPECT_EQ(refusal(request_with("secret-of-mine")).find("secret-of-mine"), std::string::npos);
}

}  // namespace
}  // namespace backstay::api

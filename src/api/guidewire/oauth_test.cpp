#include "api/guidewire/oauth.h"

#include <gtest/gtest.h>

#include "core/bytes.h"

namespace backstay::api::guidewire {
namespace {

using core::Code;
using core::Error;

http::Request form(std::string body, std::string type = "application/x-www-form-urlencoded") {
  http::Request request{.method = "POST", .path = "/oauth2/x/v1/token"};
  request.headers.set("Content-Type", std::move(type));
  request.body = std::move(body);
  return request;
}

http::Request with_authorization(const std::string& value) {
  http::Request request{.method = "POST"};
  request.headers.set("Authorization", value);
  return request;
}

TEST(OAuthFormTest, ReadsFieldsAsBrowsersEncodeThem) {
  const auto fields = form_of(form("grant_type=client_credentials&scope=tenant.a+gcc%2Eread&empty=&&bare",
                                   "Application/X-WWW-Form-Urlencoded; charset=utf-8"));
  EXPECT_EQ(
      fields,
      (FormFields{{"grant_type", "client_credentials"}, {"scope", "tenant.a gcc.read"}, {"empty", ""}, {"bare", ""}}));
}

TEST(OAuthFormTest, RefusesWhatIsNoForm) {
  EXPECT_THROW(form_of(form("{}", "application/json")), Error);
  EXPECT_THROW(form_of(form("a=1&a=2")), Error) << "a field twice";
  EXPECT_THROW(form_of(form("a=%zz")), Error);
}

TEST(OAuthBasicTest, ReadsUserAndPassword) {
  const auto pair = basic_credentials(with_authorization("bAsIc " + core::to_base64(core::as_bytes("a%3Ab:c+d"))));
  ASSERT_TRUE(pair);
  EXPECT_EQ(pair->first, "a:b");
  EXPECT_EQ(pair->second.reveal(), "c d");
  EXPECT_FALSE(basic_credentials(http::Request{.method = "POST"}));
  EXPECT_FALSE(basic_credentials(with_authorization("Bearer x")));
  EXPECT_THROW(basic_credentials(with_authorization("Basic !")), Error);
  EXPECT_THROW(basic_credentials(with_authorization("Basic " + core::to_base64(core::as_bytes("nocolon")))), Error);
}

TEST(OAuthRefusalTest, HasTheWordsOfTheStandard) {
  const auto seen = [](Code code) {
    const auto response = oauth_refusal(Error(code, "said"));
    return std::pair(response.status, core::parse_json(response.body).at("error").as_string());
  };
  EXPECT_EQ(seen(Code::kUnauthenticated), (std::pair<int, core::json::string>(401, "invalid_client")));
  EXPECT_EQ(seen(Code::kForbidden), (std::pair<int, core::json::string>(400, "invalid_scope")));
  EXPECT_EQ(seen(Code::kInvalidArgument), (std::pair<int, core::json::string>(400, "invalid_request")));
  EXPECT_EQ(seen(Code::kNotSupported), (std::pair<int, core::json::string>(400, "unsupported_grant_type")));
  EXPECT_EQ(seen(Code::kUnavailable), (std::pair<int, core::json::string>(503, "temporarily_unavailable")));
  EXPECT_EQ(oauth_refusal(Error(Code::kInternal, "inner words")).body.find("inner words"), std::string::npos);
}

}  // namespace
}  // namespace backstay::api::guidewire

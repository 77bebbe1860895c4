#include "providers/rest_wish.h"

#include <gtest/gtest.h>

namespace backstay::providers {
namespace {

namespace json = core::json;

class RestWishTest : public ::testing::Test {
 protected:
  RestWishTest() {
    body_.service.id = "s";
    body_.service.team_id = 7;
    body_.instance_secret = core::Secret("key");
    offer_.config_schema = {{"type", "object"}};
  }
  RestWish wish(const std::string& version) {
    body_.service.app_version = version;
    return wish_of(body_, offer_);
  }

  control::ServiceBody body_;
  model::ProviderDefinition offer_;
};

TEST_F(RestWishTest, ABackendOfAServiceWithoutAVersionNeverHearsOfOne) {
  EXPECT_FALSE(creation(wish(""), body_.service).contains("version"));
  EXPECT_FALSE(fingerprints(wish(""), body_).contains("version")) << "what was sent before versions were is unchanged";
  EXPECT_EQ(difference(wish(""), {.version = "2.0.0"}), "");
}

TEST_F(RestWishTest, AVersionIsSentOnceAndAgainWhenItChanges) {
  const auto first = wish("1.0.0");
  EXPECT_EQ(creation(first, body_.service).at("version"), json::value("1.0.0"));
  const auto sent = fingerprints(first, body_);
  EXPECT_FALSE(change(first, body_, sent, {}).contains("version"));
  const auto made = change(wish("1.1.0"), body_, sent, {});
  EXPECT_EQ(made, (json::object{{"id", "s"}, {"teamId", 7}, {"version", "1.1.0"}}));
}

TEST_F(RestWishTest, ABackendThatReportsAnotherVersionHasDrifted) {
  const auto wanted = wish("1.1.0");
  EXPECT_EQ(difference(wanted, {}), "") << "a backend need not report it";
  EXPECT_EQ(difference(wanted, {.version = "1.0.0"}), "version is 1.0.0, 1.1.0 is wanted");
  EXPECT_TRUE(
      change(wanted, body_, fingerprints(wanted, body_), BackendReport{.version = "1.0.0"}).contains("version"));
}

}  // namespace
}  // namespace backstay::providers

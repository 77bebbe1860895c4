#include "api/house/bodies.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace backstay::api::house {
namespace {

core::json::object parse(std::string_view text) { return core::parse_json(text).get_object(); }

/// "pointer message" of each refused field.
template <typename Bind>
std::vector<std::string> refusals(Bind bind, std::string_view text) {
  try {
    bind(parse(text));
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kInvalidArgument);
    std::vector<std::string> all;
    for (const auto& field : error.fields()) all.push_back(field.pointer + " " + field.message);
    return all;
  }
  return {};
}

using Texts = std::vector<std::string>;

TEST(BodiesTest, ReadsAPrintedCreateBody) {
  const auto request = create_service_request(parse(R"({
    "teamId": 123, "name": "my-postgres-with-backups",
    "provider": {"name": "postgresql", "version": "15"},
    "plan": {"id": 1, "parameters": {"storage": 10}},
    "config": {"max_connections": "100"},
    "secrets": {"password": "secure-password"},
    "backups": {"enabled": true, "intervalH": 24, "deleteRetentionDays": 7,
      "config": {"endpointUrl": "https://s3.eu-central-1.amazonaws.com", "destinationPath": "s3://my-backups/"},
      "secrets": {"accessKey": "A", "secretKey": "B"}}})"));
  EXPECT_EQ(request.team_id, 123);
  EXPECT_EQ(request.name, "my-postgres-with-backups");
  EXPECT_EQ(request.provider.name, "postgresql");
  EXPECT_EQ(request.provider.version, "15");
  EXPECT_EQ(request.plan.id, 1);
  EXPECT_EQ(request.plan.parameters.at("storage"), 10);
  EXPECT_EQ(request.secrets.at("password").reveal(), "secure-password");
  ASSERT_TRUE(request.backups);
  EXPECT_EQ(request.backups->enabled, true);
  EXPECT_EQ(request.backups->interval_hours, 24);
  EXPECT_EQ(request.backups->retention_days, 7);
  EXPECT_EQ(request.backups->config->at("destinationPath"), "s3://my-backups/");
  EXPECT_EQ(request.backups->secrets->at("secretKey").reveal(), "B");
  EXPECT_FALSE(request.recover_from);
}

TEST(BodiesTest, TakesAbsentConfigAndSecretsAsEmpty) {
  const auto request = create_service_request(
      parse(R"({"teamId":1,"name":"a","provider":{"name":"postgres"},"plan":{"id":0,"parameters":{}}})"));
  EXPECT_TRUE(request.config.empty());
  EXPECT_TRUE(request.secrets.empty());
  EXPECT_EQ(request.provider.version, std::nullopt);
}

TEST(BodiesTest, PrefersNeitherNameOfTheProviderVersion) {
  const auto body = [](const std::string& provider) {
    return R"({"teamId":1,"name":"a","plan":{"id":0,"parameters":{}},"provider":)" + provider + "}";
  };
  EXPECT_EQ(create_service_request(parse(body(R"({"name":"p","schemaVersion":"v1"})"))).provider.version, "v1");
  EXPECT_EQ(create_service_request(parse(body(R"({"name":"p","version":"v1"})"))).provider.version, "v1");
  EXPECT_EQ(refusals(create_service_request, body(R"({"name":"p","version":"v1","schemaVersion":"v2"})")),
            Texts{"/provider/version differs from schemaVersion; give one of them"});
}

TEST(BodiesTest, ReadsBothFormsOfRecoverFrom) {
  const auto with = [](const std::string& recover) {
    return R"({"teamId":1,"name":"a","provider":{"name":"p"},"plan":{"id":0,"parameters":{}},"recoverFrom":)" +
           recover + "}";
  };
  const std::string id = "6f1c7c4e-6f0e-4a8e-9a53-0f8d8b0f1a11";
  EXPECT_EQ(create_service_request(parse(with(R"({"id":")" + id + R"("})"))).recover_from->backup_id, id);
  const auto timed = create_service_request(parse(with(R"({"msId":")" + id + R"(","time":"2026-04-10T12:00:00Z"})")));
  EXPECT_EQ(timed.recover_from->service_id, id);
  EXPECT_EQ(timed.recover_from->time, core::parse_time("2026-04-10T12:00:00Z"));
  EXPECT_FALSE(timed.recover_from->keep_logins);
  EXPECT_TRUE(
      create_service_request(parse(with(R"({"msId":")" + id + R"(","keepLogins":true})"))).recover_from->keep_logins);
  EXPECT_EQ(refusals(create_service_request, with(R"({"msId":")" + id + R"(","keepLogins":"yes"})")).size(), 1U);
  EXPECT_EQ(refusals(create_service_request, with(R"({"id":")" + id + R"(","msId":")" + id + R"("})")),
            Texts{"/recoverFrom/id excludes msId and time"});
  EXPECT_EQ(refusals(create_service_request, with("{}")), Texts{"/recoverFrom/msId is required where id is not given"});
  EXPECT_EQ(refusals(create_service_request, with(R"({"msId":")" + id + R"(","time":"noon"})")),
            Texts{"/recoverFrom/time 'noon' is not an RFC 3339 time such as 2026-04-10T12:00:00Z"});
}

TEST(BodiesTest, KeepsWhatAnUpdateDoesNotName) {
  const auto request = update_service_request(parse(R"({"backups":{"intervalH":12},"unknown":1})"));
  EXPECT_FALSE(request.name);
  EXPECT_FALSE(request.config);
  EXPECT_FALSE(request.plan);
  EXPECT_FALSE(request.pause);
  ASSERT_TRUE(request.backups);
  EXPECT_FALSE(request.backups->enabled);
  EXPECT_EQ(request.backups->interval_hours, 12);
}

TEST(BodiesTest, TakesNullAsAbsent) {
  const auto request = create_service_request(parse(
      R"({"teamId":1,"name":"a","provider":{"name":"p","version":null},"plan":{"id":0,"parameters":{}},"config":null,
          "secrets":null,"backups":null,"recoverFrom":null,"version":null})"));
  EXPECT_FALSE(request.backups);
  EXPECT_FALSE(request.recover_from);
  EXPECT_FALSE(request.app_version);
  EXPECT_FALSE(request.provider.version);
}

TEST(BodiesTest, ReadsATokenRequest) {
  const auto request = create_token_request(
      parse(R"({"name":"ci","scopes":["read"],"teamIds":[1,2],"expiresAt":"2027-01-01T00:00:00Z"})"));
  EXPECT_EQ(request.scopes, Texts{"read"});
  EXPECT_EQ(request.team_ids, (std::vector<std::int64_t>{1, 2}));
  EXPECT_FALSE(request.all_teams);
  EXPECT_EQ(request.expires_at, core::parse_time("2027-01-01T00:00:00Z"));
}

}  // namespace
}  // namespace backstay::api::house

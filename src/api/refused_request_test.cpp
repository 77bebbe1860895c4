#include "api/refused_request.h"

#include <gtest/gtest.h>

namespace backstay::api {
namespace {

constexpr std::string_view kId = "9b0f0a58-6a7c-4c0e-8f0e-0a1b2c3d4e5f";

struct Asked {
  std::string path;
  std::map<std::string, std::string> params{};
  Scope scope = Scope::kWriteServices;
  std::string body{};
  std::string method = "POST";
};

std::optional<control::RefusedRequest> refused(const Asked& asked) {
  Endpoint endpoint{.method = asked.method, .path = asked.path, .operation = "call", .summary = "Call"};
  endpoint.scope = asked.scope;
  http::Request request;
  request.method = asked.method;
  request.path = "/v1/x";
  request.body = asked.body;
  for (const auto& [name, value] : asked.params) request.params[name] = value;
  return refused_request(endpoint, request, {}, core::Error(core::Code::kConflict, "no"));
}

TEST(RefusedRequestTest, IsAboutWhatThePathOfAnyDialectNames) {
  const std::string id(kId);
  EXPECT_EQ(refused({"/managed-services/{id}/switch", {{"id", id}}})->service_id, id);
  EXPECT_EQ(refused({"/backups/{id}", {{"id", id}}})->backup_id, id);
  EXPECT_EQ(refused({"/operations/{id}/cancel", {{"id", id}}})->operation_id, id);
  EXPECT_EQ(refused({"/schedules/{id}/run", {{"id", id}}})->schedule_id, id);
  EXPECT_EQ(refused({"/api/v1/databases/{id}/backups/{backupId}", {{"id", id}, {"backupId", "x"}}})->service_id, id);
  EXPECT_EQ(refused({"/api/v1/backup-schedules/{id}", {{"id", id}}})->schedule_id, id);
  EXPECT_EQ(refused({"/api/v1/backups/database/{id}/restore", {{"id", id}}})->backup_id, id);
  EXPECT_EQ(refused({"/v1/databases/{id}/stop", {{"id", "db-" + id}}})->service_id, id);
  EXPECT_EQ(refused({"/api/v1/tenants/{tenantId}/starsystems/{projectId}/backups/{backupId}", {{"backupId", "17"}}})
                ->backup_number,
            17);
}

TEST(RefusedRequestTest, IsAboutTheTeamOfWhatWouldBeMade) {
  EXPECT_EQ(refused({"/managed-services", {}, Scope::kWriteServices, R"({"teamId":4})"})->team_id, 4);
  EXPECT_EQ(refused({"/api/v1/databases", {{"tenant", "shop"}}})->team_slug, "shop");
  EXPECT_TRUE(refused({"/v1/databases"})) << "of the caller's only team";
  EXPECT_EQ(refused({"/schedules", {}, Scope::kWriteBackups, fmt::format(R"({{"serviceId":"{}"}})", kId)})->service_id,
            kId);
  EXPECT_EQ(
      refused({"/api/v1/backup-schedules", {}, Scope::kWriteBackups, fmt::format(R"({{"database_id":"{}"}})", kId)})
          ->service_id,
      kId);
}

TEST(RefusedRequestTest, IsOfTheKindThatItsScopeSays) {
  const std::map<std::string, std::string> named{{"id", std::string(kId)}};
  EXPECT_EQ(refused({"/v1/databases/{id}/pitr", named, Scope::kRecoverBackups})->kind.name,
            control::events::kRecoveryRefused.name);
  EXPECT_EQ(refused({"/api/v1/databases/{id}/switch", named, Scope::kRecoverInPlace})->kind.name,
            control::events::kRecoveryRefused.name);
  EXPECT_EQ(refused({"/v1/databases/{id}/backups", named, Scope::kWriteBackups})->kind.name,
            control::events::kBackupRefused.name);
  EXPECT_EQ(refused({"/v1/databases/{id}/stop", named})->kind.name, control::events::kServiceRefused.name);
}

TEST(RefusedRequestTest, IsNoneOfNothingOfATeam) {
  EXPECT_FALSE(refused({"/api/v1/settings/backup-destinations"}));
  EXPECT_FALSE(refused({"/v1/databases/{id}", {{"id", "db-nonsense"}}}));
  EXPECT_FALSE(refused({"/v1/databases/{id}", {{"id", std::string(kId)}}, Scope::kReadServices, "", "GET"}));
}

}  // namespace
}  // namespace backstay::api

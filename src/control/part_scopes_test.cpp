// Keys for services alone and for backups alone: the commands hold to them, whatever the route asked for.
#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "core/error.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

class PartScopesTest : public ::testing::Test {
 protected:
  PartScopesTest() { backup_ = world_.queries->backups(service_.id, world_.admin).front(); }

  Principal with(std::vector<std::string> scopes) {
    const auto made =
        world_.commands->create_token({"narrow", std::move(scopes), false, {world_.team_id}, {}, {}}, world_.admin);
    return world_.commands->authenticate(made.text.reveal()).value();
  }
  template <typename Call>
  static std::string missing(const Call& call) {
    try {
      call();
    } catch (const core::Error& error) {
      if (error.code() == core::Code::kForbidden) return error.message();
      return std::string(core::code_name(error.code()));
    }
    return "allowed";
  }

  ControlWorld world_;
  model::Service service_ = world_.make_service(true);
  model::Backup backup_;
};

TEST_F(PartScopesTest, AKeyForReadingBackupsSeesNoServices) {
  const auto key = with({"backups:read"});
  EXPECT_EQ(world_.queries->backups(service_.id, key).size(), 1u);
  EXPECT_EQ(world_.queries->backup(backup_.id, key).id, backup_.id);
  EXPECT_EQ(missing([&] { world_.queries->recovery_windows(service_.id, key); }), "allowed");
  const std::string lacks = "the token 'narrow' does not have the scope 'services:read'";
  EXPECT_EQ(missing([&] { world_.queries->service(service_.id, key); }), lacks);
  EXPECT_EQ(missing([&] { world_.queries->services({.team_id = {}}, key); }), lacks);
  EXPECT_EQ(missing([&] { world_.queries->details(service_.id, key); }), lacks);
  EXPECT_EQ(missing([&] { world_.queries->operations({.service_id = {}, .team_id = {}}, key); }), lacks);
}

TEST_F(PartScopesTest, AKeyForReadingServicesSeesNoBackups) {
  const auto key = with({"services:read"});
  const auto view = world_.queries->service(service_.id, key);
  EXPECT_EQ(view.service.name, service_.name);
  EXPECT_TRUE(view.backups.empty());
  EXPECT_TRUE(view.recent_events.empty()) << "they tell of backups too";
  const std::string lacks = "the token 'narrow' does not have the scope 'backups:read'";
  EXPECT_EQ(missing([&] { world_.queries->backups(service_.id, key); }), lacks);
  EXPECT_EQ(missing([&] { world_.queries->backup(backup_.id, key); }), lacks);
  EXPECT_EQ(missing([&] { world_.queries->recovery_windows(service_.id, key); }), lacks);
  EXPECT_EQ(missing([&] { world_.queries->at_risk(service_.id, key); }), lacks);
}

TEST_F(PartScopesTest, AKeyForWritingBackupsChangesNoServices) {
  const auto key = with({"backups:write"});
  EXPECT_EQ(missing([&] { world_.commands->schedule_backup(service_.id, key); }), "allowed");
  EXPECT_EQ(missing([&] { world_.commands->delete_backup(backup_.id, key); }),
            "the token 'narrow' does not have the scope 'backups:delete'");
  EXPECT_EQ(missing([&] { world_.queries->dump(backup_.id, key); }),
            "the token 'narrow' does not have the scope 'backups:recover'");
  EXPECT_EQ(missing([&] { world_.commands->create_service(world_.create_request("more"), key); }),
            "the token 'narrow' does not have the scope 'services:write'");
  EXPECT_EQ(missing([&] { world_.commands->update_service(service_.id, {}, key); }),
            "the token 'narrow' does not have the scope 'services:write'");
  EXPECT_EQ(missing([&] { world_.commands->delete_service(service_.id, FinalBackup::kSkip, key); }),
            "the token 'narrow' does not have the scope 'services:delete'");
}

TEST_F(PartScopesTest, ARecoveryIntoANewServiceAsksForThatScope) {
  auto request = world_.create_request("again");
  request.recover_from =
      RecoverRequest{.backup_id = backup_.id, .service_id = {}, .time = {}, .config = {}, .secrets = {}};
  EXPECT_EQ(missing([&] { world_.commands->create_service(request, with({"services:write", "backups:write"})); }),
            "the token 'narrow' does not have the scope 'backups:recover'");
  EXPECT_EQ(missing([&] { world_.commands->create_service(request, with({"backups:recover"})); }), "allowed");
}

TEST_F(PartScopesTest, ScopesOfAllPartsStayWhatTheyWere) {
  const auto reader = with({"read"});
  EXPECT_FALSE(world_.queries->service(service_.id, reader).backups.empty());
  EXPECT_FALSE(world_.queries->service(service_.id, reader).recent_events.empty());
  EXPECT_EQ(missing([&] { world_.commands->schedule_backup(service_.id, reader); }),
            "the token 'narrow' does not have the scope 'backups:write'");
}

}  // namespace
}  // namespace backstay::control

#include "control/service_commands.h"

#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "metadata/destinations.h"
#include "metadata/events.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/services.h"
#include "metadata/teams.h"

namespace backstay::control {
namespace {

using model::ServiceState;
using testing::ControlWorld;

/// How much the state holds, as text: to see that nothing was written.
std::string inventory(ControlWorld& world) {
  return world.database->read([&](auto& tx) {
    metadata::EventFilter all;
    all.limit = 10000;
    return fmt::format("services {} instances {} operations {} destinations {} events {} key {}",
                       metadata::Services(tx).list({}).size(), metadata::Instances(tx).list_living("local").size(),
                       metadata::Operations(tx).list({}).size(), metadata::Destinations(tx).list({}).size(),
                       metadata::Events(tx).list(all).size(),
                       metadata::Teams(tx).find(world.team_id)->recovery_key.empty());
  });
}

/// The error of a create that is refused; checks that it left nothing.
core::Error refusal_of(ControlWorld& world, const CreateServiceRequest& request, const Principal& principal) {
  const auto before = inventory(world);
  core::Error seen(core::Code::kInternal, "nothing was refused");
  try {
    world.commands->create_service(request, principal);
  } catch (const core::Error& error) {
    seen = error;
  }
  EXPECT_EQ(inventory(world), before);
  return seen;
}

bool names_field(const core::Error& error, std::string_view pointer) {
  return std::any_of(error.fields().begin(), error.fields().end(),
                     [&](const core::FieldError& field) { return field.pointer == pointer; });
}

Principal member_of(std::int64_t team) {
  Principal principal;
  principal.token_name = "member";
  principal.may_read = principal.may_write = principal.may_delete = principal.may_recover_in_place = true;
  principal.team_ids = {team};
  return principal;
}

TEST(ServiceCommandsTest, ACreatedServiceBecomesSynchronized) {
  ControlWorld world;
  const auto change = world.commands->create_service(world.create_request(), world.admin);
  EXPECT_EQ(change.service.status.state, ServiceState::kCreating);
  ASSERT_TRUE(change.operation);
  world.settle();
  const auto service = world.service(change.service.id);
  EXPECT_EQ(service.status.state, ServiceState::kSynchronized);
  EXPECT_EQ(service.status.details.at("ready"), core::json::value(true));
  EXPECT_EQ(service.plan.resources.at("storage"), 10240);
  EXPECT_EQ(world.events(service.id), (std::vector<std::string>{"service.created", "service.synchronized"}));
}

TEST(ServiceCommandsTest, EveryBadFieldIsNamedAtOnce) {
  ControlWorld world;
  auto request = world.create_request(" spaces around ");
  request.plan.parameters["storage"] = -5;
  request.config["fsync"] = "off";
  const auto error = refusal_of(world, request, world.admin);
  EXPECT_EQ(error.code(), core::Code::kInvalidArgument);
  EXPECT_TRUE(names_field(error, "/name")) << error.message();
  EXPECT_TRUE(names_field(error, "/plan/parameters/storage"));
  EXPECT_TRUE(names_field(error, "/config/fsync"));
}

TEST(ServiceCommandsTest, WhatIsNotThereIsRefused) {
  ControlWorld world;
  auto request = world.create_request();
  request.provider.version = "9";
  EXPECT_EQ(refusal_of(world, request, world.admin).code(), core::Code::kUnknownProvider);
  request = world.create_request();
  request.plan.id = 77;
  EXPECT_TRUE(names_field(refusal_of(world, request, world.admin), "/plan/id"));
  request = world.create_request();
  EXPECT_TRUE(names_field(refusal_of(world, request, member_of(99)), "/teamId"));
}

TEST(ServiceCommandsTest, ANameIsTakenOncePerTeam) {
  ControlWorld world;
  world.make_service();
  EXPECT_EQ(refusal_of(world, world.create_request(), world.admin).code(), core::Code::kAlreadyExists);
}

TEST(ServiceCommandsTest, AStoreThatRefusesTheProbeIsRefused) {
  ControlWorld world;
  world.gate.refuse("put: access denied");
  auto request = world.create_request();
  request.backups = world.backups_request();
  EXPECT_EQ(refusal_of(world, request, world.admin).code(), core::Code::kStoreRefused);
}

TEST(ServiceCommandsTest, BackupSettingsAreJudged) {
  ControlWorld world;
  auto request = world.create_request();
  request.backups = world.backups_request();
  request.backups->interval_hours = 0;
  EXPECT_TRUE(names_field(refusal_of(world, request, world.admin), "/backups/intervalH"));
  request.backups = world.backups_request();
  request.backups->secrets->erase("secretKey");
  EXPECT_TRUE(names_field(refusal_of(world, request, world.admin), "/backups/secrets/secretKey"));
  request.backups = world.backups_request();
  request.backups->config = core::json::object{{"destinationId", "11111111-2222-4333-8444-555555555555"}};
  EXPECT_TRUE(names_field(refusal_of(world, request, world.admin), "/backups/config/destinationId"));
}

TEST(ServiceCommandsTest, OnePlaceIsOneDestinationAndMakesTheTeamsKey) {
  ControlWorld world;
  for (const std::string name : {"one", "two"}) {
    auto request = world.create_request(name);
    request.backups = world.backups_request();
    world.commands->create_service(request, world.admin);
  }
  EXPECT_EQ(world.queries->destinations(world.team_id, world.admin).size(), 1u);
  EXPECT_NE(world.commands->export_recovery_kit(world.team_id, world.admin).find("fake-key-1"), std::string::npos);
  EXPECT_TRUE(world.queries->team(world.team_id, world.admin).kit_fetched_at);
  const EventFilter newest{.service_id = {}, .team_id = world.team_id, .after = {}, .before = {}, .limit = 1};
  EXPECT_EQ(world.queries->events(newest, world.admin).at(0).name, "team.kit_exported");
}

TEST(ServiceCommandsTest, RecoveryIsJudgedBeforeAnythingIsWritten) {
  ControlWorld world;
  const auto source = world.make_service(true);
  auto request = world.create_request("recovered");
  request.recover_from.emplace();
  request.recover_from->service_id = source.id;
  request.recover_from->time = core::parse_time("2020-01-01T00:00:00Z");
  EXPECT_EQ(refusal_of(world, request, world.admin).code(), core::Code::kRecoveryOutOfReach);
  request.recover_from->backup_id = "x";
  EXPECT_TRUE(names_field(refusal_of(world, request, world.admin), "/recoverFrom"));
  request.recover_from = RecoverRequest{};
  request.recover_from->backup_id = "11111111-2222-4333-8444-555555555555";
  EXPECT_TRUE(names_field(refusal_of(world, request, world.admin), "/recoverFrom/id"));
}

TEST(ServiceCommandsTest, AnUnfinishedBackupIsOutOfReach) {
  ControlWorld world;
  const auto source = world.make_service(true);
  const auto backup = world.commands->schedule_backup(source.id, world.admin);
  auto request = world.create_request("recovered");
  request.recover_from.emplace();
  request.recover_from->backup_id = backup.id;
  EXPECT_EQ(refusal_of(world, request, world.admin).code(), core::Code::kRecoveryOutOfReach);
}

TEST(ServiceCommandsTest, ARecoveredServiceRemembersItsSource) {
  ControlWorld world;
  const auto source = world.make_service(true);
  const auto backup = world.queries->backups(source.id, world.admin).front();
  auto request = world.create_request("recovered");
  request.recover_from.emplace();
  request.recover_from->backup_id = backup.id;
  const auto id = world.commands->create_service(request, world.admin).service.id;
  world.settle();
  const auto service = world.service(id);
  EXPECT_EQ(service.status.state, ServiceState::kSynchronized);
  EXPECT_EQ(service.recovered_from.at("backupId").as_string(), backup.id);
  EXPECT_EQ(world.queries->service(source.id, world.admin).backups.size(), 1u) << "the source is untouched";
}

TEST(ServiceCommandsTest, AChangeIsMergedAndApplied) {
  ControlWorld world;
  const auto service = world.make_service();
  UpdateServiceRequest change;
  change.name = "renamed";
  change.secrets = model::Secrets{{"password", core::Secret("another")}};
  change.plan = PlanRequest{2, {{"storage", 20}}};
  const auto updated = world.commands->update_service(service.id, change, world.admin).service;
  EXPECT_EQ(updated.status.state, ServiceState::kUpdating);
  world.settle();
  const auto after = world.service(service.id);
  EXPECT_EQ(after.status.state, ServiceState::kSynchronized);
  EXPECT_EQ(after.name, "renamed");
  EXPECT_EQ(after.config.at("max_connections").as_string(), "100");
  EXPECT_EQ(after.plan.resources.at("storage"), 20480);
  EXPECT_EQ(after.secrets.at("password").reveal(), "another");
}

TEST(ServiceCommandsTest, ANewNameAloneNeedsNoWork) {
  ControlWorld world;
  const auto service = world.make_service();
  UpdateServiceRequest change;
  change.name = "renamed";
  const auto updated = world.commands->update_service(service.id, change, world.admin);
  EXPECT_FALSE(updated.operation);
  EXPECT_EQ(world.service(service.id).status.state, ServiceState::kSynchronized);
  EXPECT_EQ(world.count_events(service.id, "service.renamed"), 1u);
}

TEST(ServiceCommandsTest, ADeletedServiceWithBackupsStaysAsTheirRecord) {
  ControlWorld world;
  const auto service = world.make_service(true);
  UpdateServiceRequest off;
  off.backups.emplace();
  off.backups->enabled = false;
  world.commands->update_service(service.id, off, world.admin);
  world.settle();
  world.commands->delete_service(service.id, FinalBackup::kSkip, world.admin);
  world.settle();
  EXPECT_EQ(world.service(service.id).status.state, ServiceState::kDeleted);
  EXPECT_TRUE(world.queries->services(world.team_id, false, world.admin).empty());
  EXPECT_EQ(world.queries->services(world.team_id, true, world.admin).size(), 1u);

  auto request = world.create_request("recovered");
  request.recover_from.emplace();
  request.recover_from->service_id = service.id;
  const auto id = world.commands->create_service(request, world.admin).service.id;
  world.settle();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized);
}

TEST(ServiceCommandsTest, ForeignTeamsSeeNothing) {
  ControlWorld world;
  const auto service = world.make_service(true);
  const auto stranger = member_of(world.commands->create_team({"others", {}}, world.admin).id);
  const auto is_hidden = [&](const auto& call) {
    try {
      call();
    } catch (const core::Error& error) {
      return error.code() == core::Code::kNotFound;
    }
    return false;
  };
  const auto backup = world.queries->backups(service.id, world.admin).front();
  const auto operation =
      world.queries->operations({.service_id = service.id, .team_id = {}, .limit = 1}, world.admin).front();
  EXPECT_TRUE(is_hidden([&] { world.queries->service(service.id, stranger); }));
  EXPECT_TRUE(is_hidden([&] { world.queries->backup(backup.id, stranger); }));
  EXPECT_TRUE(is_hidden([&] { world.queries->operation(operation.id, stranger); }));
  EXPECT_TRUE(is_hidden([&] { world.commands->update_service(service.id, {}, stranger); }));
  EXPECT_TRUE(is_hidden([&] { world.commands->delete_service(service.id, FinalBackup::kSkip, stranger); }));
  EXPECT_TRUE(is_hidden([&] { world.commands->schedule_backup(service.id, stranger); }));
  EXPECT_TRUE(is_hidden([&] { world.commands->cancel_operation(operation.id, stranger); }));
  EXPECT_TRUE(world.queries->services({.team_id = {}, .include_deleted = true}, stranger).empty());
  EXPECT_TRUE(
      world.queries->events({.service_id = service.id, .team_id = {}, .after = {}, .before = {}}, stranger).empty());
}

TEST(ServiceCommandsTest, TokensAreShownOnceAndKnownByTheirHash) {
  ControlWorld world;
  const auto made = world.commands->create_token({"ci", {"write"}, false, {world.team_id}, {}}, world.admin);
  EXPECT_TRUE(made.text.reveal().starts_with("bst_"));
  EXPECT_EQ(made.text.reveal().size(), 44u);
  EXPECT_EQ(made.token.hash.find(made.text.reveal().substr(4)), std::string::npos);
  const auto principal = world.commands->authenticate(made.text.reveal());
  ASSERT_TRUE(principal);
  EXPECT_TRUE(principal->may_write && principal->may_read);
  EXPECT_FALSE(principal->admin);
  EXPECT_TRUE(principal->sees_team(world.team_id));
  EXPECT_FALSE(principal->sees_team(world.team_id + 1));
  EXPECT_FALSE(world.commands->authenticate(made.text.reveal() + "x"));
  world.commands->delete_token(made.token.id, world.admin);
  EXPECT_FALSE(world.commands->authenticate(made.text.reveal()));
  EXPECT_FALSE(world.commands->bootstrap()) << "there are tokens already";
}

TEST(ServiceCommandsTest, TokensExpireAndScopesHold) {
  ControlWorld world;
  const auto expires = world.clock.now() + std::chrono::hours(1);
  const auto made = world.commands->create_token({"reader", {"read"}, false, {world.team_id}, expires}, world.admin);
  const auto reader = world.commands->authenticate(made.text.reveal());
  ASSERT_TRUE(reader);
  EXPECT_EQ(refusal_of(world, world.create_request(), *reader).code(), core::Code::kForbidden);
  EXPECT_THROW(world.commands->create_token({"more", {"admin"}, true, {}, {}}, *reader), core::Error);
  world.clock.advance(std::chrono::hours(2));
  EXPECT_FALSE(world.commands->authenticate(made.text.reveal()));
}

TEST(ServiceCommandsTest, DeletingAndRecoveringInPlaceAreTheirOwnPermissions) {
  ControlWorld world;
  const auto service = world.make_service();
  const auto token = [&](std::vector<std::string> scopes, std::optional<std::string> role) {
    const auto made = world.commands->create_token(
        {"t", std::move(scopes), false, {world.team_id}, {}, std::move(role)}, world.admin);
    return world.commands->authenticate(made.text.reveal()).value();
  };
  const auto code_of = [&](const auto& act) {
    try {
      act();
    } catch (const core::Error& error) {
      return error.code();
    }
    return core::Code::kInternal;
  };
  const auto operates = token({}, "operator");
  UpdateServiceRequest change;
  change.name = "renamed";
  world.commands->update_service(service.id, change, operates);
  EXPECT_EQ(code_of([&] { world.commands->delete_service(service.id, FinalBackup::kSkip, operates); }),
            core::Code::kForbidden);
  world.commands->delete_service(service.id, FinalBackup::kSkip, token({"delete"}, "operator"));
  EXPECT_EQ(code_of([&] { world.commands->undelete_service(service.id, operates); }), core::Code::kForbidden);
  EXPECT_EQ(code_of([&] { world.commands->undelete_service(service.id, token({"write"}, {})); }),
            core::Code::kConflict);
  EXPECT_EQ(code_of([&] { world.commands->update_service(service.id, change, token({}, "viewer")); }),
            core::Code::kForbidden);
}

}  // namespace
}  // namespace backstay::control

// Backups that are sent to another destination than the service's first.
#include <gtest/gtest.h>

#include "control/recovery_places.h"
#include "control/retention_question.h"
#include "control/testing/control_world.h"
#include "metadata/backups.h"
#include "metadata/destinations.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

class BackupsElsewhereTest : public ::testing::Test {
 protected:
  BackupsElsewhereTest() : elsewhere_(enter("elsewhere", world_.team_id, false)) { world_.admin.may_delete = true; }

  model::Destination enter(const std::string& name, std::int64_t team, bool is_default) {
    CreateDestinationRequest request;
    request.team_id = team;
    request.name = name;
    request.config = {{"destinationPath", "s3://bucket/" + name}, {"endpointUrl", "https://s3.example.org"}};
    request.secrets = {{"accessKey", core::Secret("id")}, {"secretKey", core::Secret("key")}};
    request.is_default = is_default;
    return world_.commands->create_destination(request, world_.admin).destination;
  }
  model::Backup take(const std::string& service_id, const TakeBackupRequest& request) {
    const auto backup = world_.commands->schedule_backup(service_id, world_.admin, request);
    world_.settle();
    return world_.database->read([&](auto& tx) { return metadata::Backups(tx).require(backup.id); });
  }
  core::Error refusal(const std::string& service_id, const TakeBackupRequest& request) {
    try {
      world_.commands->schedule_backup(service_id, world_.admin, request);
    } catch (const core::Error& error) {
      return error;
    }
    return {core::Code::kInternal, "nothing was refused"};
  }
  /// What the provider was given for the last call of this kind: where, and whether the instance's archive is there.
  std::vector<RecoveryPlace> places(const model::Service& service) {
    return world_.database->read([&](auto& tx) { return recovery_places(tx, service); });
  }

  ControlWorld world_;
  model::Destination elsewhere_;
};

TEST_F(BackupsElsewhereTest, GoesWhereItWasSentAndStandsAlone) {
  const auto service = world_.make_service(true);
  const auto backup = take(service.id, {.destination_id = elsewhere_.id, .label = "off site", .labels = {{"a", "b"}}});
  EXPECT_EQ(backup.state, model::BackupState::kCompleted);
  EXPECT_TRUE(backup.confirmed_at);
  EXPECT_EQ(backup.destination_id, elsewhere_.id);
  EXPECT_TRUE(backup.stands_alone);
  EXPECT_EQ(backup.label, "off site");
  EXPECT_EQ(backup.labels, (model::Labels{{"a", "b"}}));
  const auto own = take(service.id, {});
  EXPECT_EQ(own.destination_id, service.backups.destination_id);
  EXPECT_FALSE(own.stands_alone);
}

TEST_F(BackupsElsewhereTest, TheServicesFirstDestinationByNameIsNoOther) {
  const auto service = world_.make_service(true);
  const auto backup = take(service.id, {.destination_id = service.backups.destination_id});
  EXPECT_EQ(backup.destination_id, service.backups.destination_id);
  EXPECT_FALSE(backup.stands_alone);
}

TEST_F(BackupsElsewhereTest, AServiceWithoutBackupsHasThemAllTheSame) {
  const auto service = world_.make_service(false);
  EXPECT_EQ(refusal(service.id, {}).code(), core::Code::kConflict) << "nobody named a default";
  const auto backup = take(service.id, {.destination_id = elsewhere_.id});
  EXPECT_EQ(backup.state, model::BackupState::kCompleted);
  EXPECT_TRUE(backup.stands_alone);

  const auto usual = enter("usual", 0, true);
  const auto unnamed = take(service.id, {});
  EXPECT_EQ(unnamed.state, model::BackupState::kCompleted);
  const auto place =
      world_.database->read([&](auto& tx) { return metadata::Destinations(tx).require(unnamed.destination_id); });
  EXPECT_EQ(place.url, fmt::format("s3://bucket/usual/team-{}", world_.team_id));
  EXPECT_EQ(places(service).size(), 2U) << "what it reaches is told of each place";
}

TEST_F(BackupsElsewhereTest, RefusesPlacesThatAreNone) {
  const auto service = world_.make_service(true);
  const auto unknown = refusal(service.id, {.destination_id = "00000000-0000-4000-8000-000000000000"});
  EXPECT_EQ(unknown.code(), core::Code::kInvalidArgument);
  ASSERT_EQ(unknown.fields().size(), 1U);
  EXPECT_EQ(unknown.fields()[0].pointer, "/destinationId");
  const auto others = world_.commands->create_team({"others", {}}, world_.admin).id;
  const auto theirs = enter("theirs", others, false);
  EXPECT_EQ(refusal(service.id, {.destination_id = theirs.id}).code(), core::Code::kInvalidArgument);
}

TEST_F(BackupsElsewhereTest, RefusesWhatCannotBeOfABackup) {
  const auto service = world_.make_service(true);
  const auto error = refusal(service.id, {.label = std::string(201, 'x'),
                                          .labels = {{"no good", ""}},
                                          .expires_at = world_.clock.now() - std::chrono::hours(1)});
  std::vector<std::string> pointers;
  for (const auto& field : error.fields()) pointers.push_back(field.pointer);
  EXPECT_EQ(pointers, (std::vector<std::string>{"/expiresAt", "/label", "/labels/no good"}));
}

TEST_F(BackupsElsewhereTest, ADestinationThatItLiesInIsNeeded) {
  const auto service = world_.make_service(true);
  take(service.id, {.destination_id = elsewhere_.id});
  EXPECT_THROW(world_.commands->delete_destination(elsewhere_.id, world_.admin, Effect::kLasting), core::Error);
}

TEST_F(BackupsElsewhereTest, SingleStatesAreNoContinuousWindow) {
  const auto service = world_.make_service(false);
  const auto first = take(service.id, {.destination_id = elsewhere_.id});
  world_.clock.advance(std::chrono::hours(1));
  const auto second = take(service.id, {.destination_id = elsewhere_.id});
  take(service.id, {.mechanism = model::BackupMechanism::kPhysical, .destination_id = elsewhere_.id});
  const auto windows = world_.queries->recovery_windows(service.id, world_.admin);
  ASSERT_EQ(windows.size(), 1U);
  EXPECT_EQ(windows[0].destination_id, elsewhere_.id);
  EXPECT_EQ(windows[0].earliest, first.taken_at);
  EXPECT_TRUE(model::can_reach(windows[0], *second.taken_at));
  const auto between = *second.taken_at - std::chrono::seconds(1);
  EXPECT_FALSE(model::can_reach(windows[0], between));
  auto request = world_.create_request("copy");
  request.recover_from.emplace().service_id = service.id;
  request.recover_from->time = between;
  try {
    world_.commands->create_service(request, world_.admin);
    FAIL() << "a time was accepted that no backup holds";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kRecoveryOutOfReach);
    EXPECT_NE(error.message().find("single backups"), std::string::npos) << error.message();
  }
}

TEST_F(BackupsElsewhereTest, TheRetentionKnowsThatItStandsAlone) {
  const auto service = world_.make_service(true);
  take(service.id, {});
  const auto backup = take(service.id, {.destination_id = elsewhere_.id});
  const auto cases = world_.database->read(
      [&](auto& tx) { return retention_cases(tx, world_.service(service.id), world_.clock.now()); });
  ASSERT_EQ(cases.size(), 2U);
  for (const auto& place : cases) {
    const bool there = place.destination_id == elsewhere_.id;
    ASSERT_EQ(place.question.instances.size(), 1U);
    EXPECT_EQ(place.question.instances[0].continuous, !there);
    EXPECT_EQ(place.question.covered_elsewhere, there);
  }
  for (int day = 0; day < 20; ++day) {
    world_.clock.advance(std::chrono::hours(24));
    world_.settle();
  }
  EXPECT_EQ(world_.queries->backup(backup.id, world_.admin).state, model::BackupState::kCompleted)
      << "the newest one there, though the retention is 7 days";
  world_.commands->delete_backup(backup.id, world_.admin);
  EXPECT_EQ(world_.queries->backup(backup.id, world_.admin).state, model::BackupState::kDeleting)
      << "the last one there, but not the service's last";
}

}  // namespace
}  // namespace backstay::control

// Recovering: what is refused before anything is written, and the dry run.
#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "metadata/backups.h"
#include "metadata/events.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/services.h"
#include "metadata/teams.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

std::string inventory(ControlWorld& world) {
  return world.database->read([&](auto& tx) {
    metadata::EventFilter all;
    all.limit = 10000;
    return fmt::format("services {} instances {} operations {} events {}", metadata::Services(tx).list({}).size(),
                       metadata::Instances(tx).list_living("local").size(), metadata::Operations(tx).list({}).size(),
                       metadata::Events(tx).list(all).size());
  });
}

struct Source {
  ControlWorld world;
  model::Service service = world.make_service(true);
  model::Backup backup;

  Source() {
    world.settle();
    metadata::BackupFilter filter;
    filter.service_id = service.id;
    backup = world.database->read([&](auto& tx) { return metadata::Backups(tx).list(filter).front(); });
  }
  CreateServiceRequest to_backup() {
    auto request = world.create_request("recovered");
    request.recover_from.emplace();
    request.recover_from->backup_id = backup.id;
    return request;
  }
  /// Of a dry run and of the real thing, which must be the same and leave nothing.
  core::Error refusal(const CreateServiceRequest& request) {
    const auto before = inventory(world);
    std::vector<core::Error> seen;
    for (const auto effect : {Effect::kDryRun, Effect::kLasting}) {
      try {
        world.commands->create_service(request, world.admin, effect);
        seen.emplace_back(core::Code::kInternal, "nothing was refused");
      } catch (const core::Error& error) {
        seen.push_back(error);
      }
    }
    EXPECT_EQ(inventory(world), before);
    EXPECT_EQ(seen[0].code(), seen[1].code());
    EXPECT_EQ(seen[0].message(), seen[1].message());
    return seen[0];
  }
};

TEST(RecoveryTest, ADryRunTellsAndLeavesNothing) {
  Source source;
  const auto before = inventory(source.world);
  const auto change = source.world.commands->create_service(source.to_backup(), source.world.admin, Effect::kDryRun);
  ASSERT_TRUE(change.operation);
  EXPECT_TRUE(core::require_object(change.operation->request, "forecast").contains("warnings"));
  EXPECT_EQ(inventory(source.world), before);
  source.world.settle();
  EXPECT_EQ(inventory(source.world), before);
}

TEST(RecoveryTest, ADryRunMeetsTheRefusalsOfTheRealThing) {
  Source source;
  auto taken_name = source.to_backup();
  taken_name.name = source.service.name;
  EXPECT_EQ(source.refusal(taken_name).code(), core::Code::kAlreadyExists);
  auto bad_plan = source.to_backup();
  bad_plan.plan.id = 99;
  EXPECT_EQ(source.refusal(bad_plan).code(), core::Code::kInvalidArgument);
  auto gone = source.to_backup();
  gone.recover_from->backup_id = "11111111-2222-4333-8444-555555555555";
  EXPECT_EQ(source.refusal(gone).fields().at(0).pointer, "/recoverFrom/id");
}

TEST(RecoveryTest, ASourceOfAnotherTeamIsNotThereEvenForWhoSeesBoth) {
  Source source;
  const auto other = source.world.commands->create_team({.name = "others", .slug = {}}, source.world.admin);
  auto request = source.to_backup();
  request.team_id = other.id;
  const auto of_backup = source.refusal(request);
  EXPECT_EQ(of_backup.fields().at(0).pointer, "/recoverFrom/id");
  EXPECT_NE(of_backup.message().find("there is no backup"), std::string::npos);
  request.recover_from->backup_id.reset();
  request.recover_from->service_id = source.service.id;
  EXPECT_EQ(source.refusal(request).fields().at(0).pointer, "/recoverFrom/msId");
}

TEST(RecoveryTest, WarnsOfABaseThatWasNotReadBackAndOfMissingBackups) {
  Source source;
  const auto warnings = [&](const CreateServiceRequest& request) {
    const auto change = source.world.commands->create_service(request, source.world.admin, Effect::kDryRun);
    return core::to_text(core::require_object(change.operation->request, "forecast").at("warnings"));
  };
  auto request = source.to_backup();
  EXPECT_NE(warnings(request).find("has no backups"), std::string::npos);
  EXPECT_EQ(warnings(request).find("never read back"), std::string::npos);
  request.backups = source.world.backups_request();
  EXPECT_EQ(warnings(request), "[]");
  source.world.database->write([&](auto& tx) {
    source.backup.confirmed_at.reset();
    metadata::Backups(tx).update(source.backup);
  });
  EXPECT_NE(warnings(request).find("never read back"), std::string::npos);
}

}  // namespace
}  // namespace backstay::control

#include "control/dump_download.h"

#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "core/error.h"
#include "metadata/backups.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

core::Error error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const core::Error& error) {
    return error;
  }
  return {core::Code::kInternal, "nothing was refused"};
}

TEST(DumpDownloadTest, AProviderWithoutDumpsRefusesThemWithTheReasonAndLeavesNothing) {
  ControlWorld world;
  const auto service = world.make_service(true);
  const auto before = world.queries->backups(service.id, world.admin).size();
  const auto error = error_of([&] {
    world.commands->schedule_backup(service.id, world.admin, {.mechanism = model::BackupMechanism::kLogical});
  });
  EXPECT_EQ(error.code(), core::Code::kNotSupported);
  EXPECT_NE(error.message().find("its provider has none"), std::string::npos) << error.message();
  ASSERT_EQ(error.fields().size(), 1U);
  EXPECT_EQ(error.fields()[0].pointer, "/mechanism");
  EXPECT_EQ(world.queries->backups(service.id, world.admin).size(), before);
}

TEST(DumpDownloadTest, OnlyAStoredLogicalBackupCanBeHad) {
  ControlWorld world;
  const auto service = world.make_service(true);
  const auto physical = world.queries->backups(service.id, world.admin).front();
  EXPECT_EQ(error_of([&] { world.queries->dump(physical.id, world.admin); }).code(), core::Code::kInvalidArgument);

  model::Backup logical = physical;
  logical.id = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
  logical.mechanism = model::BackupMechanism::kLogical;
  logical.state = model::BackupState::kScheduled;
  logical.stored_at.reset();
  world.database->write([&](auto& tx) { metadata::Backups(tx).insert(logical); });
  EXPECT_EQ(error_of([&] { world.queries->dump(logical.id, world.admin); }).code(), core::Code::kRecoveryOutOfReach);

  Principal reader = world.admin;
  reader.may_write = false;
  EXPECT_EQ(error_of([&] { world.queries->dump(logical.id, reader); }).code(), core::Code::kForbidden);

  Principal stranger = world.admin;
  stranger.all_teams = false;
  stranger.team_ids = {world.team_id + 1};
  EXPECT_EQ(error_of([&] { world.queries->dump(logical.id, stranger); }).code(), core::Code::kNotFound);
}

}  // namespace
}  // namespace backstay::control

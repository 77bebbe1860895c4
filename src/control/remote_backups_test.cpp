// Backups that a backend elsewhere holds: their expiry, and what a deleted service leaves.
#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "core/error.h"
#include "metadata/backups.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

class RemoteBackupsTest : public ::testing::Test {
 protected:
  RemoteBackupsTest() {
    world_.provider->move_elsewhere();
    id_ = world_.make_service(true).id;
    world_.settle();
  }
  void backup_after(core::Duration time) {
    world_.clock.advance(time);
    world_.commands->schedule_backup(id_, world_.admin);
    world_.settle();
  }
  std::vector<std::string> backups() {
    metadata::BackupFilter filter;
    filter.service_id = id_;
    std::vector<std::string> ids;
    for (const auto& backup : world_.database->read([&](auto& tx) { return metadata::Backups(tx).list(filter); })) {
      ids.push_back(backup.id);
    }
    return ids;
  }
  std::size_t removals() {
    const auto calls = world_.calls();
    return static_cast<std::size_t>(
        std::ranges::count_if(calls, [](const auto& call) { return call.starts_with("remove_backup"); }));
  }

  ControlWorld world_;
  std::string id_;
};

TEST_F(RemoteBackupsTest, WhatIsOlderThanTheRetentionGoesOnceANewerOneIsThere) {
  ASSERT_EQ(backups().size(), 1U);
  const auto first = backups().front();
  world_.clock.advance(std::chrono::hours(24 * 20));
  EXPECT_EQ(removals(), 0U) << "the last good one stays however old it is";
  for (int day = 0; day < 20; ++day) backup_after(std::chrono::hours(24));
  const auto left = backups();
  EXPECT_EQ(std::ranges::find(left, first), left.end());
  EXPECT_GT(removals(), 0U);
  EXPECT_EQ(removals(), world_.count_events(id_, "backups.removed"));
}

TEST_F(RemoteBackupsTest, ABackendThatRemovesNothingCostsNoBackup) {
  const auto first = backups().front();
  for (int failures = 0; failures < 400; ++failures) {
    world_.provider->fail_next("remove_backup", core::Error(core::Code::kBackendRefused, "not implemented"));
  }
  for (int day = 0; day < 20; ++day) backup_after(std::chrono::hours(24));
  const auto left = backups();
  EXPECT_NE(std::ranges::find(left, first), left.end());
  EXPECT_GT(world_.count_events(id_, "backups.removal_failed"), 0U);
  EXPECT_EQ(world_.count_events(id_, "backup.failed"), 0U);
}

TEST_F(RemoteBackupsTest, ADeletedServiceIsNotUndeletedButSaysWhatToDo) {
  world_.commands->delete_service(id_, FinalBackup::kRequired, world_.admin);
  world_.settle();
  ASSERT_EQ(world_.service(id_).status.state, model::ServiceState::kDeleted);
  try {
    world_.commands->undelete_service(id_, world_.admin);
    FAIL() << "there is no way back";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kNotSupported);
    EXPECT_NE(error.hint().find("recoverFrom"), std::string::npos);
  }
}

}  // namespace
}  // namespace backstay::control

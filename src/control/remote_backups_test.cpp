// Backups that a backend elsewhere holds: their expiry, and what a deleted service leaves.
#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/services.h"

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
  model::Backup newest() {
    return world_.database->read([&](auto& tx) { return metadata::Backups(tx).list({.service_id = id_}).front(); });
  }
  void delete_service() {
    world_.commands->delete_service(id_, FinalBackup::kRequired, world_.admin);
    world_.settle();
    ASSERT_EQ(world_.service(id_).status.state, model::ServiceState::kDeleted);
  }
  bool is_known() {
    return world_.database->read([&](auto& tx) { return metadata::Services(tx).find(id_).has_value(); });
  }
  static core::Code code_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const core::Error& error) {
      return error.code();
    }
    ADD_FAILURE() << "it was not refused";
    return core::Code::kInternal;
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
  EXPECT_EQ(world_.queries->backup(first, world_.admin).state, model::BackupState::kCompleted) << "as good as it was";
  EXPECT_GT(world_.count_events(id_, "backups.removal_failed"), 0U);
  EXPECT_EQ(world_.count_events(id_, "backup.failed"), 0U);
}

TEST_F(RemoteBackupsTest, ADeletedServiceIsNotUndeletedButSaysWhatToDo) {
  delete_service();
  try {
    world_.commands->undelete_service(id_, world_.admin);
    FAIL() << "there is no way back";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::Code::kNotSupported);
    EXPECT_NE(error.hint().find("recoverFrom"), std::string::npos);
  }
}

TEST_F(RemoteBackupsTest, ABackupThatTheBackendNeverEndsFailsAndTheNextOneComes) {
  world_.provider->on_call([](const std::string& what, WorkContext&) {
    if (what == "take_backup") throw core::Error(core::Code::kNotYet, "the backend is taking the backup");
  });
  backup_after(std::chrono::hours(1));
  const auto hung = newest();
  world_.clock.advance(std::chrono::minutes(6 * 60 + 50));
  world_.settle();
  EXPECT_EQ(newest().state, model::BackupState::kRunning) << "a job may take hours";
  world_.clock.advance(std::chrono::minutes(20));
  world_.settle();
  const auto failed = world_.queries->backup(hung.id, world_.admin);
  EXPECT_EQ(failed.state, model::BackupState::kFailed);
  EXPECT_NE(failed.error.find("the backend is taking the backup"), std::string::npos) << failed.error;
  EXPECT_FALSE(failed.next_step.empty());
  EXPECT_EQ(world_.count_events(id_, "backup.failed"), 1U);
  world_.provider->on_call({});
  world_.clock.advance(std::chrono::hours(48));
  world_.settle();
  EXPECT_EQ(newest().state, model::BackupState::kCompleted) << "the schedule goes on";
}

TEST_F(RemoteBackupsTest, BackupsOfADeletedServiceGoAtItsBackendWhenItsRecordExpires) {
  backup_after(std::chrono::hours(1));
  delete_service();
  const auto count = backups().size();
  EXPECT_EQ(removals(), 0U) << "until then they can be recovered";
  world_.clock.advance(std::chrono::hours(24 * 8));
  world_.settle();
  EXPECT_EQ(removals(), count);
  EXPECT_FALSE(is_known());
}

TEST_F(RemoteBackupsTest, ABackendThatIsAwayIsAskedAgainBeforeTheRecordGoes) {
  delete_service();
  for (int failures = 0; failures < 8; ++failures) {
    world_.provider->fail_next("remove_backup", core::Error(core::Code::kBackendUnreachable, "no answer"));
  }
  world_.clock.advance(std::chrono::hours(24 * 8));
  for (int minute = 0; minute < 20; ++minute) {
    world_.settle();
    world_.clock.advance(std::chrono::minutes(1));
  }
  EXPECT_TRUE(is_known());
  EXPECT_EQ(world_.count_events(id_, "backups.removal_failed"), 1U);
  world_.clock.advance(std::chrono::hours(25));
  world_.settle();
  EXPECT_FALSE(is_known());
  EXPECT_TRUE(backups().empty());
}

TEST_F(RemoteBackupsTest, WhatItsBackendWillNeverRemoveIsNamedWhenTheRecordGoes) {
  delete_service();
  const auto count = backups().size();
  for (std::size_t failures = 0; failures < count; ++failures) {
    const auto code = failures == 0 ? core::Code::kUnknownProvider : core::Code::kBackendRefused;
    world_.provider->fail_next("remove_backup", core::Error(code, "nobody there removes it"));
  }
  world_.clock.advance(std::chrono::hours(24 * 8));
  world_.settle();
  EXPECT_FALSE(is_known());
  EXPECT_EQ(world_.count_events(id_, "backups.removal_failed"), count);
}

TEST_F(RemoteBackupsTest, ABackupIsDeletedByHandAtItsBackend) {
  backup_after(std::chrono::hours(1));
  const auto middle = newest().id;
  backup_after(std::chrono::hours(1));
  const auto refused = [&](const std::string& backup) {
    return code_of([&] { world_.commands->delete_backup(backup, world_.admin); });
  };
  ChangeBackupRequest pin;
  pin.pinned = true;
  world_.commands->change_backup(newest().id, pin, world_.admin);
  EXPECT_EQ(refused(newest().id), core::Code::kConflict);
  EXPECT_EQ(world_.commands->delete_backup(middle, world_.admin).state, model::BackupState::kDeleting);
  world_.settle();
  const auto left = backups();
  EXPECT_EQ(std::ranges::find(left, middle), left.end());
  EXPECT_EQ(left.size(), 2U);
  const auto calls = world_.calls();
  EXPECT_NE(std::ranges::find(calls, "remove_backup " + middle), calls.end());
}

}  // namespace
}  // namespace backstay::control

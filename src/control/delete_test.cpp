#include <algorithm>

#include <gtest/gtest.h>

#include "control/archive_memory.h"
#include "control/body_loader.h"
#include "control/testing/control_world.h"
#include "metadata/instances.h"
#include "metadata/settings.h"

namespace backstay::control {
namespace {

using model::ServiceState;
using testing::ControlWorld;

core::Code code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const core::Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "was accepted";
  return core::Code::kInternal;
}

std::size_t position_of(const ControlWorld& world, const std::string& call) {
  const auto calls = world.calls();
  return static_cast<std::size_t>(std::ranges::find(calls, call) - calls.begin());
}

core::Error store_is_away() { return {core::Code::kStoreUnreachable, "the store does not answer"}; }

/// Runs what is due until nothing is, also what waits for its next attempt.
void settle_for(ControlWorld& world, std::chrono::hours time) {
  const auto end = world.clock.now() + time;
  while (world.clock.now() < end) {
    world.settle();
    world.clock.advance(std::chrono::minutes(10));
  }
}

TEST(DeleteTest, WithBackupsAFinalOneComesFirst) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  const auto instance = world.service(id).status.instance_id;
  const auto asked = world.clock.now();
  world.commands->delete_service(id, FinalBackup::kRequired, world.admin);
  EXPECT_EQ(world.service(id).status.state, ServiceState::kDeleting);
  world.settle();

  const auto gone = world.service(id);
  EXPECT_EQ(gone.status.state, ServiceState::kDeleted);
  EXPECT_EQ(gone.expires_at, asked + std::chrono::hours(24) * gone.backups.retention_days);
  const auto backups = world.queries->backups(id, world.admin);
  const auto last = std::ranges::find(backups, model::BackupOrigin::kFinal, &model::Backup::origin);
  ASSERT_NE(last, backups.end());
  EXPECT_TRUE(last->confirmed_at);
  EXPECT_LT(position_of(world, "confirm_backup " + last->id), position_of(world, "destroy " + instance));
  EXPECT_LT(position_of(world, "pause " + instance), position_of(world, "destroy " + instance));
  EXPECT_TRUE(world.queries->services(world.team_id, false, world.admin).empty());
  EXPECT_EQ(world.queries->services(world.team_id, true, world.admin).size(), 1u);
}

TEST(DeleteTest, WithoutAConfirmedFinalBackupTheDataStays) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  const auto instance = world.service(id).status.instance_id;
  for (int i = 0; i < 50; ++i) world.provider->fail_next("take_backup", store_is_away());
  world.commands->delete_service(id, FinalBackup::kRequired, world.admin);
  settle_for(world, std::chrono::hours(6));
  EXPECT_EQ(world.service(id).status.state, ServiceState::kDeleting);
  EXPECT_EQ(position_of(world, "destroy " + instance), world.calls().size()) << "nothing was destroyed";
  EXPECT_EQ(world.count_events(id, "service.delete_failed"), 1u);
  EXPECT_NE(world.service(id).status.next_step.find("finalBackup=skip"), std::string::npos);

  world.commands->delete_service(id, FinalBackup::kSkip, world.admin);
  world.settle();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kDeleted);
}

TEST(DeleteTest, WhatTheStoreDidNotTakeHoldsTheDataToo) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  const auto instance = world.service(id).status.instance_id;
  world.provider->set_store_takes_all(false);
  world.commands->delete_service(id, FinalBackup::kRequired, world.admin);
  settle_for(world, std::chrono::hours(6));
  EXPECT_EQ(position_of(world, "destroy " + instance), world.calls().size());
  EXPECT_EQ(world.service(id).status.state, ServiceState::kDeleting);
}

TEST(DeleteTest, BestEffortGoesOnWithoutTheBackup) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  world.provider->fail_next("take_backup", store_is_away());
  world.commands->delete_service(id, FinalBackup::kBestEffort, world.admin);
  world.settle();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kDeleted);
  EXPECT_EQ(world.count_events(id, "backup.failed"), 1u);
}

TEST(DeleteTest, ADeletedServiceComesBackUnderItsIdAndName) {
  ControlWorld world;
  const auto before = world.make_service(true);
  const auto old_instance = world.service(before.id).status.instance_id;
  world.commands->delete_service(before.id, FinalBackup::kRequired, world.admin);
  world.settle();
  const auto back = world.commands->undelete_service(before.id, world.admin).service;
  EXPECT_EQ(back.status.state, ServiceState::kCreating);
  world.settle();
  const auto now = world.service(before.id);
  EXPECT_EQ(now.status.state, ServiceState::kSynchronized);
  EXPECT_EQ(now.name, before.name);
  EXPECT_NE(now.status.instance_id, old_instance);
  EXPECT_FALSE(now.delete_requested_at || now.deleted_at || now.expires_at);
  EXPECT_EQ(now.secrets.size(), before.secrets.size());
}

TEST(DeleteTest, AnUndeletionThatFailsLeavesTheRecordAsItWas) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  world.commands->delete_service(id, FinalBackup::kRequired, world.admin);
  world.settle();
  const auto deleted = world.service(id);
  world.provider->fail_next("recover", core::Error(core::Code::kRecoveryFailed, "replay stopped"));
  world.commands->undelete_service(id, world.admin);
  world.settle();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kDeleted);
  EXPECT_EQ(world.service(id).expires_at, deleted.expires_at);
  EXPECT_EQ(world.count_events(id, "service.undelete_failed"), 1u);
  world.commands->undelete_service(id, world.admin);
  world.settle();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized);
}

TEST(DeleteTest, NoSecretOfAnInstanceOutlivesIt) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  world.commands->delete_service(id, FinalBackup::kRequired, world.admin);
  world.settle();
  world.provider->fail_next("recover", core::Error(core::Code::kRecoveryFailed, "replay stopped"));
  world.commands->undelete_service(id, world.admin);
  world.settle();
  world.database->read([&](auto& tx) {
    const auto instances = metadata::Instances(tx).list_of_service(id);
    EXPECT_EQ(instances.size(), 2u);
    for (const auto& instance : instances) {
      EXPECT_EQ(instance.state, model::InstanceState::kRemoved);
      EXPECT_FALSE(metadata::Settings(tx).get_secret(instance_secret_key(instance.id)));
      EXPECT_FALSE(metadata::Settings(tx).get(known_window_key(instance.id)));
    }
  });
}

TEST(DeleteTest, UndeletingKeepsWhatIsStillThere) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  const auto instance = world.service(id).status.instance_id;
  for (int i = 0; i < 50; ++i) world.provider->fail_next("take_backup", store_is_away());
  world.commands->delete_service(id, FinalBackup::kRequired, world.admin);
  EXPECT_EQ(code_of([&] { world.commands->undelete_service(id, world.admin); }), core::Code::kConflict)
      << "the deletion still runs";
  settle_for(world, std::chrono::hours(6));
  world.commands->undelete_service(id, world.admin);
  world.settle();
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized);
  EXPECT_EQ(world.service(id).status.instance_id, instance);
}

TEST(DeleteTest, UndeletingIsRefusedWhereThereIsNothingToComeBackFrom) {
  ControlWorld world;
  const auto living = world.make_service(true).id;
  EXPECT_EQ(code_of([&] { world.commands->undelete_service(living, world.admin); }), core::Code::kConflict);
  UpdateServiceRequest off;
  off.backups.emplace().enabled = false;
  world.commands->update_service(living, off, world.admin);
  world.settle();
  world.commands->delete_service(living, FinalBackup::kRequired, world.admin);
  world.settle();
  EXPECT_TRUE(world.service(living).secrets.empty());
  EXPECT_EQ(code_of([&] { world.commands->undelete_service(living, world.admin); }), core::Code::kConflict);
}

TEST(DeleteTest, WithoutAnyBackupNothingOfTheServiceIsKept) {
  ControlWorld world;
  const auto id = world.make_service().id;
  world.commands->delete_service(id, FinalBackup::kRequired, world.admin);
  world.settle();
  EXPECT_EQ(code_of([&] { world.service(id); }), core::Code::kNotFound);
}

}  // namespace
}  // namespace backstay::control

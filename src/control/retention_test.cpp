// How the server applies the retention's rule: which work it enters, and what becomes of backups and records.
#include <algorithm>

#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "metadata/backups.h"
#include "metadata/destinations.h"
#include "metadata/operations.h"
#include "metadata/services.h"
#include "metadata/settings.h"

namespace backstay::control {
namespace {

using model::ServiceState;
using std::chrono::hours;
using testing::ControlWorld;

/// Runs what is due until nothing is, step by step through the time.
void live(ControlWorld& world, core::Duration time, core::Duration step = hours(1)) {
  const auto end = world.clock.now() + time;
  while (world.clock.now() < end) {
    world.settle();
    world.clock.advance(step);
  }
  world.settle();
}

std::vector<model::Backup> backups_of(ControlWorld& world, const std::string& id) {
  return world.database->read([&](auto& tx) { return metadata::Backups(tx).list({.service_id = id}); });
}

std::size_t count_calls(const ControlWorld& world, const std::string& call) {
  return static_cast<std::size_t>(
      std::ranges::count_if(world.calls(), [&](const auto& made) { return made.starts_with(call + " "); }));
}

TEST(RetentionTest, AMonthOfBackupsKeepsWhatWasPromisedAndNoMore) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  live(world, hours(24 * 31));
  auto kept = backups_of(world, id);
  const auto now = world.clock.now();
  std::erase_if(kept, [](const auto& backup) { return backup.state == model::BackupState::kDeleting; });
  ASSERT_FALSE(kept.empty());
  EXPECT_LE(kept.size(), 9u) << "one a day for seven days, and the one that the window begins with";
  EXPECT_LE(*kept.back().taken_at, now - hours(24 * 7)) << "seven days back can still be reached";
  EXPECT_GT(*kept.back().taken_at, now - hours(24 * 9));
  EXPECT_LE(backups_of(world, id).size(), kept.size() + 2) << "rows of what is removed leave the state";
  EXPECT_GT(world.count_events(id, "backups.removed"), 15u);
  EventFilter filter;
  filter.service_id = id;
  filter.limit = 1000;
  const auto events = world.queries->events(filter, world.admin);
  const auto told = std::ranges::find(events, "backups.removed", &model::Event::name);
  EXPECT_EQ(told->body, "1 backup was removed: it is older than 7 days, and newer ones are confirmed");
}

TEST(RetentionTest, IsAppliedOnceADayAndAfterEachConfirmedBackup) {
  ControlWorld world;
  auto request = world.create_request();
  request.backups = world.backups_request();
  request.backups->interval_hours = 720;
  const auto id = world.commands->create_service(request, world.admin).service.id;
  world.settle();
  EXPECT_EQ(count_calls(world, "apply_retention"), 1u) << "the first backup is confirmed";
  live(world, hours(72));
  EXPECT_EQ(count_calls(world, "apply_retention"), 4u);
  world.commands->schedule_backup(id, world.admin);
  world.settle();
  EXPECT_EQ(count_calls(world, "apply_retention"), 5u);
}

TEST(RetentionTest, ARepositoryThatWaitsForItsTurnIsNotEnteredAgain) {
  ControlWorld world;
  const auto destination = world.make_service(true).backups.destination_id;
  world.database->write([&](auto& tx) { metadata::Destinations(tx).remember_repository(destination, "r"); });
  for (int day = 0; day < 4; ++day) {
    world.retention->tick();
    world.clock.advance(hours(25));
  }
  const auto waiting = world.database->read(
      [](auto& tx) { return metadata::Operations(tx).list({.open_only = true, .kind = std::string(kinds::kPrune)}); });
  EXPECT_EQ(waiting.size(), 1u);
}

TEST(RetentionTest, WithoutAnArchiveThereIsNothingToDo) {
  ControlWorld world;
  world.make_service(false);
  live(world, hours(72));
  EXPECT_EQ(count_calls(world, "apply_retention"), 0u);
}

TEST(RetentionTest, DoesNotHoldUpWhatTheOwnerWants) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  world.clock.advance(hours(23));
  bool applied = false;
  world.provider->on_call([&](const std::string& what, WorkContext&) {
    if (what != "apply_retention" || applied) return;
    applied = true;
    UpdateServiceRequest change;
    change.config = {{"max_connections", "50"}};
    world.commands->update_service(id, change, world.admin);
    while (world.run_one()) {
    }
    EXPECT_EQ(world.service(id).status.observed_generation, world.service(id).generation) << "applied meanwhile";
  });
  world.commands->schedule_backup(id, world.admin);
  world.settle();
  EXPECT_TRUE(applied);
}

TEST(RetentionTest, AStoreThatDoesNotAnswerIsToldOfAndNothingIsLost) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  for (int i = 0; i < 100; ++i) {
    world.provider->fail_next("apply_retention", core::Error(core::Code::kStoreUnreachable, "no answer"));
  }
  live(world, hours(24 * 10));
  EXPECT_GE(world.count_events(id, "backups.removal_failed"), 1u);
  EXPECT_GE(backups_of(world, id).size(), 10u);
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized);
}

TEST(RetentionTest, WhatARecoveredServiceRestsOnStays) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  auto copy = world.create_request("copy");
  copy.backups = world.backups_request();
  copy.recover_from.emplace().service_id = id;
  const auto copy_id = world.commands->create_service(copy, world.admin).service.id;
  world.provider->on_call([&](const std::string& what, WorkContext& context) {
    if (what != "confirm_backup" || dynamic_cast<StepContext&>(context).operation().service_id != copy_id) return;
    throw core::Error(core::Code::kCorruptData, "not whole");
  });
  live(world, hours(24 * 12), hours(3));
  EXPECT_EQ(world.count_events(id, "backups.removed"), 0u) << "it has no confirmed backup of its own";
  world.commands->delete_service(copy_id, FinalBackup::kSkip, world.admin);
  live(world, hours(24 * 3), hours(3));
  EXPECT_GT(world.count_events(id, "backups.removed"), 0u) << "nobody needs them any more";
}

TEST(RetentionTest, ARecoveryThatFailedHoldsNothing) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  auto copy = world.create_request("copy");
  copy.backups = world.backups_request();
  copy.recover_from.emplace().service_id = id;
  world.provider->fail_next("recover", core::Error(core::Code::kRecoveryFailed, "replay stopped"));
  world.commands->create_service(copy, world.admin);
  live(world, hours(24 * 11), hours(3));
  EXPECT_GT(world.count_events(id, "backups.removed"), 0u);
}

TEST(RetentionTest, ARecoveryHoldsItsSourceUntilTheNewServiceHasABackup) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  live(world, hours(24 * 3));
  auto copy = world.create_request("copy");
  copy.backups = world.backups_request();
  (*copy.backups->config)["destinationPath"] = "s3://backups/copy/";
  copy.recover_from.emplace().service_id = id;
  bool away = true;
  world.provider->on_call([&](const std::string& what, WorkContext& context) {
    if (what == "recover" && away) throw core::Error(core::Code::kNotYet, "its backend is busy");
    static_cast<void>(context);
  });
  const auto copy_id = world.commands->create_service(copy, world.admin).service.id;
  live(world, hours(24 * 12), hours(3));
  EXPECT_EQ(world.count_events(id, "backups.removed"), 0u) << "it is being read";
  away = false;
  live(world, hours(24 * 3), hours(3));
  EXPECT_EQ(world.service(copy_id).status.state, ServiceState::kSynchronized);
  EXPECT_GT(world.count_events(id, "backups.removed"), 0u);
}

TEST(RetentionTest, AnExpiredRecordGoesWithItsBackupsItsSecretsAndItsKeys) {
  ControlWorld world;
  const auto service = world.make_service(true);
  const auto destination = service.backups.destination_id;
  world.database->write([&](auto& tx) { metadata::Destinations(tx).remember_repository(destination, "r"); });
  world.commands->delete_service(service.id, FinalBackup::kRequired, world.admin);
  live(world, hours(24 * 6));
  EXPECT_EQ(world.service(service.id).status.state, ServiceState::kDeleted);
  EXPECT_EQ(backups_of(world, service.id).size(), 2u) << "as long as was promised";
  live(world, hours(24 * 3));
  EXPECT_THROW(world.service(service.id), core::Error);
  EXPECT_TRUE(backups_of(world, service.id).empty());
  EXPECT_EQ(world.count_events(service.id, "service.expired"), 1u);
  const auto known = [&] {
    return world.database->read([&](auto& tx) { return metadata::Destinations(tx).find(destination).has_value(); });
  };
  EXPECT_TRUE(known()) << "its packs are not gone yet";
  world.provider->set_stores_empty(true);
  live(world, hours(25));
  EXPECT_FALSE(known());
}

TEST(RetentionTest, TheRecordOfAServiceElsewhereExpiresToo) {
  ControlWorld world;
  world.provider->move_elsewhere();
  const auto id = world.make_service(true).id;
  world.settle();
  world.commands->delete_service(id, FinalBackup::kRequired, world.admin);
  live(world, hours(24 * 6));
  EXPECT_EQ(world.service(id).status.state, ServiceState::kDeleted);
  live(world, hours(24 * 2));
  EXPECT_THROW(world.service(id), core::Error);
  EXPECT_EQ(world.count_events(id, "service.expired"), 1u);
  EXPECT_EQ(count_calls(world, "apply_retention"), 0u) << "the backups are its provider's";
}

TEST(RetentionTest, ADestinationThatSomebodyEnteredStays) {
  ControlWorld world;
  const auto backups = world.backups_request();
  const auto destination = world.commands
                               ->create_destination({.team_id = world.team_id,
                                                     .name = "ours",
                                                     .config = *backups.config,
                                                     .secrets = *backups.secrets,
                                                     .is_default = true},
                                                    world.admin)
                               .destination.id;
  world.database->write([&](auto& tx) { metadata::Destinations(tx).remember_repository(destination, "r"); });
  world.provider->set_stores_empty(true);
  live(world, hours(24 * 3));
  EXPECT_GE(count_calls(world, "remove_garbage"), 2u);
  EXPECT_LE(count_calls(world, "remove_garbage"), 3u) << "once a day";
  EXPECT_EQ(world.queries->destinations(world.team_id, world.admin).size(), 1u);
}

TEST(RetentionTest, UndeletingAServiceHoldsItsBackupsAlthoughItsRecordHasExpired) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  world.commands->delete_service(id, FinalBackup::kRequired, world.admin);
  live(world, hours(24 * 6));
  bool away = true;
  world.provider->on_call([&](const std::string& what, WorkContext&) {
    if (what == "recover" && away) throw core::Error(core::Code::kNotYet, "it takes long");
  });
  world.commands->undelete_service(id, world.admin);
  live(world, hours(24 * 5), hours(3));
  EXPECT_EQ(backups_of(world, id).size(), 2u);
  away = false;
  live(world, hours(24 * 2), hours(3));
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized);
}

TEST(RetentionTest, WhatWasStoredOfAServiceWithoutABackupGoesToo) {
  ControlWorld world;
  for (int i = 0; i < 100; ++i) {
    world.provider->fail_next("take_backup", core::Error(core::Code::kCorruptData, "bad pages"));
  }
  const auto service = world.make_service(true);
  world.database->write(
      [&](auto& tx) { metadata::Destinations(tx).remember_repository(service.backups.destination_id, "r"); });
  world.commands->delete_service(service.id, FinalBackup::kSkip, world.admin);
  world.settle();
  EXPECT_EQ(count_calls(world, "apply_retention"), 1u) << "its WAL is removed";
  live(world, hours(24 * 5));
  EXPECT_THROW(world.service(service.id), core::Error);
}

TEST(RetentionTest, APlaceThatDoesNotAnswerHoldsUpNoOther) {
  ControlWorld world;
  const auto before = world.make_service(true);
  UpdateServiceRequest change;
  change.backups = world.backups_request();
  (*change.backups->config)["destinationPath"] = "s3://elsewhere/";
  world.clock.advance(hours(1));
  world.commands->update_service(before.id, change, world.admin);
  world.settle();
  const std::string now = world.service(before.id).backups.destination_id;
  const auto places = std::minmax(before.backups.destination_id, now);
  const std::string dead = "apply_retention " + places.first;
  world.provider->on_call([&](const std::string& what, WorkContext&) {
    if (what == "apply_retention" && world.calls().back() == dead) {
      throw core::Error(core::Code::kStoreUnreachable, "no answer");
    }
  });
  const auto asked = [&] { return std::ranges::count(world.calls(), "apply_retention " + places.second); };
  const auto so_far = asked();
  live(world, hours(24 * 3));
  EXPECT_GE(asked() - so_far, 3);
  EXPECT_GE(world.count_events(before.id, "backups.removal_failed"), 1u);
}

TEST(RetentionTest, APlaceThatTheServiceHasLeftIsEmptiedAndForgotten) {
  ControlWorld world;
  const auto before = world.make_service(true);
  live(world, hours(24 * 3));
  UpdateServiceRequest change;
  change.backups = world.backups_request();
  (*change.backups->config)["destinationPath"] = "s3://elsewhere/";
  world.commands->update_service(before.id, change, world.admin);
  live(world, hours(24 * 6), hours(3));
  const auto at_old_place = [&] {
    return std::ranges::count(backups_of(world, before.id), before.backups.destination_id,
                              &model::Backup::destination_id);
  };
  EXPECT_GT(at_old_place(), 0) << "the retention still reaches back to it";
  live(world, hours(24 * 4), hours(3));
  EXPECT_EQ(at_old_place(), 0);
  EXPECT_FALSE(world.database->read(
      [&](auto& tx) { return metadata::Destinations(tx).find_user(before.backups.destination_id); }));
  EXPECT_GE(backups_of(world, before.id).size(), 7u);
}

core::Code refusal_of_undelete(ControlWorld& world, const std::string& id) {
  try {
    world.commands->undelete_service(id, world.admin);
  } catch (const core::Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "was accepted";
  return core::Code::kInternal;
}

TEST(RetentionTest, AnUndeleteThatFailsAfterTheRecordsTimeLeavesADayToTryAgain) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  world.commands->delete_service(id, FinalBackup::kRequired, world.admin);
  live(world, hours(24 * 6));
  std::optional<core::Code> outcome = core::Code::kNotYet;
  world.provider->on_call([&](const std::string& what, WorkContext&) {
    if (what == "recover" && outcome) throw core::Error(*outcome, "it takes long");
  });
  world.commands->undelete_service(id, world.admin);
  live(world, hours(24 * 5), hours(3));
  outcome = core::Code::kRecoveryFailed;
  live(world, hours(6));
  ASSERT_EQ(world.count_events(id, "service.undelete_failed"), 1u);
  for (const auto& backup : backups_of(world, id)) EXPECT_EQ(backup.state, model::BackupState::kCompleted);
  outcome.reset();
  world.commands->undelete_service(id, world.admin);
  live(world, hours(6));
  EXPECT_EQ(world.service(id).status.state, ServiceState::kSynchronized);
}

TEST(RetentionTest, AnExpiredRecordIsNotUndeleted) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  world.commands->delete_service(id, FinalBackup::kRequired, world.admin);
  live(world, hours(24 * 7 + 6));
  EXPECT_EQ(refusal_of_undelete(world, id), core::Code::kRecoveryOutOfReach);
}

}  // namespace
}  // namespace backstay::control

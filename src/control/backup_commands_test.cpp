// Pins, expiries, labels and deletion of single backups.
#include <algorithm>

#include <gtest/gtest.h>

#include "control/retention_schedule.h"
#include "control/testing/control_world.h"
#include "metadata/backups.h"

namespace backstay::control {
namespace {

using std::chrono::hours;
using testing::ControlWorld;

core::Error error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const core::Error& error) {
    return error;
  }
  ADD_FAILURE() << "was accepted";
  return {core::Code::kInternal, ""};
}

void live(ControlWorld& world, core::Duration time) {
  const auto end = world.clock.now() + time;
  while (world.clock.now() < end) {
    world.settle();
    world.clock.advance(hours(2));
  }
  world.settle();
}

class BackupCommandsTest : public ::testing::Test {
 protected:
  BackupCommandsTest() : service_(world_.make_service(true).id) {}
  std::string take() {
    world_.clock.advance(std::chrono::minutes(1));
    const auto id = world_.commands->schedule_backup(service_, world_.admin).id;
    world_.settle();
    return id;
  }
  std::string first() { return world_.queries->backups(service_, world_.admin).back().id; }
  bool there(const std::string& id) {
    return world_.database->read([&](auto& tx) { return metadata::Backups(tx).find(id).has_value(); });
  }
  model::Backup change(const std::string& id, const ChangeBackupRequest& request) {
    return world_.commands->change_backup(id, request, world_.admin);
  }
  model::Backup remove(const std::string& id) { return world_.commands->delete_backup(id, world_.admin); }

  ControlWorld world_;
  std::string service_;
};

TEST_F(BackupCommandsTest, EachChangeIsAnEvent) {
  const auto id = take();
  const auto expiry = world_.clock.now() + hours(100);
  change(id, {.expires_at = expiry, .label = "before the move"});
  change(id, {.expires_at = expiry, .label = "before the move"});
  change(id, {.expires_at = std::optional<core::Timestamp>()});
  const auto told = [&](EventKind kind) {
    return world_.queries->events({.service_id = service_, .names = {std::string(kind.name)}}, world_.admin);
  };
  ASSERT_EQ(told(events::kBackupLabelled).size(), 1U);
  EXPECT_EQ(told(events::kBackupLabelled).front().body, "a backup has the label 'before the move'");
  ASSERT_EQ(told(events::kBackupExpiryChanged).size(), 2U);
  EXPECT_EQ(told(events::kBackupExpiryChanged).back().attributes.at("backup.id"), id);
  EXPECT_TRUE(told(events::kBackupPinned).empty());
}

TEST_F(BackupCommandsTest, APinnedBackupStaysUntilItIsUnpinned) {
  const auto id = take();
  EXPECT_TRUE(change(id, {.pinned = true, .label = "before the move"}).pinned);
  live(world_, hours(24 * 15));
  ASSERT_TRUE(there(id));
  EXPECT_EQ(world_.queries->backup(id, world_.admin).label, "before the move");
  change(id, {.pinned = false});
  live(world_, hours(24 * 3));
  EXPECT_FALSE(there(id));
  EXPECT_EQ(world_.count_events(service_, "backup.pinned"), 1u);
  EXPECT_EQ(world_.count_events(service_, "backup.unpinned"), 1u);
}

TEST_F(BackupCommandsTest, AnExpiryTakesThePlaceOfTheRetention) {
  const auto longer = take();
  const auto shorter = take();
  const auto now = world_.clock.now();
  change(longer, {.expires_at = now + hours(24 * 14)});
  change(shorter, {.expires_at = now + hours(24 * 2)});
  live(world_, hours(24 * 5));
  EXPECT_FALSE(there(shorter)) << "younger than the retention";
  live(world_, hours(24 * 7));
  EXPECT_TRUE(there(longer)) << "older than the retention";
  live(world_, hours(24 * 5));
  EXPECT_FALSE(there(longer));
}

TEST_F(BackupCommandsTest, AnExpiryInThePastIsRefused) {
  const auto id = take();
  const auto refusal = error_of([&] { change(id, {.expires_at = world_.clock.now() - hours(1)}); });
  EXPECT_EQ(refusal.code(), core::Code::kInvalidArgument);
  ASSERT_EQ(refusal.fields().size(), 1u);
  EXPECT_EQ(refusal.fields()[0].pointer, "/expiresAt");
  change(id, {.expires_at = world_.clock.now() + hours(1)});
  EXPECT_FALSE(change(id, {.expires_at = std::optional<core::Timestamp>()}).expires_at);
}

TEST_F(BackupCommandsTest, ADeletedBackupIsHiddenAndGoneAGraceLater) {
  const auto id = take();
  take();
  EXPECT_EQ(remove(id).state, model::BackupState::kDeleting);
  const auto entries = world_.queries->service(service_, world_.admin).backups;
  EXPECT_TRUE(std::ranges::none_of(entries, [&](const auto& entry) { return entry.id == id; }));
  CreateServiceRequest copy = world_.create_request("copy");
  copy.recover_from.emplace().backup_id = id;
  EXPECT_EQ(error_of([&] { world_.commands->create_service(copy, world_.admin); }).code(),
            core::Code::kRecoveryOutOfReach);
  EXPECT_EQ(error_of([&] { change(id, {.pinned = true}); }).code(), core::Code::kConflict);
  EXPECT_EQ(remove(id).state, model::BackupState::kDeleting) << "once more does no harm";
  live(world_, hours(20));
  EXPECT_TRUE(there(id));
  live(world_, hours(30));
  EXPECT_FALSE(there(id));
  EXPECT_EQ(world_.count_events(service_, "backups.removed"), 1u);
}

TEST_F(BackupCommandsTest, WhatMustStayIsNotDeleted) {
  const auto refusal = [&](const std::string& id) {
    const auto error = error_of([&] { remove(id); });
    EXPECT_EQ(error.code(), core::Code::kConflict);
    return error.message();
  };
  EXPECT_NE(refusal(first()).find("last good backup"), std::string::npos);
  const auto second = take();
  EXPECT_NE(refusal(first()).find("window of 7 days begins with it"), std::string::npos);
  change(second, {.pinned = true});
  EXPECT_NE(refusal(second).find("pinned"), std::string::npos);
  EXPECT_EQ(error_of([&] { remove(world_.random.uuid()); }).code(), core::Code::kNotFound);
  Principal writer = world_.admin;
  writer.admin = writer.may_delete = false;
  EXPECT_EQ(error_of([&] { world_.commands->delete_backup(second, writer); }).code(), core::Code::kForbidden);
}

TEST_F(BackupCommandsTest, ABackupThatARecoveryReadsIsNotDeleted) {
  const auto id = take();
  take();
  world_.provider->on_call([&](const std::string& what, WorkContext&) {
    if (what == "recover") throw core::Error(core::Code::kNotYet, "it takes long");
  });
  CreateServiceRequest copy = world_.create_request("copy");
  copy.recover_from.emplace().backup_id = id;
  world_.commands->create_service(copy, world_.admin);
  world_.settle();
  EXPECT_NE(error_of([&] { remove(id); }).message().find("'copy' is being recovered from it"), std::string::npos);
}

TEST_F(BackupCommandsTest, ABackupThatFailedIsGoneAtOnce) {
  world_.provider->fail_next("take_backup", core::Error(core::Code::kCorruptData, "bad pages"));
  const auto id = take();
  EXPECT_EQ(world_.queries->backup(id, world_.admin).state, model::BackupState::kFailed);
  remove(id);
  world_.settle();
  EXPECT_FALSE(there(id));
}

TEST_F(BackupCommandsTest, WhatIsAskedForWhileABackupIsTakenHolds) {
  const auto expires = world_.clock.now() + hours(24 * 30);
  world_.provider->on_call([&](const std::string& what, WorkContext&) {
    const auto newest = world_.queries->backups(service_, world_.admin).front().id;
    if (what == "take_backup") change(newest, {.pinned = true});
    if (what == "confirm_backup") change(newest, {.expires_at = expires, .label = "before the move"});
  });
  const auto backup = world_.queries->backup(take(), world_.admin);
  EXPECT_EQ(backup.state, model::BackupState::kCompleted);
  EXPECT_TRUE(backup.pinned);
  EXPECT_EQ(backup.expires_at, expires);
  EXPECT_EQ(backup.label, "before the move");
}

/// Calls `act` when the provider is asked for `what` the first time from now on.
void once(ControlWorld& world, const std::string& what, const std::function<void()>& act) {
  // Shared: each call is made on a copy.
  world.provider->on_call([what, act, done = std::make_shared<bool>(false)](const std::string& asked, WorkContext&) {
    if (asked != what || std::exchange(*done, true)) return;
    act();
  });
}

std::size_t count(ControlWorld& world, const std::string& call) {
  return static_cast<std::size_t>(
      std::ranges::count_if(world.calls(), [&](const auto& made) { return made.starts_with(call + " "); }));
}

TEST_F(BackupCommandsTest, APinBetweenQuestionAndDecisionIsHonoured) {
  const auto id = take();
  take();
  world_.clock.advance(hours(24 * 10));
  const auto condemned = count(world_, "condemn");
  once(world_, "decide", [&] { EXPECT_TRUE(change(id, {.pinned = true}).pinned); });
  world_.settle();
  EXPECT_EQ(count(world_, "condemn"), condemned) << "nothing was hidden";
  live(world_, hours(72));
  EXPECT_GT(count(world_, "condemn"), condemned) << "it is decided anew soon";
  EXPECT_EQ(world_.queries->backup(id, world_.admin).state, model::BackupState::kCompleted);
  EXPECT_EQ(world_.count_events(service_, "backups.removal_failed"), 0u);
}

TEST_F(BackupCommandsTest, ALongerRetentionBetweenQuestionAndDecisionIsHonoured) {
  const auto id = take();
  take();
  world_.clock.advance(hours(24 * 10));
  once(world_, "decide", [&] {
    UpdateServiceRequest longer;
    longer.backups.emplace().retention_days = 30;
    world_.commands->update_service(service_, longer, world_.admin);
  });
  live(world_, hours(72));
  EXPECT_EQ(world_.queries->backup(id, world_.admin).state, model::BackupState::kCompleted);
}

TEST_F(BackupCommandsTest, WhatWasDecidedIsInTheStateAlthoughTheStoreFailsMidway) {
  const auto id = take();
  take();
  world_.clock.advance(hours(24 * 10));
  bool away = true;
  world_.provider->on_call([&](const std::string& what, WorkContext&) {
    if (what == "condemn" && away) throw core::Error(core::Code::kStoreUnreachable, "no answer");
  });
  world_.settle();
  const auto backup = world_.queries->backup(id, world_.admin);
  EXPECT_EQ(backup.state, model::BackupState::kDeleting);
  EXPECT_EQ(backup.removal_reason, "it is older than 7 days, and newer ones are confirmed");
  EXPECT_EQ(error_of([&] { change(id, {.pinned = true}); }).code(), core::Code::kConflict);
  away = false;
  live(world_, hours(72));
  EXPECT_FALSE(there(id));
  EXPECT_GE(world_.count_events(service_, "backups.removed"), 1u);
}

TEST_F(BackupCommandsTest, ABackupThatStaysIsChangedWhileOthersAreRemoved) {
  world_.clock.advance(hours(24 * 10));
  bool tried = false;
  once(world_, "condemn", [&] {
    const auto newest = world_.queries->backups(service_, world_.admin).front().id;
    tried = change(newest, {.pinned = true}).pinned;
  });
  world_.settle();
  EXPECT_TRUE(tried);
}

TEST_F(BackupCommandsTest, ATurnAskedForDuringARetentionComesRightAfterIt) {
  const auto applied = [&] {
    return std::ranges::count_if(world_.calls(), [](const auto& call) { return call.starts_with("apply_retention "); });
  };
  const auto before = applied();
  once(world_, "apply_retention",
       [&] { world_.database->write([&](auto& tx) { hurry_retention(tx, service_, world_.clock.now()); }); });
  take();
  EXPECT_EQ(applied() - before, 2);
}

TEST_F(BackupCommandsTest, WhatWasSeenIsAskedForInTheTransaction) {
  const auto id = take();
  take();
  const Precondition<model::Backup> moved = [&](const model::Backup& backup) {
    EXPECT_EQ(backup.id, id);
    throw core::Error(core::Code::kPreconditionFailed, "it was changed meanwhile");
  };
  EXPECT_EQ(error_of([&] { world_.commands->change_backup(id, {.pinned = true}, world_.admin, moved); }).code(),
            core::Code::kPreconditionFailed);
  EXPECT_EQ(error_of([&] { world_.commands->delete_backup(id, world_.admin, Effect::kLasting, {}, moved); }).code(),
            core::Code::kPreconditionFailed);
  const auto backup = world_.queries->backup(id, world_.admin);
  EXPECT_FALSE(backup.pinned);
  EXPECT_EQ(backup.state, model::BackupState::kCompleted);
  const auto place = backup.destination_id;
  const Precondition<model::Destination> other = [](const model::Destination&) {
    throw core::Error(core::Code::kPreconditionFailed, "it was changed meanwhile");
  };
  EXPECT_EQ(error_of([&] { world_.commands->update_destination(place, {.name = "x"}, world_.admin, other); }).code(),
            core::Code::kPreconditionFailed);
  EXPECT_EQ(error_of([&] { world_.commands->delete_destination(place, world_.admin, Effect::kLasting, other); }).code(),
            core::Code::kPreconditionFailed);
}

TEST(BackupsTurnedOnTest, TogetherWithTheOneThatIsAskedForOrNotAtAll) {
  ControlWorld world;
  const auto id = world.make_service().id;
  const auto take = [&](const TakeBackupRequest& request) {
    return world.commands->schedule_backup(id, world.admin, request);
  };
  TakeBackupRequest wanted{.turn_backups_on = true};
  auto refused = error_of([&] { take(wanted); });
  EXPECT_EQ(refused.code(), core::Code::kConflict);
  ASSERT_EQ(refused.fields().size(), 1U) << "nothing says where they would go";
  EXPECT_EQ(refused.fields()[0].pointer, "/destinationId");

  wanted.destination_id =
      world.commands
          ->create_destination(
              {.team_id = world.team_id,
               .name = "place",
               .config = {{"destinationPath", "s3://bucket/place"}, {"endpointUrl", "https://s3.example.org"}},
               .secrets = {{"accessKey", core::Secret("id")}, {"secretKey", core::Secret("key")}},
               .is_default = true},
              world.admin)
          .destination.id;
  // A logical one is refused after backups were turned on in the same transaction.
  wanted.mechanism = model::BackupMechanism::kLogical;
  EXPECT_EQ(error_of([&] { take(wanted); }).code(), core::Code::kNotSupported);
  EXPECT_FALSE(world.service(id).backups.enabled);
  EXPECT_EQ(world.count_events(id, "backups.enabled"), 0U);

  wanted.mechanism = model::BackupMechanism::kPhysical;
  const auto backup = take(wanted);
  EXPECT_TRUE(world.service(id).backups.enabled);
  world.settle();
  EXPECT_EQ(world.queries->backup(backup.id, world.admin).destination_id, *wanted.destination_id);
  EXPECT_FALSE(world.queries->backup(backup.id, world.admin).stands_alone);
  // Where they are on already, it is a backup like any other.
  take(wanted);
  EXPECT_EQ(world.count_events(id, "backups.enabled"), 1U);
}

TEST_F(BackupCommandsTest, ATemporaryOneIsKeptForSoManyDaysAtMost) {
  const auto taken = world_.commands->schedule_backup(service_, world_.admin, {.temporary_days = 3});
  EXPECT_EQ(taken.expires_at, world_.clock.now() + hours(72));
  EXPECT_FALSE(taken.pinned);
  for (const TakeBackupRequest& wrong :
       {TakeBackupRequest{.temporary_days = 0}, TakeBackupRequest{.temporary_days = 15},
        TakeBackupRequest{.temporary_days = 3, .pinned = true},
        TakeBackupRequest{.expires_at = world_.clock.now() + hours(1), .temporary_days = 3}}) {
    const auto refused = error_of([&] { world_.commands->schedule_backup(service_, world_.admin, wrong); });
    ASSERT_EQ(refused.fields().size(), 1U);
    EXPECT_EQ(refused.fields()[0].pointer, "/temporaryDays");
  }
}

}  // namespace
}  // namespace backstay::control

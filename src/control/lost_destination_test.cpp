// A destination that is lost for ever: who may say so, when, and what becomes of everything that lay there.
#include <algorithm>

#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/destinations.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

using std::chrono::hours;
using testing::ControlWorld;

class LostDestinationTest : public ::testing::Test {
 protected:
  LostDestinationTest() : service_(world_.make_service(true)), place_(service_.backups.destination_id) {
    world_.settle();
    world_.database->write([&](auto& tx) { metadata::Destinations(tx).remember_repository(place_, "r"); });
  }
  void live(core::Duration time) {
    const auto end = world_.clock.now() + time;
    while (world_.clock.now() < end) {
      world_.settle();
      world_.clock.advance(hours(3));
    }
    world_.settle();
  }
  void move() {
    UpdateServiceRequest change;
    change.backups = world_.backups_request();
    (*change.backups->config)["destinationPath"] = "s3://elsewhere/";
    world_.commands->update_service(service_.id, change, world_.admin);
    world_.settle();
  }
  std::optional<model::Destination> place() {
    return world_.database->read([&](auto& tx) { return metadata::Destinations(tx).find(place_); });
  }
  Preview lose(Effect effect = Effect::kLasting) {
    return world_.commands->lose_destination(place_, place()->name, world_.admin, effect);
  }
  std::vector<model::Backup> backups() {
    return world_.database->read([&](auto& tx) { return metadata::Backups(tx).list({.service_id = service_.id}); });
  }
  model::Backup oldest() { return backups().back(); }
  bool is_known() {
    return world_.database->read([&](auto& tx) { return metadata::Services(tx).find(service_.id).has_value(); });
  }
  static core::Error error_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const core::Error& error) {
      return error;
    }
    ADD_FAILURE() << "it was not refused";
    return {core::Code::kInternal, ""};
  }

  ControlWorld world_;
  model::Service service_;
  std::string place_;
};

TEST_F(LostDestinationTest, IsForTheOperatorWhoKnowsItsName) {
  move();
  Principal writer = world_.admin;
  writer.admin = false;
  EXPECT_EQ(error_of([&] { world_.commands->lose_destination(place_, place()->name, writer); }).code(),
            core::Code::kForbidden);
  const auto wrong = error_of([&] { world_.commands->lose_destination(place_, "another", world_.admin); });
  EXPECT_EQ(wrong.code(), core::Code::kInvalidArgument);
  ASSERT_EQ(wrong.fields().size(), 1u);
  EXPECT_EQ(wrong.fields()[0].pointer, "/name");
  EXPECT_FALSE(place()->lost_at);
}

TEST_F(LostDestinationTest, ADryRunChangesNothing) {
  move();
  const auto told = lose(Effect::kDryRun);
  EXPECT_NE(told.effects.front().find("1 backup of 1 service"), std::string::npos) << told.effects.front();
  EXPECT_FALSE(place()->lost_at);
  EXPECT_EQ(oldest().state, model::BackupState::kCompleted);
}

TEST_F(LostDestinationTest, IsRefusedWhileBackupsGoThere) {
  const auto refusal = error_of([&] { lose(); });
  EXPECT_EQ(refusal.code(), core::Code::kConflict);
  EXPECT_NE(refusal.message().find("'" + service_.name + "'"), std::string::npos) << refusal.message();
  EXPECT_EQ(oldest().state, model::BackupState::kCompleted);
  UpdateServiceRequest off;
  off.backups.emplace().enabled = false;
  world_.commands->update_service(service_.id, off, world_.admin);
  world_.settle();
  lose();
  EXPECT_EQ(oldest().state, model::BackupState::kLost);
}

TEST_F(LostDestinationTest, ItsBackupsAreLostAndSayWhy) {
  move();
  const auto id = oldest().id;
  lose();
  const auto backup = world_.queries->backup(id, world_.admin);
  EXPECT_EQ(backup.state, model::BackupState::kLost);
  EXPECT_FALSE(backup.stored_at);
  EXPECT_FALSE(backup.confirmed_at);
  EXPECT_NE(backup.error.find("was declared lost at"), std::string::npos);
  EXPECT_FALSE(backup.next_step.empty());
  EXPECT_EQ(world_.count_events(service_.id, "backups.lost"), 1u);
  EXPECT_TRUE(place()->lost_at);
  EXPECT_EQ(error_of([&] { world_.commands->change_backup(id, {.pinned = true}, world_.admin); }).code(),
            core::Code::kConflict);
  auto copy = world_.create_request("copy");
  copy.recover_from.emplace().backup_id = id;
  const auto refusal = error_of([&] { world_.commands->create_service(copy, world_.admin); });
  EXPECT_EQ(refusal.code(), core::Code::kRecoveryOutOfReach);
  EXPECT_NE(refusal.message().find("is lost"), std::string::npos);
  lose();
  EXPECT_EQ(world_.count_events(service_.id, "backups.lost"), 1u) << "once more does no harm";
}

TEST_F(LostDestinationTest, NothingIsAskedOfItAnyMore) {
  move();
  lose();
  const auto calls = world_.calls().size();
  live(hours(24 * 3));
  const auto all = world_.calls();
  EXPECT_TRUE(std::none_of(all.begin() + static_cast<std::ptrdiff_t>(calls), all.end(),
                           [&](const auto& call) { return call.ends_with(" " + place_); }));
}

TEST_F(LostDestinationTest, WhatWasLostIsForgottenWhenItWouldHaveGone) {
  move();
  lose();
  live(hours(24 * 5));
  EXPECT_EQ(oldest().state, model::BackupState::kLost);
  live(hours(24 * 4));
  EXPECT_NE(oldest().state, model::BackupState::kLost);
  EXPECT_FALSE(place()) << "nobody entered it and nothing needs it";
}

TEST_F(LostDestinationTest, OneThatWasLostCanBeTakenOffTheListAtOnce) {
  move();
  const auto id = oldest().id;
  lose();
  EXPECT_EQ(world_.commands->delete_backup(id, world_.admin).state, model::BackupState::kDeleted);
  EXPECT_EQ(error_of([&] { world_.queries->backup(id, world_.admin); }).code(), core::Code::kNotFound);
}

TEST_F(LostDestinationTest, TheRecordOfADeletedServiceDoesNotWaitForIt) {
  world_.commands->delete_service(service_.id, FinalBackup::kRequired, world_.admin);
  world_.settle();
  world_.provider->on_call([&](const std::string& what, WorkContext&) {
    if (what == "apply_retention") throw core::Error(core::Code::kStoreUnreachable, "no answer");
  });
  live(hours(24 * 9));
  ASSERT_TRUE(is_known()) << "its store does not answer";
  lose();
  live(hours(24));
  EXPECT_FALSE(is_known());
  EXPECT_FALSE(place());
}

TEST_F(LostDestinationTest, ADeletionThatWaitsForItIsNotForgotten) {
  world_.provider->on_call([&](const std::string& what, WorkContext&) {
    if (what == "take_backup") throw core::Error(core::Code::kStoreUnreachable, "no answer");
  });
  world_.commands->delete_service(service_.id, FinalBackup::kRequired, world_.admin);
  const auto refusal = error_of([&] { lose(); });
  EXPECT_EQ(refusal.code(), core::Code::kConflict);
  EXPECT_NE(refusal.hint().find("finalBackup=skip"), std::string::npos);
}

TEST_F(LostDestinationTest, TheSamePlaceCanBeEnteredAgain) {
  UpdateServiceRequest off;
  off.backups.emplace().enabled = false;
  world_.commands->update_service(service_.id, off, world_.admin);
  world_.settle();
  lose();
  world_.clock.advance(hours(1));
  UpdateServiceRequest on;
  on.backups.emplace().enabled = true;
  world_.commands->update_service(service_.id, on, world_.admin);
  world_.settle();
  EXPECT_NE(world_.service(service_.id).backups.destination_id, place_) << "a new one, in the place of the old";
  EXPECT_EQ(backups().front().state, model::BackupState::kCompleted);
}

}  // namespace
}  // namespace backstay::control

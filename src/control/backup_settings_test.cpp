// Changes of where backups go are judged before anything is written.
#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "core/error.h"

namespace backstay::control {
namespace {

using testing::ControlWorld;

class BackupSettingsTest : public ::testing::Test {
 protected:
  BackupSettingsTest() : before_(world_.make_service(true)) {}
  core::Code refusal_of(const UpdateServiceRequest& request) {
    try {
      world_.commands->update_service(before_.id, request, world_.admin);
    } catch (const core::Error& error) {
      return error.code();
    }
    ADD_FAILURE() << "was accepted";
    return core::Code::kInternal;
  }
  void expect_unchanged() {
    const auto now = world_.service(before_.id);
    EXPECT_EQ(now.generation, before_.generation);
    EXPECT_EQ(now.backups.destination_id, before_.backups.destination_id);
    EXPECT_EQ(now.backups.secrets.at("secretKey").reveal(), "SK");
    EXPECT_EQ(world_.queries->destinations(world_.team_id, world_.admin).size(), 1u);
  }

  ControlWorld world_;
  model::Service before_;
};

TEST_F(BackupSettingsTest, OtherKeysAreTriedAtTheStore) {
  world_.gate.refuse("put: access denied");
  UpdateServiceRequest keys;
  keys.backups.emplace().secrets =
      model::Secrets{{"accessKey", core::Secret("AK")}, {"secretKey", core::Secret("new")}};
  EXPECT_EQ(refusal_of(keys), core::Code::kStoreRefused);
  expect_unchanged();
}

TEST_F(BackupSettingsTest, AnotherPlaceIsTriedAtTheStore) {
  world_.gate.refuse("put: access denied");
  UpdateServiceRequest place;
  place.backups = world_.backups_request();
  (*place.backups->config)["destinationPath"] = "s3://elsewhere/";
  EXPECT_EQ(refusal_of(place), core::Code::kStoreRefused);
  expect_unchanged();
}

TEST_F(BackupSettingsTest, WhatDoesNotTouchTheStoreIsNotTriedThere) {
  world_.gate.refuse("put: access denied");
  UpdateServiceRequest interval;
  interval.backups.emplace().interval_hours = 12;
  world_.commands->update_service(before_.id, interval, world_.admin);
  EXPECT_EQ(world_.service(before_.id).backups.interval_h, 12);
}

TEST_F(BackupSettingsTest, PartsOfTwoPlacesMakeNone) {
  UpdateServiceRequest place;
  place.backups = world_.backups_request();
  (*place.backups->config)["region"] = "eu-north-1";
  world_.commands->update_service(before_.id, place, world_.admin);
  EXPECT_TRUE(world_.service(before_.id).backups.config.contains("region"));
  UpdateServiceRequest other;
  other.backups.emplace().config = world_.backups_request().config;
  (*other.backups->config)["destinationPath"] = "s3://elsewhere/";
  world_.commands->update_service(before_.id, other, world_.admin);
  const auto now = world_.service(before_.id).backups;
  EXPECT_EQ(now.config, *other.backups->config) << "nothing of the former place is left in it";
  EXPECT_EQ(now.secrets.at("secretKey").reveal(), "SK") << "what is not named stays";
}

TEST_F(BackupSettingsTest, TheOldPlaceKeepsItsBackupsAndTheNewOneGetsOneAtOnce) {
  UpdateServiceRequest place;
  place.backups = world_.backups_request();
  (*place.backups->config)["destinationPath"] = "s3://elsewhere/";
  world_.clock.advance(std::chrono::hours(1));
  world_.commands->update_service(before_.id, place, world_.admin);
  world_.settle();
  const auto backups = world_.queries->backups(before_.id, world_.admin);
  ASSERT_EQ(backups.size(), 2u);
  EXPECT_NE(backups[0].destination_id, backups[1].destination_id);
  const auto days_pass = [&](int days) {
    for (int hour = 0; hour < days * 24; hour += 6) {
      world_.settle();
      world_.clock.advance(std::chrono::hours(6));
    }
  };
  days_pass(6);
  EXPECT_EQ(world_.queries->backup(backups[1].id, world_.admin).state, model::BackupState::kCompleted)
      << "the last one that the old place has";
  days_pass(14);
  EXPECT_THROW(world_.queries->backup(backups[1].id, world_.admin), core::Error)
      << "the new place alone covers the retention";
}

}  // namespace
}  // namespace backstay::control

#include "metadata/lost_places.h"

#include <gtest/gtest.h>

#include "metadata/backups.h"
#include "metadata/destinations.h"
#include "metadata/services.h"
#include "metadata/teams.h"
#include "metadata/testing/temporary_database.h"

namespace backstay::metadata {
namespace {

const core::Timestamp kNow = core::parse_time("2026-03-01T00:00:00Z");

class LostPlacesTest : public ::testing::TestWithParam<testing::Store> {
 protected:
  LostPlacesTest() {
    database_.write([&](Transaction& tx) {
      Teams(tx).insert({.id = 1, .name = "t", .slug = "t"});
      for (const auto* id : {"gone", "safe"}) Destinations(tx).insert({.id = id, .team_id = 1, .url = id});
      model::Service service;
      service.id = service.name = "s";
      service.team_id = 1;
      service.backups.destination_id = "gone";
      Services(tx).insert(service);
      add(tx, "completed", "gone", model::BackupState::kCompleted);
      add(tx, "failed", "gone", model::BackupState::kFailed);
      add(tx, "deleting", "gone", model::BackupState::kDeleting);
      add(tx, "elsewhere", "safe", model::BackupState::kCompleted);
    });
  }
  static void add(Transaction& tx, const std::string& id, const std::string& place, model::BackupState state) {
    model::Backup backup;
    backup.id = id;
    backup.service_id = "s";
    backup.team_id = 1;
    backup.destination_id = place;
    backup.state = state;
    backup.scheduled_at = kNow;
    backup.taken_at = backup.stored_at = backup.confirmed_at = kNow;
    Backups(tx).insert(backup);
  }
  std::optional<model::Backup> backup(const std::string& id) {
    return database_.read([&](auto& tx) { return Backups(tx).find(id); });
  }

  testing::TemporaryDatabase temporary_{GetParam()};
  Database& database_ = temporary_.database();
};

INSTANTIATE_TEST_SUITE_P(Stores, LostPlacesTest,
                         ::testing::Values(testing::Store::kSqlite, testing::Store::kPostgresql),
                         [](const auto& test) { return testing::name_of(test.param); });

TEST_P(LostPlacesTest, WhatLiesThereIsLostAndNothingElse) {
  const auto lost = database_.write([](Transaction& tx) { return LostPlaces(tx).lose("gone", "burned", "take one"); });
  EXPECT_EQ(lost, (std::map<std::string, std::int64_t>{{"s", 1}}));
  const auto seen = backup("completed");
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->state, model::BackupState::kLost);
  EXPECT_EQ(seen->error, "burned");
  EXPECT_TRUE(seen->taken_at);
  EXPECT_FALSE(seen->stored_at || seen->confirmed_at || seen->verified_at);
  EXPECT_FALSE(backup("failed"));
  EXPECT_FALSE(backup("deleting"));
  EXPECT_EQ(backup("elsewhere")->state, model::BackupState::kCompleted);
  EXPECT_EQ(database_.read([](auto& tx) { return LostPlaces(tx).services("gone"); }), std::vector<std::string>{"s"});
}

TEST_P(LostPlacesTest, WhatIsUnderWayIsTold) {
  const auto open = [&] { return database_.read([](auto& tx) { return LostPlaces(tx).backups_under_way("gone"); }); };
  EXPECT_TRUE(open().empty());
  database_.write([](Transaction& tx) { add(tx, "running", "gone", model::BackupState::kRunning); });
  EXPECT_EQ(open(), std::vector<std::string>{"running"});
}

TEST_P(LostPlacesTest, WhatWasLostIsForgottenByItsAge) {
  database_.write([](Transaction& tx) { LostPlaces(tx).lose("gone", "burned", "take one"); });
  const auto forget = [&](core::Timestamp before) {
    return database_.write([&](Transaction& tx) { return LostPlaces(tx).forget("s", before); });
  };
  EXPECT_TRUE(forget(kNow - std::chrono::hours(1)).empty());
  EXPECT_TRUE(backup("completed"));
  EXPECT_EQ(forget(kNow), (std::map<std::string, std::int64_t>{{"gone", 1}}));
  EXPECT_FALSE(backup("completed"));
  EXPECT_TRUE(backup("elsewhere")) << "it was not lost";
}

TEST_P(LostPlacesTest, ALostPlaceIsNoPlaceAnyMore) {
  const auto found = [&] {
    return database_.read([](auto& tx) { return Destinations(tx).find_place(1, "gone", ""); });
  };
  ASSERT_TRUE(found());
  database_.write([](Transaction& tx) {
    auto place = Destinations(tx).require("gone");
    place.lost_at = kNow;
    Destinations(tx).update(place);
  });
  EXPECT_FALSE(found());
  EXPECT_EQ(database_.read([](auto& tx) { return Destinations(tx).require("gone").lost_at; }), kNow);
}

}  // namespace
}  // namespace backstay::metadata

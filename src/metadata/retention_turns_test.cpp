#include "metadata/retention_turns.h"

#include <gtest/gtest.h>

#include "metadata/destinations.h"
#include "metadata/servers.h"
#include "metadata/services.h"
#include "metadata/teams.h"
#include "metadata/testing/temporary_database.h"

namespace backstay::metadata {
namespace {

using Ids = std::vector<std::string>;

core::Timestamp at(int second) { return core::parse_time("2026-04-10T12:00:00Z") + std::chrono::seconds(second); }

class RetentionTurnsTest : public ::testing::TestWithParam<testing::Store> {
 protected:
  template <typename Body>
  auto write(Body&& body) {
    return temporary_.database().write(std::forward<Body>(body));
  }
  testing::TemporaryDatabase temporary_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Stores, RetentionTurnsTest,
                         ::testing::Values(testing::Store::kSqlite, testing::Store::kPostgresql),
                         [](const auto& test) { return testing::name_of(test.param); });

TEST_P(RetentionTurnsTest, AServiceHasItsTurnWithItsDriverOnceItIsDue) {
  const auto server = write([](Transaction& tx) {
    Teams(tx).insert({.id = 7, .name = "Seven", .slug = "seven", .created_at = at(0)});
    for (const char* id : {"s1", "s2", "s3"}) {
      model::Service service;
      service.id = service.name = id;
      service.team_id = 7;
      Services(tx).insert(service);
    }
    const auto epoch = Servers(tx).enter("here", at(0));
    Servers(tx).take_services(epoch);
    RetentionTurns(tx).set_service("s1", at(10));
    RetentionTurns(tx).set_service("s2", at(5));
    return epoch;
  });
  const auto due = [&](std::int64_t of, int second, std::size_t limit) {
    return write([&](Transaction& tx) { return RetentionTurns(tx).services(of, at(second), limit); });
  };
  EXPECT_EQ(due(server, 4, 9), Ids{});
  EXPECT_EQ(due(server, 10, 9), (Ids{"s2", "s1"})) << "s3 never had an archive";
  EXPECT_EQ(due(server, 10, 1), Ids{"s2"});
  EXPECT_EQ(due(server + 1, 10, 9), Ids{}) << "another server drives them";
}

TEST_P(RetentionTurnsTest, ADestinationHasItsTurnOnceItHoldsARepository) {
  write([](Transaction& tx) {
    Destinations(tx).insert({.id = "empty", .url = "file:///a"});
    Destinations(tx).insert({.id = "used", .url = "file:///b", .made_for_service = true});
    Destinations(tx).remember_repository("used", "r");
  });
  const auto due = [&](int second) {
    return write([&](Transaction& tx) { return RetentionTurns(tx).destinations(at(second), 9); });
  };
  EXPECT_EQ(due(0), Ids{"used"});
  write([](Transaction& tx) {
    EXPECT_FALSE(RetentionTurns(tx).destination_had_turn("used"));
    RetentionTurns(tx).set_destination("used", at(5));
    EXPECT_TRUE(RetentionTurns(tx).destination_had_turn("used"));
    EXPECT_TRUE(Destinations(tx).require("used").made_for_service);
  });
  EXPECT_EQ(due(4), Ids{});
  EXPECT_EQ(due(5), Ids{"used"});
}

}  // namespace
}  // namespace backstay::metadata

#include "metadata/waiting_backups.h"

#include <gtest/gtest.h>

#include "metadata/backups.h"
#include "metadata/services.h"
#include "metadata/teams.h"
#include "metadata/testing/temporary_database.h"

namespace backstay::metadata {
namespace {

class WaitingBackupsTest : public ::testing::TestWithParam<testing::Store> {
 protected:
  testing::TemporaryDatabase temporary_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Stores, WaitingBackupsTest,
                         ::testing::Values(testing::Store::kSqlite, testing::Store::kPostgresql),
                         [](const auto& test) { return testing::name_of(test.param); });

TEST_P(WaitingBackupsTest, CountsWhatSchedulesEnteredAndNobodyHasBegun) {
  const auto waiting = temporary_.database().write([](Transaction& tx) {
    for (const std::int64_t team : {1, 2}) {
      const auto name = std::to_string(team);
      Teams(tx).insert({.id = team, .name = name, .slug = name});
      model::Service service;
      service.id = service.name = name;
      service.team_id = team;
      Services(tx).insert(service);
    }
    int number = 0;
    const auto add = [&](std::int64_t team, model::BackupOrigin origin, model::BackupState state) {
      model::Backup backup;
      backup.id = "b" + std::to_string(++number);
      backup.service_id = std::to_string(team);
      backup.team_id = team;
      backup.origin = origin;
      backup.state = state;
      Backups(tx).insert(backup);
    };
    add(1, model::BackupOrigin::kScheduled, model::BackupState::kScheduled);
    add(1, model::BackupOrigin::kManual, model::BackupState::kScheduled);
    add(1, model::BackupOrigin::kScheduled, model::BackupState::kRunning);
    add(2, model::BackupOrigin::kScheduled, model::BackupState::kScheduled);
    add(2, model::BackupOrigin::kScheduled, model::BackupState::kScheduled);
    return std::pair(count_waiting_scheduled(tx, 1), count_waiting_scheduled(tx, 3));
  });
  EXPECT_EQ(waiting.first.of_team, 1U);
  EXPECT_EQ(waiting.first.of_all, 3U);
  EXPECT_EQ(waiting.second.of_team, 0U);
  EXPECT_EQ(waiting.second.of_all, 3U);
}

}  // namespace
}  // namespace backstay::metadata

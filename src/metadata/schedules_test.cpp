#include "metadata/schedules.h"

#include <gtest/gtest.h>

#include "metadata/backups.h"
#include "metadata/servers.h"
#include "metadata/services.h"
#include "metadata/teams.h"
#include "metadata/testing/temporary_database.h"

namespace backstay::metadata {
namespace {

using Ids = std::vector<std::string>;

core::Timestamp at(int second) { return core::parse_time("2026-04-10T12:00:00Z") + std::chrono::seconds(second); }

class SchedulesTest : public ::testing::TestWithParam<testing::Store> {
 protected:
  template <typename Body>
  auto write(Body&& body) {
    return temporary_.database().write(std::forward<Body>(body));
  }
  void add_team(std::int64_t id) {
    const auto name = "team" + std::to_string(id);
    write([&](Transaction& tx) { Teams(tx).insert({.id = id, .name = name, .slug = name, .created_at = at(0)}); });
  }
  static model::Service service(const std::string& id, std::int64_t team_id = 7) {
    model::Service made;
    made.id = made.name = id;
    made.team_id = team_id;
    made.status.state = model::ServiceState::kSynchronized;
    return made;
  }
  static model::BackupSchedule schedule(const std::string& id, const std::string& service_id, int next,
                                        std::int64_t team_id = 7) {
    return {.id = id,
            .team_id = team_id,
            .service_id = service_id,
            .cron = "0 2 * * *",
            .next_at = at(next),
            .created_at = at(0),
            .updated_at = at(0)};
  }
  static void insert_backup(Transaction& tx, const std::string& id, const std::string& schedule_id,
                            model::BackupState state) {
    model::Backup backup;
    backup.id = id;
    backup.service_id = "s1";
    backup.team_id = 7;
    backup.state = state;
    backup.schedule_id = schedule_id;
    Backups(tx).insert(backup);
  }
  Ids due(int now, std::int64_t server, std::size_t limit = 100) {
    return temporary_.database().read([&](Transaction& tx) {
      Ids ids;
      for (const auto& found : Schedules(tx).due(server, at(now), limit)) ids.push_back(found.id);
      return ids;
    });
  }
  /// With a server that drives all that is there; returns its epoch.
  std::int64_t drive() {
    return write([](Transaction& tx) {
      const auto epoch = Servers(tx).enter("here", at(0));
      Servers(tx).take_services(epoch);
      return epoch;
    });
  }
  testing::TemporaryDatabase temporary_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Stores, SchedulesTest, ::testing::Values(testing::Store::kSqlite, testing::Store::kPostgresql),
                         [](const auto& test) { return testing::name_of(test.param); });

TEST_P(SchedulesTest, KeepsEveryField) {
  add_team(7);
  model::BackupSchedule made{.id = "c1",
                             .team_id = 7,
                             .service_id = "s1",
                             .name = "nightly",
                             .destination_id = "d1",
                             .cron = "",
                             .time_zone = "Europe/Berlin",
                             .interval_h = 6,
                             .counted_from = at(1),
                             .keep = {.count = 7, .days = 30},
                             .mechanism = model::BackupMechanism::kLogical,
                             .enabled = false,
                             .next_at = at(2),
                             .last_run_at = at(3),
                             .last_backup_id = "b1",
                             .last_outcome = model::RunOutcome::kCompleted,
                             .generation = 4,
                             .created_at = at(5),
                             .updated_at = at(6)};
  const auto same = [](const model::BackupSchedule& a, const model::BackupSchedule& b) {
    const auto fields = [](const auto& s) {
      return std::tie(s.id, s.team_id, s.service_id, s.name, s.destination_id, s.cron, s.time_zone, s.interval_h,
                      s.counted_from, s.keep.count, s.keep.days, s.mechanism, s.enabled, s.next_at, s.last_run_at,
                      s.last_backup_id, s.last_outcome, s.generation, s.created_at, s.updated_at, s.deleted_at);
    };
    return fields(a) == fields(b);
  };
  write([&](Transaction& tx) {
    Services(tx).insert(service("s1"));
    Schedules schedules(tx);
    schedules.insert(made);
    EXPECT_TRUE(same(*schedules.find("c1"), made));
    made.name = "weekly";
    made.destination_id = "";
    made.cron = "@weekly";
    made.time_zone = "UTC";
    made.interval_h = 0;
    made.counted_from = at(11);
    made.keep = {.count = 0, .days = 3};
    made.mechanism = model::BackupMechanism::kPhysical;
    made.enabled = true;
    made.next_at.reset();
    made.generation = 5;
    made.updated_at = at(12);
    schedules.update(made);
    EXPECT_TRUE(same(*schedules.find("c1"), made));
    made.last_run_at = at(20);
    made.next_at = at(30);
    made.last_backup_id = "b2";
    made.last_outcome = model::RunOutcome::kRunning;
    schedules.note_run("c1", "b2", at(20));
    schedules.set_next("c1", at(30));
    schedules.set_outcome("c1", "b1", model::RunOutcome::kFailed);
    EXPECT_TRUE(same(*schedules.find("c1"), made)) << "another run than the last one";
    schedules.set_outcome("c1", "b2", model::RunOutcome::kFailed);
    schedules.hurry("c1", at(40));
    schedules.hurry("c1", at(25));
    made.last_outcome = model::RunOutcome::kFailed;
    made.next_at = at(25);
    EXPECT_TRUE(same(*schedules.find("c1"), made));
  });
}

TEST_P(SchedulesTest, ADeletedOneIsKeptForItsBackupsOnly) {
  add_team(7);
  write([&](Transaction& tx) {
    Services(tx).insert(service("s1"));
    Schedules schedules(tx);
    auto gone = schedule("c1", "s1", 1);
    schedules.insert(gone);
    schedules.insert(schedule("c2", "s1", 1));
    insert_backup(tx, "b1", "c1", model::BackupState::kCompleted);
    gone.deleted_at = at(5);
    gone.next_at.reset();
    schedules.update(gone);
    EXPECT_FALSE(schedules.find("c1"));
    EXPECT_EQ(schedules.list({.service_id = "s1"}).size(), 1u);
    EXPECT_EQ(schedules.list({.service_id = "s1", .include_deleted = true}).size(), 2u);
    EXPECT_EQ(schedules.list({.team_ids = std::vector<std::int64_t>{8}}).size(), 0u);
    schedules.remove_forgotten("s1");
    EXPECT_EQ(schedules.list({.include_deleted = true}).size(), 2u) << "its backup is still there";
    Backups(tx).remove("b1");
    schedules.remove_forgotten("s1");
    EXPECT_EQ(schedules.list({.include_deleted = true}).size(), 1u);
    Services(tx).remove("s1");
    EXPECT_TRUE(schedules.list({.include_deleted = true}).empty()) << "they go with their service";
  });
}

TEST_P(SchedulesTest, OnlyWhatCanRunIsDue) {
  add_team(7);
  const auto server = write([&](Transaction& tx) {
    for (const auto* id : {"s1", "paused", "deleting", "unknown"}) {
      auto made = service(id);
      if (made.id == "paused") made.pause = true;
      if (made.id == "deleting") made.delete_requested_at = at(0);
      if (made.id == "unknown") made.status.state = model::ServiceState::kUnknown;
      Services(tx).insert(made);
    }
    Schedules schedules(tx);
    schedules.insert(schedule("late", "s1", 1));
    schedules.insert(schedule("later", "s1", 2));
    schedules.insert(schedule("open", "s1", 1));
    schedules.insert(schedule("over", "s1", 3));
    schedules.insert(schedule("early", "s1", 100));
    for (const auto* id : {"paused", "deleting", "unknown"}) schedules.insert(schedule(id, id, 1));
    auto off = schedule("off", "s1", 1);
    off.next_at.reset();
    schedules.insert(off);
    insert_backup(tx, "b1", "open", model::BackupState::kRunning);
    insert_backup(tx, "b2", "over", model::BackupState::kFailed);
    return 0;
  });
  EXPECT_EQ(server, 0);
  const auto epoch = drive();
  EXPECT_EQ(due(50, epoch), (Ids{"late", "later", "over"}));
  EXPECT_EQ(due(50, epoch, 1), (Ids{"late"}));
  EXPECT_EQ(due(50, epoch + 1), Ids{}) << "another server's";
  EXPECT_EQ(due(0, epoch), Ids{});
}

TEST_P(SchedulesTest, EveryTeamHasItsTurn) {
  add_team(7);
  add_team(8);
  write([&](Transaction& tx) {
    Services(tx).insert(service("s1", 7));
    Services(tx).insert(service("s2", 8));
    for (int i = 0; i < 9; ++i) Schedules(tx).insert(schedule("a" + std::to_string(i), "s1", i, 7));
    Schedules(tx).insert(schedule("b", "s2", 20, 8));
  });
  EXPECT_EQ(due(50, drive(), 3), (Ids{"a0", "b", "a1"}));
}

TEST_P(SchedulesTest, ALookAtTenThousandIsShort) {
  add_team(7);
  write([&](Transaction& tx) {
    for (int s = 0; s < 100; ++s) Services(tx).insert(service("s" + std::to_string(s)));
    for (int i = 0; i < 10'000; ++i) {
      Schedules(tx).insert(schedule("c" + std::to_string(i), "s" + std::to_string(i % 100), i));
    }
  });
  const auto server = drive();
  EXPECT_EQ(due(9, server).size(), 10u);
  const auto took = [&](int now) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(due(now, server, 64).size(), 64u);
    return std::chrono::steady_clock::now() - begin;
  };
  // Built to find mistakes, on a machine that has other things to do: what is measured here is far above what users
  // see.
  EXPECT_LT(took(100), std::chrono::milliseconds(100));
  EXPECT_LT(took(10'000), std::chrono::milliseconds(500)) << "even if all are late at once";
}

}  // namespace
}  // namespace backstay::metadata

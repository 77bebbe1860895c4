// Schedules over a simulated month.
#include <algorithm>

#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "metadata/backups.h"
#include "metadata/teams.h"
#include "model/schedule.h"

namespace backstay::control {
namespace {

using std::chrono::hours;
using testing::ControlWorld;

void live(ControlWorld& world, core::Duration time) {
  const auto end = world.clock.now() + time;
  while (world.clock.now() < end) {
    world.settle();
    world.clock.advance(hours(1));
  }
}

/// When scheduled backups were entered, oldest first.
std::vector<core::Timestamp> runs(ControlWorld& world, const std::string& id) {
  std::vector<core::Timestamp> times;
  for (const auto& backup :
       world.database->read([&](auto& tx) { return metadata::Backups(tx).list({.service_id = id}); })) {
    if (backup.origin == model::BackupOrigin::kScheduled) times.push_back(backup.scheduled_at);
  }
  std::ranges::reverse(times);
  return times;
}

CreateServiceRequest kept_for_long(const ControlWorld& world, const std::string& name) {
  auto request = world.create_request(name);
  request.backups = world.backups_request();
  request.backups->retention_days = 365;
  return request;
}

TEST(BackupScheduleTest, AMonthHasABackupEachDayAtTheServicesOwnTime) {
  ControlWorld world;
  const auto begin = world.clock.now();
  const auto id = world.commands->create_service(kept_for_long(world, "orders"), world.admin).service.id;
  live(world, hours(24 * 30));
  const auto times = runs(world, id);
  ASSERT_GE(times.size(), 30u);
  EXPECT_LE(times.size(), 32u);
  EXPECT_EQ(times.front(), begin) << "the first at once";
  const auto own = model::spread(id, hours(24));
  for (std::size_t i = 1; i < times.size(); ++i) {
    EXPECT_LE(times[i] - times[i - 1], hours(25)) << i << ": an interval and the time between two looks";
    if (i < 3) continue;
    EXPECT_LT((times[i].time_since_epoch() - own) % hours(24), hours(1)) << i;
  }
}

TEST(BackupScheduleTest, AWeekWithoutTheServerIsCaughtUpByOneRun) {
  ControlWorld world;
  const auto id = world.commands->create_service(kept_for_long(world, "orders"), world.admin).service.id;
  live(world, hours(24 * 3));
  const auto before = runs(world, id).size();
  world.clock.advance(hours(24 * 7));
  world.settle();
  EXPECT_EQ(runs(world, id).size(), before + 1);
  live(world, hours(4));
  EXPECT_EQ(runs(world, id).size(), before + 1);
}

TEST(BackupScheduleTest, ManyServicesThatAreLateDoNotFillTheQueue) {
  ControlWorld world;
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i) {
    ids.push_back(
        world.commands->create_service(kept_for_long(world, "s" + std::to_string(i)), world.admin).service.id);
  }
  world.settle();
  for (const auto& id : ids) EXPECT_EQ(runs(world, id).size(), 1u) << "the first at once";
  world.clock.advance(hours(24 * 7));
  for (int i = 0; i < 5; ++i) world.tick();
  OperationFilter all;
  all.limit = 0;
  const auto waiting = world.queries->operations(all, world.admin);
  EXPECT_EQ(std::ranges::count_if(
                waiting,
                [](const auto& it) { return it.kind == kinds::kBackup && it.state == model::OperationState::kQueued; }),
            16);
  // What was looked at without room has its next look a moment later.
  for (int i = 0; i < 4; ++i) {
    world.settle();
    world.clock.advance(std::chrono::minutes(2));
  }
  for (const auto& id : ids) EXPECT_EQ(runs(world, id).size(), 2u);
}

/// Late services of one team, and one of another team that is late with them.
class CrowdedScheduleTest : public ::testing::Test {
 protected:
  CrowdedScheduleTest() {
    const auto other = world_.database->write([&](auto& tx) {
      return metadata::Teams(tx).insert({.name = "other", .slug = "other", .created_at = world_.clock.now()});
    });
    for (int i = 0; i < 20; ++i) crowd_.push_back(make("s" + std::to_string(i), world_.team_id));
    alone_ = make("alone", other.id);
    world_.settle();
  }
  std::string make(const std::string& name, std::int64_t team) {
    auto request = kept_for_long(world_, name);
    request.team_id = team;
    return world_.commands->create_service(request, world_.admin).service.id;
  }

  ControlWorld world_;
  std::vector<std::string> crowd_;
  std::string alone_;
};

TEST_F(CrowdedScheduleTest, BackupsThatAreAskedForByHandHoldUpNobodysSchedule) {
  world_.clock.advance(hours(24 * 7));
  for (int i = 0; i < 20; ++i) world_.commands->schedule_backup(crowd_.front(), world_.admin);
  for (int i = 0; i < 5; ++i) world_.tick();
  EXPECT_EQ(runs(world_, alone_).size(), 2u);
  const auto entered = std::ranges::count_if(crowd_.begin() + 1, crowd_.end(),
                                             [&](const auto& id) { return runs(world_, id).size() == 2; });
  EXPECT_GE(entered, 15) << "nor that of its own team";
}

TEST_F(CrowdedScheduleTest, ATeamWhoseServicesAreAllLateLeavesOthersTheirTurn) {
  world_.clock.advance(hours(24 * 7));
  for (int i = 0; i < 5; ++i) world_.tick();
  EXPECT_EQ(runs(world_, alone_).size(), 2u);
}

TEST_F(CrowdedScheduleTest, BackupsThatABackendNeverEndsHoldUpNobody) {
  world_.provider->on_call([](const std::string& what, WorkContext&) {
    if (what == "take_backup") throw core::Error(core::Code::kNotYet, "the backend is taking the backup");
  });
  world_.clock.advance(hours(24 * 7));
  for (int i = 0; i < 4; ++i) {
    world_.settle();
    world_.clock.advance(std::chrono::minutes(2));
  }
  for (const auto& id : crowd_) EXPECT_EQ(runs(world_, id).size(), 2u);
  EXPECT_EQ(runs(world_, alone_).size(), 2u);
}

TEST(BackupScheduleTest, SwitchedOffBackupsStayListedAndNoneIsTaken) {
  ControlWorld world;
  const auto id = world.make_service(true).id;
  live(world, hours(24 * 3));
  const auto before = world.queries->service(id, world.admin).backups.size();
  UpdateServiceRequest off;
  off.backups.emplace().enabled = false;
  world.commands->update_service(id, off, world.admin);
  live(world, hours(24 * 20));
  EXPECT_EQ(world.queries->service(id, world.admin).backups.size(), before) << "nothing newer comes, so nothing goes";
}

}  // namespace
}  // namespace backstay::control

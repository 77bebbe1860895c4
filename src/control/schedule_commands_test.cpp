#include "control/schedule_commands.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "control/idempotency.h"
#include "control/testing/control_world.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/schedules.h"
#include "metadata/teams.h"

namespace backstay::control {
namespace {

using core::Code;

class ScheduleCommandsTest : public ::testing::Test {
 protected:
  ScheduleCommandsTest() : service_(world_.make_service(true)) {}

  CreateScheduleRequest nightly() {
    return {.service_id = service_.id, .cron = "0 2 * * *", .time_zone = "Europe/Berlin", .retention_count = 7};
  }
  model::BackupSchedule make(const CreateScheduleRequest& request) {
    return world_.schedule_commands->create(request, world_.admin).schedule;
  }
  std::vector<ScheduleView> list(const std::string& service_id = "") {
    return world_.schedule_commands->schedules(service_id, {}, world_.admin);
  }
  /// "<code> <pointers>" of the refusal.
  template <typename Call>
  std::string refusal(Call&& call) {
    try {
      call();
    } catch (const core::Error& error) {
      std::string text(core::code_name(error.code()));
      for (const auto& field : error.fields()) text += " " + field.pointer;
      return text;
    }
    return "nothing was refused";
  }
  std::string refused(const CreateScheduleRequest& request) {
    return refusal([&] { make(request); });
  }
  std::vector<model::Backup> backups_of(const std::string& schedule_id) {
    auto found =
        world_.database->read([&](auto& tx) { return metadata::Backups(tx).list({.service_id = service_.id}); });
    std::erase_if(found, [&](const auto& backup) { return backup.schedule_id != schedule_id; });
    return found;
  }

  testing::ControlWorld world_;
  model::Service service_;
};

TEST_F(ScheduleCommandsTest, TellsTheNextFiveRuns) {
  const auto view = world_.schedule_commands->create(nightly(), world_.admin);
  EXPECT_EQ(view.schedule.name, "0 2 * * * Europe/Berlin");
  EXPECT_EQ(view.waits_for, "");
  ASSERT_EQ(view.next_runs.size(), 5u);
  EXPECT_EQ(core::format_time(view.next_runs[0]), "2026-01-01T01:00:00Z");
  EXPECT_EQ(core::format_time(view.next_runs[4]), "2026-01-05T01:00:00Z");
  EXPECT_EQ(world_.events(service_.id).back(), "schedule.created");
  EXPECT_EQ(list(service_.id).size(), 1u);
}

TEST_F(ScheduleCommandsTest, RefusesWhatIsNoScheduleAndNamesEveryField) {
  EXPECT_EQ(refused({.service_id = service_.id}), "invalid_argument /cron");
  auto request = nightly();
  request.cron = "0 0 31 2 *";
  request.time_zone = "Mars/Olympus";
  request.retention_count = 0;
  request.retention_days = -1;
  request.name = "a\nb";
  EXPECT_EQ(refused(request), "invalid_argument /name /cron /timeZone /retentionCount /retentionDays");
  request = nightly();
  request.interval_hours = 6;
  EXPECT_EQ(refused(request), "invalid_argument /intervalH /timeZone");
  EXPECT_EQ(refused({.service_id = service_.id, .interval_hours = 0}), "invalid_argument /intervalH");
  request = nightly();
  request.service_id = "00000000-0000-0000-0000-000000000000";
  EXPECT_EQ(refused(request), "not_found /serviceId");
  request = nightly();
  request.destination_id = "nowhere";
  EXPECT_NE(refused(request).find("/destinationId"), std::string::npos) << refused(request);
  EXPECT_TRUE(list().empty());
}

TEST_F(ScheduleCommandsTest, NeedsAServiceThatIsBackedUp) {
  UpdateServiceRequest off;
  off.backups.emplace().enabled = false;
  world_.commands->update_service(service_.id, off, world_.admin);
  world_.settle();
  EXPECT_EQ(refused(nightly()), "conflict");
  EXPECT_TRUE(list().empty());
}

TEST_F(ScheduleCommandsTest, WhatIsNotItsRunsChangesWhileBackupsAreOff) {
  const auto id = make(nightly()).id;
  UpdateServiceRequest off;
  off.backups.emplace().enabled = false;
  world_.commands->update_service(service_.id, off, world_.admin);
  world_.settle();
  auto& commands = *world_.schedule_commands;
  EXPECT_EQ(refusal([&] { commands.update(id, {.cron = "@daily"}, world_.admin); }), "conflict");
  EXPECT_EQ(commands.update(id, {.retention_count = std::optional(std::int64_t{3})}, world_.admin).schedule.keep.count,
            3);
  EXPECT_FALSE(commands.update(id, {.enabled = false}, world_.admin).schedule.enabled);
  EXPECT_EQ(refusal([&] { commands.update(id, {.enabled = true}, world_.admin); }), "conflict");
}

TEST_F(ScheduleCommandsTest, BelongsToTheTeamOfItsService) {
  const auto schedule = make(nightly());
  const auto other = world_.database->write([&](auto& tx) {
    return metadata::Teams(tx).insert({.name = "other", .slug = "other", .created_at = world_.clock.now()});
  });
  Principal stranger;
  stranger.may_read = stranger.may_write = stranger.may_delete = true;
  stranger.team_ids = {other.id};
  auto& commands = *world_.schedule_commands;
  EXPECT_EQ(refusal([&] { commands.create(nightly(), stranger); }), "not_found /serviceId");
  EXPECT_EQ(refusal([&] { commands.schedule(schedule.id, stranger); }), "not_found");
  EXPECT_EQ(refusal([&] { commands.update(schedule.id, {}, stranger); }), "not_found");
  EXPECT_EQ(refusal([&] { commands.run(schedule.id, stranger); }), "not_found");
  EXPECT_EQ(refusal([&] { commands.remove(schedule.id, stranger); }), "not_found");
  EXPECT_EQ(commands.schedules("", {}, stranger).size(), 0u);
  Principal reader = stranger;
  reader.team_ids = {world_.team_id};
  reader.may_write = reader.may_delete = false;
  EXPECT_EQ(commands.schedules("", world_.team_id, reader).size(), 1u);
  EXPECT_EQ(commands.schedules("", other.id, world_.admin).size(), 0u);
  EXPECT_EQ(refusal([&] { commands.run(schedule.id, reader); }), "forbidden");
  EXPECT_EQ(refusal([&] { commands.remove(schedule.id, reader); }), "forbidden");
}

TEST_F(ScheduleCommandsTest, AChangeOfItsTimeCountsFromNow) {
  const auto id = make(nightly()).id;
  world_.clock.advance(std::chrono::hours(30));
  auto& commands = *world_.schedule_commands;
  auto view =
      commands.update(id, {.interval_hours = 6, .retention_days = std::optional(std::int64_t{30})}, world_.admin);
  EXPECT_EQ(view.schedule.cron, "");
  EXPECT_EQ(view.schedule.name, "every 6 h") << "its name was only its time";
  EXPECT_EQ(view.schedule.keep, (model::KeepRule{.count = 7, .days = 30}));
  EXPECT_EQ(core::format_time(view.next_runs[0]), "2026-01-02T12:00:00Z");
  view = commands.update(id, {.name = "often", .retention_count = std::optional<std::int64_t>()}, world_.admin);
  EXPECT_EQ(view.schedule.keep, (model::KeepRule{.count = 0, .days = 30}));
  EXPECT_EQ(core::format_time(view.next_runs[0]), "2026-01-02T12:00:00Z") << "that changed nothing of its time";
  view = commands.update(id, {.enabled = false}, world_.admin);
  EXPECT_TRUE(view.next_runs.empty());
  world_.clock.advance(std::chrono::hours(100));
  world_.settle();
  EXPECT_TRUE(backups_of(id).empty());
  view = commands.update(id, {.cron = "@daily", .enabled = true}, world_.admin);
  EXPECT_EQ(view.schedule.name, "often");
  EXPECT_EQ(core::format_time(view.next_runs[0]), "2026-01-07T00:00:00Z") << "what was missed is not caught up";
  EXPECT_EQ(refusal([&] { commands.update(id, {.cron = "@daily", .interval_hours = 1}, world_.admin); }),
            "invalid_argument /intervalH");
  EXPECT_EQ(world_.count_events(service_.id, "schedule.changed"), 4u);
  EXPECT_EQ(commands.update(id, {.name = "often"}, world_.admin).schedule.generation, view.schedule.generation);
  EXPECT_EQ(world_.count_events(service_.id, "schedule.changed"), 4u) << "nothing changed";
}

TEST_F(ScheduleCommandsTest, AChangeMayNameTheGenerationThatItHasSeen) {
  const auto schedule = make(nightly());
  auto& commands = *world_.schedule_commands;
  auto principal = world_.admin;
  principal.terms = std::make_shared<const RequestTerms>(
      RequestTerms{.generations = std::set<std::int64_t>{schedule.generation}, .key = {}});
  commands.update(schedule.id, {.name = "first"}, principal);
  EXPECT_EQ(refusal([&] { commands.update(schedule.id, {.name = "second"}, principal); }), "precondition_failed");
  EXPECT_EQ(refusal([&] { commands.remove(schedule.id, principal); }), "precondition_failed");
  EXPECT_EQ(commands.schedule(schedule.id, world_.admin).schedule.name, "first");
}

TEST_F(ScheduleCommandsTest, ARunNowIsABackupOfTheSchedule) {
  const auto id = make(nightly()).id;
  const auto next = world_.schedule_commands->schedule(id, world_.admin).next_runs;
  const auto backup = world_.schedule_commands->run(id, world_.admin);
  EXPECT_EQ(backup.schedule_id, id);
  EXPECT_EQ(backup.origin, model::BackupOrigin::kManual);
  auto view = world_.schedule_commands->schedule(id, world_.admin);
  EXPECT_EQ(view.schedule.last_backup_id, backup.id);
  EXPECT_EQ(view.schedule.last_outcome, model::RunOutcome::kRunning);
  world_.settle();
  view = world_.schedule_commands->schedule(id, world_.admin);
  EXPECT_EQ(view.schedule.last_outcome, model::RunOutcome::kCompleted);
  EXPECT_EQ(view.next_runs, next);
}

TEST_F(ScheduleCommandsTest, ADeletedOneLeavesItsBackupsToItsRule) {
  auto request = nightly();
  request.retention_days = 20;
  const auto id = make(request).id;
  world_.schedule_commands->run(id, world_.admin);
  world_.settle();
  auto& commands = *world_.schedule_commands;
  EXPECT_EQ(commands.remove(id, world_.admin, Effect::kDryRun).effects.size(), 1u);
  EXPECT_EQ(list().size(), 1u);
  EXPECT_EQ(commands.remove(id, world_.admin).effects[0],
            "the schedule '0 2 * * * Europe/Berlin' takes no more backups; those that it made stay for 20 days each");
  EXPECT_TRUE(list().empty());
  EXPECT_EQ(refusal([&] { commands.schedule(id, world_.admin); }), "not_found");
  EXPECT_EQ(refusal([&] { commands.remove(id, world_.admin); }), "not_found");
  const auto kept = [&] {
    return world_.database->read(
        [&](auto& tx) { return metadata::Schedules(tx).list({.include_deleted = true}).size(); });
  };
  for (int day = 0; day < 19; ++day) {
    world_.clock.advance(std::chrono::hours(24));
    world_.settle();
  }
  EXPECT_EQ(backups_of(id).size(), 1u) << "longer than the service's seven days";
  EXPECT_EQ(kept(), 1u);
  for (int day = 0; day < 12; ++day) {
    world_.clock.advance(std::chrono::hours(24));
    world_.settle();
  }
  EXPECT_TRUE(backups_of(id).empty());
  EXPECT_EQ(kept(), 0u) << "nothing speaks of it any more";
}

TEST_F(ScheduleCommandsTest, AServiceHasSoManyAtMost) {
  for (std::size_t i = 0; i < ScheduleCommands::kMostOfService; ++i) make(nightly());
  EXPECT_EQ(refused(nightly()), "conflict");
}

TEST(SchedulesOfOthersTest, TurnBackupsOnTogetherWithThemOrNotAtAll) {
  testing::ControlWorld world;
  const auto id = world.make_service().id;
  const auto place =
      world.commands
          ->create_destination(
              {.team_id = world.team_id,
               .name = "place",
               .config = {{"destinationPath", "s3://bucket/place"}, {"endpointUrl", "https://s3.example.org"}},
               .secrets = {{"accessKey", core::Secret("id")}, {"secretKey", core::Secret("key")}}},
              world.admin)
          .destination.id;
  CreateScheduleRequest wanted{.service_id = id, .destination_id = place, .cron = "@daily", .turn_backups_on = true};
  // Refused in the transaction that would have turned them on.
  const auto count = world.database->write([&](auto& tx) {
    metadata::Schedules schedules(tx);
    model::BackupSchedule filler{.team_id = world.team_id, .service_id = id, .cron = "@daily"};
    for (std::size_t i = 0; i < ScheduleCommands::kMostOfService; ++i) {
      filler.id = world.random.uuid();
      schedules.insert(filler);
    }
    return schedules.list({.service_id = id}).size();
  });
  ASSERT_EQ(count, ScheduleCommands::kMostOfService);
  EXPECT_THROW(world.schedule_commands->create(wanted, world.admin), core::Error);
  EXPECT_FALSE(world.service(id).backups.enabled);
  EXPECT_EQ(world.count_events(id, "backups.enabled"), 0U);

  const auto other = [&] {
    const auto made = world.commands->create_service(world.create_request("other"), world.admin).service.id;
    world.settle();
    return made;
  }();
  wanted.service_id = other;
  wanted.turn_backups_on = false;
  EXPECT_THROW(world.schedule_commands->create(wanted, world.admin), core::Error);
  wanted.turn_backups_on = true;
  const auto made = world.schedule_commands->create(wanted, world.admin).schedule;
  EXPECT_EQ(made.destination_id, place);
  EXPECT_TRUE(world.service(other).backups.enabled);
  EXPECT_EQ(world.service(other).backups.destination_id, place);
  EXPECT_EQ(world.count_events(other, "backups.enabled"), 1U);
}

}  // namespace
}  // namespace backstay::control

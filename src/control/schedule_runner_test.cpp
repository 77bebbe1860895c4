#include "control/schedule_runner.h"

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "control/testing/control_world.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/schedules.h"
#include "metadata/teams.h"

namespace backstay::control {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using testing::ControlWorld;

std::vector<model::Backup> all_backups(ControlWorld& world) {
  return world.database->read([](auto& tx) { return metadata::Backups(tx).list({}); });
}

/// When the runs of a schedule were entered, oldest first.
std::vector<std::string> runs(ControlWorld& world, const std::string& schedule_id) {
  std::vector<std::string> times;
  for (const auto& backup : all_backups(world)) {
    if (backup.schedule_id == schedule_id) times.push_back(core::format_time(backup.scheduled_at));
  }
  std::ranges::reverse(times);
  return times;
}

void live(ControlWorld& world, core::Duration time, core::Duration step = hours(1)) {
  const auto end = world.clock.now() + time;
  while (world.clock.now() < end) {
    world.clock.advance(step);
    world.settle();
  }
}

using Texts = std::vector<std::string>;

class ScheduleRunnerTest : public ::testing::Test {
 protected:
  ScheduleRunnerTest() : service_(world_.make_service(true)) {}
  std::string make(const std::string& cron) {
    return world_.schedule_commands->create({.service_id = service_.id, .cron = cron}, world_.admin).schedule.id;
  }

  ControlWorld world_;
  model::Service service_;
};

TEST_F(ScheduleRunnerTest, RunsWhenItIsDueBesideTheServicesOwnInterval) {
  const auto often = make("0 */6 * * *");
  const auto daily = make("30 12 * * *");
  live(world_, hours(24), minutes(30));
  EXPECT_EQ(runs(world_, often),
            (Texts{"2026-01-01T06:00:00Z", "2026-01-01T12:00:00Z", "2026-01-01T18:00:00Z", "2026-01-02T00:00:00Z"}));
  EXPECT_EQ(runs(world_, daily), (Texts{"2026-01-01T12:30:00Z"}));
  EXPECT_GE(runs(world_, "").size(), 1u);
  const auto backups = all_backups(world_);
  EXPECT_TRUE(std::ranges::all_of(backups, [](const auto& one) { return one.confirmed_at.has_value(); }));
  EXPECT_TRUE(
      std::ranges::all_of(backups, [](const auto& one) { return one.origin == model::BackupOrigin::kScheduled; }));
}

TEST_F(ScheduleRunnerTest, TheServicesOwnIntervalDoesNotCountWhatSchedulesTake) {
  make("@hourly");
  live(world_, hours(24 * 2));
  EXPECT_GE(runs(world_, "").size(), 2u);
}

TEST_F(ScheduleRunnerTest, WhatWasMissedIsCaughtUpByOneRun) {
  const auto id = make("@hourly");
  world_.clock.advance(hours(24 * 3) + minutes(10));
  world_.settle();
  world_.settle();
  EXPECT_EQ(runs(world_, id), (Texts{"2026-01-04T00:10:00Z"}));
  EXPECT_EQ(world_.count_events(service_.id, "schedule.caught_up"), 1u);
  live(world_, minutes(50), minutes(50));
  EXPECT_EQ(runs(world_, id).size(), 2u);
  EXPECT_EQ(world_.count_events(service_.id, "schedule.caught_up"), 1u);
}

TEST_F(ScheduleRunnerTest, ARunThatTakesLongHoldsUpTheNextOne) {
  const auto id = make("@hourly");
  bool slow = true;
  world_.provider->on_call([&](const std::string& what, WorkContext&) {
    if (what == "take_backup" && slow) throw core::Error(core::Code::kNotYet, "it is being taken");
  });
  live(world_, hours(4));
  EXPECT_EQ(runs(world_, id).size(), 1u);
  slow = false;
  live(world_, hours(1));
  EXPECT_EQ(runs(world_, id).size(), 2u);
}

TEST_F(ScheduleRunnerTest, ARunThatFailedIsTriedAgainWithinAnHour) {
  const auto id = make("0 12 1 * *");
  live(world_, hours(11));
  // Any that falls into this hour: the service's own daily one may as well.
  bool damaged = true;
  world_.provider->on_call([&](const std::string& what, WorkContext&) {
    if (damaged && what == "take_backup") throw core::Error(core::Code::kCorruptData, "a page is damaged");
  });
  live(world_, hours(1));
  damaged = false;
  auto schedule = world_.schedule_commands->schedule(id, world_.admin);
  EXPECT_EQ(schedule.schedule.last_outcome, model::RunOutcome::kFailed);
  EXPECT_EQ(core::format_time(schedule.next_runs[0]), "2026-01-01T13:00:00Z");
  EXPECT_EQ(core::format_time(schedule.next_runs[1]), "2026-02-01T12:00:00Z");
  live(world_, hours(1));
  schedule = world_.schedule_commands->schedule(id, world_.admin);
  EXPECT_EQ(schedule.schedule.last_outcome, model::RunOutcome::kCompleted);
  EXPECT_EQ(core::format_time(schedule.next_runs[0]), "2026-02-01T12:00:00Z");
}

TEST_F(ScheduleRunnerTest, OneThatIsCancelledIsNotTriedAgain) {
  const auto id = make("0 12 1 * *");
  world_.provider->on_call([&](const std::string& what, WorkContext&) {
    if (what == "take_backup") throw core::Error(core::Code::kNotYet, "it is being taken");
  });
  live(world_, hours(12));
  ASSERT_EQ(runs(world_, id).size(), 1u);
  for (const auto& operation :
       world_.queries->operations(OperationFilter{.service_id = service_.id, .team_id = {}}, world_.admin)) {
    if (!model::is_terminal(operation.state)) world_.commands->cancel_operation(operation.id, world_.admin);
  }
  live(world_, hours(3));
  EXPECT_EQ(runs(world_, id).size(), 1u);
  EXPECT_EQ(world_.schedule_commands->schedule(id, world_.admin).schedule.last_outcome, model::RunOutcome::kFailed);
}

TEST_F(ScheduleRunnerTest, APausedServiceIsCaughtUpWhenItRunsAgain) {
  const auto id = make("@hourly");
  UpdateServiceRequest change;
  change.pause = true;
  world_.commands->update_service(service_.id, change, world_.admin);
  live(world_, hours(5));
  EXPECT_TRUE(runs(world_, id).empty());
  EXPECT_EQ(world_.schedule_commands->schedule(id, world_.admin).waits_for, "the service is paused");
  change.pause = false;
  world_.commands->update_service(service_.id, change, world_.admin);
  world_.settle();
  EXPECT_EQ(runs(world_, id).size(), 1u);
}

TEST_F(ScheduleRunnerTest, WithoutBackupsNothingIsTakenAndNothingCaughtUp) {
  const auto id = make("@hourly");
  UpdateServiceRequest change;
  change.backups.emplace().enabled = false;
  world_.commands->update_service(service_.id, change, world_.admin);
  live(world_, hours(5));
  EXPECT_TRUE(runs(world_, id).empty());
  EXPECT_EQ(world_.schedule_commands->schedule(id, world_.admin).waits_for, "backups of the service are off");
  change.backups->enabled = true;
  world_.commands->update_service(service_.id, change, world_.admin);
  world_.settle();
  EXPECT_TRUE(runs(world_, id).empty());
  live(world_, hours(1));
  EXPECT_EQ(runs(world_, id).size(), 1u);
}

TEST_F(ScheduleRunnerTest, ADeletionStopsItAndUndeletingBringsItBack) {
  const auto id = make("@hourly");
  world_.commands->delete_service(service_.id, FinalBackup::kRequired, world_.admin);
  live(world_, hours(5));
  EXPECT_TRUE(runs(world_, id).empty());
  auto view = world_.schedule_commands->schedule(id, world_.admin);
  EXPECT_EQ(view.waits_for, "the service is deleted");
  EXPECT_TRUE(view.next_runs.empty());
  world_.commands->undelete_service(service_.id, world_.admin);
  live(world_, hours(2));
  EXPECT_EQ(runs(world_, id).size(), 2u);
  EXPECT_EQ(world_.schedule_commands->schedule(id, world_.admin).waits_for, "");
}

TEST_F(ScheduleRunnerTest, AZoneThatLeftTheMachineHoldsUpNobodyElse) {
  const auto id = make("@hourly");
  const auto other = make("@hourly");
  world_.database->write([&](auto& tx) {
    auto schedule = *metadata::Schedules(tx).find(id);
    schedule.time_zone = "Europe/Atlantis";
    metadata::Schedules(tx).update(schedule);
  });
  live(world_, hours(2));
  EXPECT_EQ(runs(world_, other).size(), 2u);
  EXPECT_TRUE(runs(world_, id).empty());
  EXPECT_EQ(world_.schedule_commands->schedule(id, world_.admin).waits_for, "there is no time zone 'Europe/Atlantis'");
}

TEST_F(ScheduleRunnerTest, GoesWhereItIsSentAndItsCountHoldsInAllPlaces) {
  const auto elsewhere =
      world_.commands
          ->create_destination(
              {.team_id = world_.team_id,
               .name = "elsewhere",
               .config = {{"destinationPath", "s3://bucket/elsewhere"}, {"endpointUrl", "https://s3.example.org"}},
               .secrets = {{"accessKey", core::Secret("id")}, {"secretKey", core::Secret("key")}}},
              world_.admin)
          .destination.id;
  auto& commands = *world_.schedule_commands;
  const auto id =
      commands
          .create({.service_id = service_.id, .destination_id = elsewhere, .cron = "@hourly", .retention_count = 3},
                  world_.admin)
          .schedule.id;
  const auto places = [&] {
    std::vector<std::string> seen;
    for (const auto& backup : all_backups(world_)) {
      if (backup.schedule_id != id || backup.state != model::BackupState::kCompleted) continue;
      seen.push_back(backup.destination_id == elsewhere ? "elsewhere" : "first");
    }
    return seen;
  };
  live(world_, hours(5));
  EXPECT_EQ(places(), (Texts{"elsewhere", "elsewhere", "elsewhere"}));
  EXPECT_THROW(world_.commands->delete_destination(elsewhere, world_.admin), core::Error);
  commands.update(id, {.destination_id = std::optional<std::string>()}, world_.admin);
  live(world_, hours(2));
  EXPECT_EQ(places(), (Texts{"first", "first", "elsewhere"}));
}

TEST(ScheduleRunnerTeamsTest, ATeamWhoseSchedulesAreAllLateLeavesOthersTheirTurn) {
  ControlWorld world;
  const auto other = world.database->write([&](auto& tx) {
    return metadata::Teams(tx).insert({.name = "other", .slug = "other", .created_at = world.clock.now()});
  });
  const auto make = [&](const std::string& name, std::int64_t team) {
    auto request = world.create_request(name);
    request.team_id = team;
    request.backups = world.backups_request();
    const auto id = world.commands->create_service(request, world.admin).service.id;
    return world.schedule_commands->create({.service_id = id, .cron = "@hourly"}, world.admin).schedule.id;
  };
  std::vector<std::string> crowd;
  for (int i = 0; i < 30; ++i) crowd.push_back(make("s" + std::to_string(i), world.team_id));
  const auto alone = make("alone", other.id);
  world.settle();
  world.clock.advance(hours(2));
  world.schedules->tick();
  EXPECT_EQ(runs(world, alone).size(), 1u);
  const auto entered = std::ranges::count_if(crowd, [&](const auto& id) { return !runs(world, id).empty(); });
  EXPECT_LE(entered, 16) << "no more than wait at once";
  EXPECT_GE(entered, 15);
  world.settle();
  for (const auto& id : crowd) EXPECT_EQ(runs(world, id).size(), 1u) << "all have had their turn";
}

/// A month of three schedules with restarts in between, beside what somebody reckons who knows only the calendar.
class MonthOfSchedulesTest : public ::testing::Test {
 protected:
  struct Kept {
    std::string schedule;
    core::Timestamp time;
    friend auto operator<=>(const Kept&, const Kept&) = default;
  };

  MonthOfSchedulesTest() {
    world_ = std::make_unique<ControlWorld>(directory_.path());
    world_->clock.advance(core::parse_time("2026-03-10T00:30:00Z") - world_->clock.now());
    auto request = world_->create_request();
    request.backups = world_->backups_request();
    request.backups->interval_hours = 730;
    // Which says at which time of the interval its own backups come: the second together with a weekly one.
    request.id = "d10b7053-84b4-4c16-90d8-a10bc966a47e";
    service_ = world_->commands->create_service(request, world_->admin).service.id;
    world_->settle();
    make("often", {.cron = "0 */4 * * *", .retention_count = 6});
    make("daily", {.cron = "0 2 * * *", .time_zone = "Europe/Berlin", .retention_count = 5});
    make("weekly", {.cron = "@weekly", .time_zone = "America/New_York", .retention_days = 10});
    looked_at_ = world_->clock.now();
  }
  void make(const std::string& name, CreateScheduleRequest request) {
    request.service_id = service_;
    request.name = name;
    names_[world_->schedule_commands->create(request, world_->admin).schedule.id] = name;
  }
  /// Whether a run of the schedule falls on this full hour.
  static bool falls_on(const std::string& name, core::Timestamp hour) {
    if (name == "often") return hour.time_since_epoch() % hours(4) == hours(0);
    const auto text = core::format_time(hour);
    // Clocks are put forward on 29 March in Berlin, where 02:00 does not exist that day; in New York they were on 8
    // March.
    if (name == "daily") return text.ends_with(text < "2026-03-30" ? "T01:00:00Z" : "T00:00:00Z");
    return text.ends_with("T04:00:00Z") && (hour - core::parse_time("2026-03-15T04:00:00Z")) % hours(168) == hours(0);
  }
  /// The server was there again at this time, for the first time since the last look.
  void expect_runs() {
    const auto now = world_->clock.now();
    for (const auto& [id, name] : names_) {
      bool due = false;
      for (auto hour = std::chrono::floor<hours>(looked_at_) + hours(1); hour <= now; hour += hours(1)) {
        due = due || falls_on(name, hour);
      }
      if (due) expected_.insert({name, now});
    }
    looked_at_ = now;
  }
  std::set<Kept> seen() {
    std::set<Kept> kept;
    for (const auto& backup : all_backups(*world_)) {
      if (backup.state != model::BackupState::kCompleted) continue;
      kept.insert({backup.schedule_id.empty() ? "own" : names_.at(backup.schedule_id), backup.scheduled_at});
    }
    return kept;
  }
  /// What is left of what was there by each one's rule, and by the window of seven days.
  void expect_retention() {
    const auto now = world_->clock.now();
    std::map<std::string, std::vector<core::Timestamp>> by_name;
    std::vector<core::Timestamp> old;
    for (const auto& [name, time] : expected_) {
      by_name[name].push_back(time);
      if (time <= now - hours(168)) old.push_back(time);
    }
    const auto newest_own = by_name["own"].back();
    const auto begin = std::min(old.empty() ? now : *std::ranges::max_element(old), newest_own);
    const auto at_begin = std::ranges::count(expected_, begin, &Kept::time);
    // Of those that were taken at once the window needs one: the newest of the service's own, which stays anyway.
    const auto begins_window = [&](const Kept& kept) {
      return kept.time == begin && (at_begin == 1 || (kept.schedule == "own") == (begin == newest_own));
    };
    std::erase_if(expected_, [&](const Kept& kept) {
      const auto& times = by_name[kept.schedule];
      const auto newer = std::ranges::count_if(times, [&](auto time) { return time > kept.time; });
      const bool stays = begins_window(kept) || (kept.schedule == "often" && newer < 6) ||
                         (kept.schedule == "daily" && newer < 5) ||
                         (kept.schedule == "weekly" && kept.time > now - hours(240)) ||
                         (kept.schedule == "own" && (newer == 0 || kept.time > now - hours(168)));
      return !stays;
    });
  }
  /// What the service took by its own interval is taken as it is seen: that has its own tests.
  void note_own(const std::set<Kept>& all) {
    for (const auto& kept : all) {
      if (kept.schedule == "own") expected_.insert(kept);
    }
  }
  static std::string in_words(const std::set<Kept>& all) {
    std::string text;
    for (const auto& kept : all) text += kept.schedule + " " + core::format_time(kept.time) + "\n";
    return text;
  }
  /// To the next hour at which anything may be due.
  void go_on() {
    const auto now = world_->clock.now();
    auto next = std::chrono::floor<hours>(now) + hours(1);
    while (next.time_since_epoch() % hours(4) != hours(0) && next.time_since_epoch() % hours(24) != hours(1)) {
      next += hours(1);
    }
    world_->clock.advance(next - now);
  }
  void restart_after(core::Duration away) {
    const auto then = world_->clock.now() + away;
    const auto provider = world_->provider;
    world_.reset();
    world_ = std::make_unique<ControlWorld>(directory_.path(), provider);
    world_->clock.advance(then - world_->clock.now());
  }

  class Directory {
   public:
    Directory() { std::filesystem::create_directories(path_); }
    ~Directory() {
      std::error_code ignored;
      std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

   private:
    core::SystemRandom random_;
    std::filesystem::path path_ = std::filesystem::temp_directory_path() / ("backstay-month-" + random_.token(12));
  };

  Directory directory_;
  std::unique_ptr<ControlWorld> world_;
  std::string service_;
  std::map<std::string, std::string> names_;
  std::set<Kept> expected_;
  core::Timestamp looked_at_{};
};

TEST_F(MonthOfSchedulesTest, IsAsTheCalendarSays) {
  const auto end = core::parse_time("2026-04-10T00:00:00Z");
  // After so many looks the server stops, and is away for so many hours.
  const std::map<int, int> away{{6, 0}, {23, 3}, {60, 1}, {90, 30}, {137, 9}, {150, 0}, {190, 2}};
  for (int look = 0; world_->clock.now() < end; ++look) {
    go_on();
    world_->settle();
    const auto before = expected_.size();
    const auto all = seen();
    note_own(all);
    expect_runs();
    // The rule is applied when a backup was confirmed.
    if (expected_.size() > before) expect_retention();
    ASSERT_TRUE(all == expected_) << core::format_time(world_->clock.now()) << "\n"
                                  << in_words(all) << "instead of\n"
                                  << in_words(expected_);
    if (const auto found = away.find(look); found != away.end()) restart_after(hours(found->second));
  }
}

}  // namespace
}  // namespace backstay::control

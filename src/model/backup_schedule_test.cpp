#include "model/backup_schedule.h"

#include <gtest/gtest.h>

namespace backstay::model {
namespace {

core::Timestamp at(std::string_view text) { return core::parse_time(text); }

std::vector<std::string> texts(const std::vector<core::Timestamp>& times) {
  std::vector<std::string> result;
  for (const auto time : times) result.push_back(core::format_time(time));
  return result;
}

TEST(BackupScheduleModelTest, AnIntervalIsCountedFromItsBeginning) {
  BackupSchedule schedule{.interval_h = 6, .counted_from = at("2026-04-10T12:30:00Z")};
  EXPECT_EQ(next_run(schedule, at("2026-04-10T12:30:00Z")), at("2026-04-10T18:30:00Z")) << "the first after one";
  EXPECT_EQ(next_run(schedule, at("2026-04-12T01:00:00Z")), at("2026-04-12T06:30:00Z"));
  EXPECT_EQ(next_run(schedule, at("2026-04-01T00:00:00Z")), at("2026-04-10T18:30:00Z")) << "a clock that went back";
}

TEST(BackupScheduleModelTest, NextRunsBeginWithTheOneThatIsDue) {
  BackupSchedule schedule{.cron = "0 2 * * *", .time_zone = "Europe/Berlin"};
  const auto now = at("2026-04-10T12:30:00Z");
  EXPECT_TRUE(next_runs(schedule, now, 5).empty()) << "nothing is due";
  schedule.next_at = at("2026-04-09T00:00:00Z");
  EXPECT_EQ(texts(next_runs(schedule, now, 3)),
            (std::vector<std::string>{"2026-04-09T00:00:00Z", "2026-04-11T00:00:00Z", "2026-04-12T00:00:00Z"}))
      << "what was missed is caught up once";
  schedule.enabled = false;
  EXPECT_TRUE(next_runs(schedule, now, 3).empty());
}

}  // namespace
}  // namespace backstay::model

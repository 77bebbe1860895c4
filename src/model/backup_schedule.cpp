#include "model/backup_schedule.h"

#include <algorithm>

#include "model/cron.h"
#include "model/words.h"

namespace backstay::model {
namespace {

constexpr Words<RunOutcome, 4> kOutcomes{{{RunOutcome::kNone, ""},
                                          {RunOutcome::kRunning, "running"},
                                          {RunOutcome::kCompleted, "completed"},
                                          {RunOutcome::kFailed, "failed"}}};

core::Timestamp next_of_interval(const BackupSchedule& schedule, core::Timestamp after) {
  const core::Duration interval = std::chrono::hours(schedule.interval_h);
  const auto passed = std::max<std::int64_t>(0, (after - schedule.counted_from) / interval);
  return schedule.counted_from + interval * (passed + 1);
}

}  // namespace

std::string_view to_text(RunOutcome outcome) { return word_of(kOutcomes, outcome); }
RunOutcome run_outcome_from_text(std::string_view text) { return value_of(kOutcomes, text, "the outcome"); }

core::Timestamp next_run(const BackupSchedule& schedule, core::Timestamp after) {
  if (schedule.cron.empty()) return next_of_interval(schedule, after);
  return Cron::parse(schedule.cron).next(after, TimeZone::find(schedule.time_zone));
}

std::vector<core::Timestamp> next_runs(const BackupSchedule& schedule, core::Timestamp now, std::size_t count) {
  if (!schedule.enabled || schedule.deleted_at || !schedule.next_at) return {};
  std::vector<core::Timestamp> runs{*schedule.next_at};
  while (runs.size() < count) runs.push_back(next_run(schedule, std::max(runs.back(), now)));
  return runs;
}

}  // namespace backstay::model

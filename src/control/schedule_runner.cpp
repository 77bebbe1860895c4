#include "control/schedule_runner.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "metadata/schedules.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

/// So that a tick stays short. What is left has its turn with the next one.
constexpr std::size_t kAtOnce = 64;
/// A schedule whose next run cannot be told is looked at again then.
constexpr auto kAgain = std::chrono::hours(1);

/// Nothing if that cannot be told any more: its zone has left the machine's database.
std::optional<core::Timestamp> next_of(const model::BackupSchedule& schedule, core::Timestamp now) {
  try {
    return model::next_run(schedule, now);
  } catch (const core::Error& error) {
    core::log_error("schedule.unreadable", error.message(), {{"schedule", schedule.id}});
    return std::nullopt;
  }
}

}  // namespace

void ScheduleRunner::tick() {
  const auto now = deps_.clock.now();
  const bool any = database_.read([&](auto& tx) {
    const auto due = metadata::Schedules(tx).due(server_, now, kAtOnce);
    return std::ranges::any_of(due, [&](const auto& schedule) { return has_room(tx, schedule.team_id); });
  });
  if (!any) return;
  const bool entered = database_.write([&](auto& tx) {
    bool entered_any = false;
    for (const auto& schedule : metadata::Schedules(tx).due(server_, now, kAtOnce)) {
      if (run(tx, schedule, now)) entered_any = true;
    }
    return entered_any;
  });
  if (entered) deps_.queue.ring();
}

bool ScheduleRunner::run(metadata::Transaction& tx, const model::BackupSchedule& schedule, core::Timestamp now) {
  metadata::Schedules schedules(tx);
  const auto next = next_of(schedule, now);
  const auto service = metadata::Services(tx).require(schedule.service_id);
  if (!next || !service.backups.enabled) {
    schedules.set_next(schedule.id, next.value_or(now + kAgain));
    return false;
  }
  if (!has_room(tx, schedule.team_id)) return false;
  const auto backup = schedule_backup(deps_, tx, service,
                                      {.origin = model::BackupOrigin::kScheduled,
                                       .mechanism = schedule.mechanism,
                                       .destination_id = schedule.destination_id,
                                       .schedule_id = schedule.id})
                          .first;
  schedules.set_next(schedule.id, *next);
  if (const auto missed = model::next_run(schedule, *schedule.next_at); missed <= now) {
    deps_.events.record(
        tx, service, events::kScheduleCaughtUp,
        fmt::format("the schedule '{}' was to run at {} and more than once since; this one backup makes "
                    "up for all of that",
                    schedule.name, core::format_time(*schedule.next_at)),
        {{"schedule.id", schedule.id}, {"backup.id", backup.id}});
  }
  return true;
}

}  // namespace backstay::control

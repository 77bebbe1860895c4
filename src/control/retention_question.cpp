#include "control/retention_question.h"

#include <algorithm>

#include <fmt/format.h>

#include "control/instance_records.h"
#include "control/operation_queue.h"
#include "metadata/backups.h"
#include "metadata/destinations.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/schedules.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

bool is_open(metadata::Transaction& tx, const std::string& service_id, std::string_view kind) {
  metadata::OperationFilter open;
  open.service_id = service_id;
  open.kind = kind;
  open.open_only = true;
  return !metadata::Operations(tx).list(open).empty();
}

/// Whoever reads the backups now, or has nothing else yet to be recovered from.
std::string holder_of(metadata::Transaction& tx, const model::Service& service) {
  if (is_open(tx, service.id, kinds::kUndelete)) return "the service is being brought back from it";
  for (const auto& other : metadata::Services(tx).list_recovered_from(service.id)) {
    if (other.delete_requested_at) continue;
    if (is_open(tx, other.id, kinds::kRecover)) {
      return fmt::format("the service '{}' is being recovered from it", other.name);
    }
    // One that was never made rests on nothing.
    const bool made = !other.status.instance_id.empty();
    if (made && other.backups.enabled && !metadata::Backups(tx).last_confirmed_at(other.id)) {
      return fmt::format("the service '{}' was recovered from it and has no confirmed backup yet", other.name);
    }
  }
  return {};
}

/// An attempt that is over although something of it may have been left behind.
bool has_ended(const model::Backup& backup) {
  const bool goes = backup.state == model::BackupState::kDeleting && !backup.stored_at;
  return goes || backup.state == model::BackupState::kFailed;
}

model::RetainedBackup retained(const model::Backup& backup) {
  model::RetainedBackup result;
  result.id = backup.id;
  result.instance_id = backup.instance_id;
  result.mechanism = backup.mechanism;
  result.state = backup.state;
  result.stored = backup.stored_at.has_value();
  result.confirmed = model::is_sound(backup);
  result.pinned = backup.pinned;
  result.expires_at = backup.expires_at;
  result.counts = backup.origin == model::BackupOrigin::kScheduled && backup.schedule_id.empty();
  result.schedule_id = backup.schedule_id;
  result.stands_alone = backup.stands_alone;
  result.timeline = backup.timeline;
  result.start_lsn = backup.start_lsn;
  result.stop_lsn = backup.stop_lsn;
  for (const auto& stamp : {backup.taken_at, backup.stored_at}) {
    if (stamp) result.stamps.push_back(*stamp);
  }
  if (result.stamps.empty()) result.stamps.push_back(backup.initiated_at.value_or(backup.scheduled_at));
  return result;
}

bool is_good(const model::Backup& backup) {
  return model::is_sound(backup) && backup.state == model::BackupState::kCompleted;
}

/// The rule of the schedule that made it, deleted or not.
void add_rule(model::RetainedBackup& result, const model::Backup& backup, const std::vector<model::Backup>& all,
              const std::vector<model::BackupSchedule>& schedules) {
  const auto schedule = std::ranges::find(schedules, backup.schedule_id, &model::BackupSchedule::id);
  if (schedule == schedules.end()) return;
  result.keep = schedule->keep;
  result.newer_elsewhere = static_cast<std::size_t>(std::ranges::count_if(all, [&](const auto& other) {
    return other.schedule_id == backup.schedule_id && other.destination_id != backup.destination_id &&
           other.scheduled_at > backup.scheduled_at && is_good(other);
  }));
}

/// What is the same for every place.
model::RetentionQuestion question_of(const model::Service& service, core::Timestamp now) {
  model::RetentionQuestion question;
  question.now = {now};
  question.enabled = service.backups.enabled;
  question.retention_days = service.backups.retention_days;
  question.keep_at_least = model::keep_at_least(service.backups.retention_days, service.backups.interval_h);
  question.deleted = service.deleted_at.has_value();
  question.expires_at = service.expires_at;
  return question;
}

bool is_of(const model::Instance& instance, const RetentionCase& place) {
  const bool has_backups = std::ranges::any_of(place.question.backups,
                                               [&](const auto& backup) { return backup.instance_id == instance.id; });
  return has_backups || (instance.destination_id == place.destination_id && instance.served_from);
}

/// What may be switched back to is not over, however long ago it served.
std::optional<core::Timestamp> needed_until(const model::Instance& instance, core::Timestamp now) {
  const bool kept = instance.state == model::InstanceState::kStopped && instance.kept_until && instance.served_until;
  return kept ? std::max(*instance.served_until, now) : instance.served_until;
}

RetentionCase case_at(metadata::Transaction& tx, const model::Service& service, const std::string& place,
                      const std::vector<model::Backup>& backups, core::Timestamp now) {
  RetentionCase made{.destination_id = place, .question = question_of(service, now), .ended = {}};
  const auto schedules = metadata::Schedules(tx).list({.service_id = service.id, .include_deleted = true});
  for (const auto& backup : backups) {
    if (backup.destination_id != place) continue;
    made.question.backups.push_back(retained(backup));
    add_rule(made.question.backups.back(), backup, backups, schedules);
    if (has_ended(backup)) made.ended.insert(backup.id);
  }
  const std::string holder = holder_of(tx, service);
  for (const auto& instance : instances_as_served(tx, service.id)) {
    if (!is_of(instance, made)) continue;
    made.question.instances.push_back({.id = instance.id,
                                       .continuous = archives_continuously(instance, place, backups),
                                       .served_until = needed_until(instance, now),
                                       .held_by = holder});
  }
  return made;
}

bool is_lost(metadata::Transaction& tx, const std::string& place) {
  const auto found = metadata::Destinations(tx).find(place);
  return found && found->lost_at;
}

/// Which of the places the service has left, and from when on the present one covers them.
void note_left(metadata::Transaction& tx, const model::Service& service, std::vector<RetentionCase>& cases) {
  std::set<std::string> used{service.backups.destination_id};
  for (const auto& schedule : metadata::Schedules(tx).list({.service_id = service.id})) {
    if (schedule.enabled) used.insert(schedule.destination_id);
  }
  const auto present = std::ranges::find(cases, service.backups.destination_id, &RetentionCase::destination_id);
  if (present == cases.end()) return;
  const bool covered = std::ranges::any_of(present->question.backups, [&](const auto& backup) {
    return backup.instance_id == service.status.instance_id && backup.confirmed && !backup.stands_alone &&
           backup.state == model::BackupState::kCompleted && backup.mechanism == model::BackupMechanism::kPhysical;
  });
  for (auto& place : cases) {
    place.question.covered_elsewhere = covered && service.backups.enabled && &place != &*present;
    // What was only ever sent there by hand or by a schedule did not move away with the service.
    const bool was_first = std::ranges::any_of(place.question.instances, &model::RetainedInstance::continuous);
    if (!was_first || used.contains(place.destination_id)) continue;
    place.question.covered_since = model::covered_since(present->question, place.question);
  }
}

}  // namespace

std::vector<RetentionCase> retention_cases(metadata::Transaction& tx, const model::Service& service,
                                           core::Timestamp now) {
  metadata::BackupFilter filter;
  filter.service_id = service.id;
  const auto backups = metadata::Backups(tx).list(filter);
  const auto instances = metadata::Instances(tx).list_of_service(service.id);
  std::set<std::string> places;
  for (const auto& backup : backups) places.insert(backup.destination_id);
  for (const auto& instance : instances) places.insert(instance.destination_id);
  places.erase("");
  std::erase_if(places, [&](const auto& place) { return is_lost(tx, place); });
  std::vector<RetentionCase> cases;
  for (const auto& place : places) cases.push_back(case_at(tx, service, place, backups, now));
  note_left(tx, service, cases);
  return cases;
}

RetentionCase retention_case_elsewhere(metadata::Transaction& tx, const model::Service& service, core::Timestamp now) {
  metadata::BackupFilter filter;
  filter.service_id = service.id;
  return case_at(tx, service, "", metadata::Backups(tx).list(filter), now);
}

std::set<std::string> ended_attempts(metadata::Transaction& tx, const std::string& destination_id) {
  metadata::BackupFilter filter;
  filter.destination_id = destination_id;
  std::set<std::string> ended;
  for (const auto& backup : metadata::Backups(tx).list(filter)) {
    if (has_ended(backup)) ended.insert(backup.id);
  }
  return ended;
}

}  // namespace backstay::control

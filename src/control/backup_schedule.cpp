#include "control/backup_schedule.h"

#include "metadata/backups.h"
#include "metadata/operations.h"
#include "metadata/schedules.h"
#include "metadata/waiting_backups.h"
#include "model/schedule.h"

namespace backstay::control {
namespace {

constexpr auto kBetweenSafetyBackups = std::chrono::minutes(10);
/// After a time without the server all services are late at once. More than so many would only stand in the queue, in
/// front of what owners ask for.
constexpr std::size_t kScheduledAtOnce = 16;

}  // namespace

model::Backup enter_backup(const ScheduleDependencies& deps, metadata::Transaction& tx, const model::Service& service,
                           const NewBackup& wanted) {
  model::Backup backup;
  backup.id = wanted.id.value_or(deps.random.uuid());
  backup.service_id = service.id;
  backup.team_id = service.team_id;
  backup.destination_id = wanted.destination_id.empty() ? service.backups.destination_id : wanted.destination_id;
  backup.stands_alone = !wanted.destination_id.empty() &&
                        (!service.backups.enabled || wanted.destination_id != service.backups.destination_id);
  backup.mechanism = wanted.mechanism;
  backup.origin = wanted.origin;
  backup.label = wanted.label;
  backup.labels = wanted.labels;
  backup.expires_at = wanted.expires_at;
  backup.pinned = wanted.pinned;
  backup.full_wanted = wanted.full;
  backup.schedule_id = wanted.schedule_id;
  backup.scheduled_at = deps.clock.now();
  backup.number = metadata::Backups(tx).insert(backup);
  if (!backup.schedule_id.empty()) metadata::Schedules(tx).note_run(backup.schedule_id, backup.id, backup.scheduled_at);
  deps.events.record(tx, service, events::kBackupScheduled,
                     fmt::format("a backup was scheduled ({})", model::to_text(wanted.origin)),
                     {{"backup.id", backup.id}});
  return backup;
}

std::pair<model::Backup, model::Operation> schedule_backup(const ScheduleDependencies& deps, metadata::Transaction& tx,
                                                           const model::Service& service, const NewBackup& wanted) {
  auto backup = enter_backup(deps, tx, service, wanted);
  auto operation = deps.queue.enqueue(tx, {.kind = std::string(kinds::kBackup),
                                           .team_id = service.team_id,
                                           .service_id = service.id,
                                           .lane = {},
                                           .request = {{"backupId", backup.id}},
                                           .secrets = {},
                                           .not_before = {}});
  return {std::move(backup), std::move(operation)};
}

bool has_room(metadata::Transaction& tx, std::int64_t team_id) {
  const auto waiting = metadata::count_waiting_scheduled(tx, team_id);
  return waiting.of_all < kScheduledAtOnce || waiting.of_team == 0;
}

bool has_open_backup(metadata::Transaction& tx, const std::string& service_id) {
  metadata::OperationFilter open;
  open.service_id = service_id;
  open.kind = kinds::kBackup;
  open.open_only = true;
  return !metadata::Operations(tx).list(open).empty();
}

bool safety_backup_due(metadata::Transaction& tx, const model::Service& service, core::Timestamp now) {
  if (!service.backups.enabled || has_open_backup(tx, service.id)) return false;
  const auto last = metadata::Backups(tx).last_of(service.id, model::BackupOrigin::kSafety);
  return !last || now - last->scheduled_at > kBetweenSafetyBackups;
}

bool scheduled_backup_due(metadata::Transaction& tx, const model::Service& service, core::Timestamp now) {
  if (!service.backups.enabled || !service.backups.enabled_at) return false;
  const auto last = metadata::Backups(tx).last_of(service.id, model::BackupOrigin::kScheduled);
  const model::LastRun run =
      last ? model::LastRun{last->scheduled_at, last->state == model::BackupState::kFailed} : model::LastRun{};
  const auto offset = model::spread(service.id, std::chrono::hours(service.backups.interval_h));
  if (model::next_run(service.backups.interval_h, offset, run, *service.backups.enabled_at) > now) return false;
  // The first one comes at once.
  return !has_open_backup(tx, service.id) && (!last || has_room(tx, service.team_id));
}

}  // namespace backstay::control

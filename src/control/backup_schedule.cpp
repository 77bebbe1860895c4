#include "control/backup_schedule.h"

#include "metadata/backups.h"
#include "metadata/operations.h"
#include "model/schedule.h"

namespace backstay::control {

std::pair<model::Backup, model::Operation> schedule_backup(const ScheduleDependencies& deps, metadata::Transaction& tx,
                                                           const model::Service& service, model::BackupOrigin origin) {
  model::Backup backup;
  backup.id = deps.random.uuid();
  backup.service_id = service.id;
  backup.team_id = service.team_id;
  backup.destination_id = service.backups.destination_id;
  backup.origin = origin;
  backup.scheduled_at = deps.clock.now();
  metadata::Backups(tx).insert(backup);
  auto operation = deps.queue.enqueue(tx, {.kind = std::string(kinds::kBackup),
                                           .team_id = service.team_id,
                                           .service_id = service.id,
                                           .lane = {},
                                           .request = {{"backupId", backup.id}},
                                           .secrets = {},
                                           .not_before = {}});
  deps.events.record(tx, service, events::kBackupScheduled,
                     fmt::format("a backup was scheduled ({})", model::to_text(origin)), {{"backup.id", backup.id}});
  return {std::move(backup), std::move(operation)};
}

bool has_open_backup(metadata::Transaction& tx, const std::string& service_id) {
  metadata::OperationFilter open;
  open.service_id = service_id;
  open.kind = kinds::kBackup;
  open.open_only = true;
  return !metadata::Operations(tx).list(open).empty();
}

bool scheduled_backup_due(metadata::Transaction& tx, const model::Service& service, core::Timestamp now) {
  if (!service.backups.enabled || !service.backups.enabled_at) return false;
  const auto last = metadata::Backups(tx).last_scheduled(service.id);
  if (model::next_run(service.backups.interval_h, last, *service.backups.enabled_at) > now) return false;
  return !has_open_backup(tx, service.id);
}

}  // namespace backstay::control

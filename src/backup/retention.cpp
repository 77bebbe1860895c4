#include "backup/retention.h"

namespace backstay::backup {

model::RetainedBackup as_retained(repository::Repository& repository, const repository::BackupRecord& record) {
  model::RetainedBackup backup;
  backup.id = record.backup;
  backup.instance_id = record.instance;
  backup.mechanism = model::backup_mechanism_from_text(record.mechanism);
  backup.confirmed = record.confirmed && record.problem.empty();
  backup.stamps = {record.stop_time};
  if (record.stored) backup.stamps.push_back(*record.stored);
  // The record is written anew with each fact; the manifest never is.
  const auto manifest = repository.store().head(repository::manifest_name(record.instance, record.backup).key);
  if (manifest) backup.stamps.push_back(manifest->modified);
  backup.timeline = record.timeline;
  backup.start_lsn = record.start_lsn;
  backup.stop_lsn = record.stop_lsn;
  return backup;
}

void add_to(repository::PruneRequest& request, const model::RetentionDecision& decision) {
  for (const model::BackupVerdict& verdict : decision.backups) {
    if (verdict.goes) request.backups.push_back({verdict.instance_id, verdict.backup_id, verdict.reason});
  }
  for (const model::WalVerdict& verdict : decision.wal) {
    repository::UnwantedWal wal{.instance = verdict.instance_id, .reason = verdict.reason};
    if (verdict.from) {
      wal.timeline = verdict.from->timeline;
      wal.lsn = verdict.from->lsn;
    }
    for (const model::WalStart& start : verdict.earlier) wal.earlier[start.timeline] = start.lsn;
    request.wal.push_back(std::move(wal));
  }
}

}  // namespace backstay::backup

#include "backup/retention.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace backstay::backup {
namespace {

/// The record is written anew with each fact; the manifest never is.
void add_store_stamp(repository::Repository& repository, model::RetainedBackup& backup) {
  for (const auto& stored : repository.attempts(backup.instance_id, backup.id)) {
    if (stored.manifest_size > 0) backup.stamps.push_back(stored.manifest_time);
  }
}

/// Stored no more, and not on its way out either.
bool is_gone(repository::Repository& repository, const model::RetainedBackup& backup,
             const repository::PruneReport& report) {
  if (!backup.stored) return true;
  return !report.backups_condemned.contains(backup.id) && repository.attempts(backup.instance_id, backup.id).empty();
}

bool is_empty(repository::Repository& repository, const std::string& instance) {
  bool empty = true;
  repository.store().list(fmt::format("{}{}/", repository::instances_prefix(), instance), "", [&](const auto&) {
    empty = false;
    return false;
  });
  return empty;
}

/// What a record says now weighs more than what was known of its backup: an object of it may be missing since.
void doubt_unsound(const repository::Repository& repository, model::RetentionQuestion& question) {
  std::set<std::string> instances;
  for (const auto& backup : question.backups) instances.insert(backup.instance_id);
  std::set<std::string> sound;
  for (const auto& instance : instances) {
    std::vector<repository::DamagedBackup> damaged;
    for (const auto& record : repository.backups(instance, &damaged)) {
      if (repository::is_sound(record)) sound.insert(record.backup);
    }
  }
  for (auto& backup : question.backups) backup.confirmed = backup.confirmed && sound.contains(backup.id);
}

}  // namespace

model::RetainedBackup as_retained(repository::Repository& repository, const repository::BackupRecord& record) {
  model::RetainedBackup backup;
  backup.id = record.backup;
  backup.instance_id = record.instance;
  backup.mechanism = model::backup_mechanism_from_text(record.mechanism);
  backup.confirmed = repository::is_sound(record);
  backup.stamps = {record.stop_time};
  if (record.stored) backup.stamps.push_back(*record.stored);
  add_store_stamp(repository, backup);
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

RetentionOutcome apply_retention(repository::Repository& repository, model::RetentionQuestion question,
                                 repository::PruneRequest options, std::stop_token stop,
                                 const RetentionListener& decided) {
  if (!options.dry_run) question.now.push_back(repository::store_time(repository));
  for (const model::RetainedInstance& instance : question.instances) options.only.insert(instance.id);
  for (model::RetainedBackup& backup : question.backups) {
    if (backup.stored) add_store_stamp(repository, backup);
  }
  doubt_unsound(repository, question);
  RetentionOutcome outcome;
  outcome.decision = model::decide_retention(question);
  if (decided) decided(question, outcome.decision);
  add_to(options, outcome.decision);
  if (outcome.decision.finished) options.instances = options.only;
  options.packs = false;
  if (!options.only.empty()) outcome.report = repository::prune(repository, options, std::move(stop));
  for (std::size_t i = 0; i < question.backups.size(); ++i) {
    const model::RetainedBackup& backup = question.backups[i];
    if (outcome.decision.backups[i].goes && is_gone(repository, backup, outcome.report)) outcome.gone.insert(backup.id);
  }
  outcome.empty =
      std::ranges::all_of(options.only, [&](const auto& instance) { return is_empty(repository, instance); });
  return outcome;
}

}  // namespace backstay::backup

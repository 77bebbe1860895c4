// A backup as an operation: taken and stored, then read back and confirmed. The four facts are written one by one.
#include "control/body_loader.h"
#include "control/operation_work.h"
#include "control/retention_schedule.h"
#include "control/service_operations.h"
#include "control/verification_schedule.h"
#include "core/text.h"
#include "metadata/backups.h"
#include "metadata/schedules.h"
#include "metadata/services.h"
#include "model/schedule.h"

namespace backstay::control {
namespace {

struct Loaded {
  model::Backup backup;
  ServiceBody body;
};

std::string backup_of(const model::Operation& operation) {
  return core::require_string(operation.request, "backupId", "/request");
}

Loaded load(const WorkDependencies& deps, const model::Operation& operation) {
  return deps.database.read([&](auto& tx) {
    auto backup = metadata::Backups(tx).require(backup_of(operation));
    const auto service = metadata::Services(tx).require(operation.service_id);
    // A repeated attempt goes on where the first one was.
    const std::string instance = backup.instance_id.empty() ? service.status.instance_id : backup.instance_id;
    if (instance.empty()) {
      throw core::Error(core::Code::kConflict, fmt::format("the service '{}' has no data yet", service.name))
          .with_hint("wait until the service is synchronized");
    }
    auto body = load_body(tx, service, instance);
    if (backup.stands_alone) {
      body.instance.destination_id = backup.destination_id;
      body.backups = load_target(tx, backup.destination_id, service.team_id);
    }
    return Loaded{std::move(backup), std::move(body)};
  });
}

/// Writes what became of the backup. What is asked of it while it is taken holds: its pin, its expiry and its labels.
void note_facts(metadata::Transaction& tx, model::Backup& backup) {
  metadata::Backups backups(tx);
  auto latest = backups.require(backup.id);
  backup.pinned = latest.pinned;
  backup.expires_at = latest.expires_at;
  backup.label = std::move(latest.label);
  backup.labels = std::move(latest.labels);
  backups.update(backup);
}

/// A job at a backend has six hours; one that is not known to have ended then will not.
constexpr auto kLongestBackup = std::chrono::hours(7);

/// Waiting for a backend has an end.
BackupOutcome take_in_time(const WorkDependencies& deps, StepContext& context, const Loaded& loaded) {
  const auto& [backup, body] = loaded;
  try {
    return deps.providers.of_kind(body.service.provider.kind).take_backup(body, backup, context);
  } catch (const core::Error& error) {
    const auto begun = backup.initiated_at.value_or(deps.clock.now());
    if (error.code() != core::Code::kNotYet || deps.clock.now() - begun < kLongestBackup) throw;
    throw core::Error(core::Code::kBackendRefused, fmt::format("it has not ended within {}: {}",
                                                               core::format_duration(kLongestBackup), error.message()))
        .with_hint("look at the backend or ask its operator, then take another backup");
  }
}

}  // namespace

void take_backup(const WorkDependencies& deps, StepContext& context) {
  auto loaded = load(deps, context.operation());
  auto& [backup, body] = loaded;
  if (backup.state == model::BackupState::kScheduled) {
    backup.state = model::BackupState::kRunning;
    backup.initiated_at = deps.clock.now();
    backup.instance_id = body.instance.id;
    backup.destination_id = body.instance.destination_id;
    deps.database.write([&](auto& tx) {
      note_facts(tx, backup);
      deps.events.record(tx, body.service, events::kBackupStarted, "a backup has begun", {{"backup.id", backup.id}});
    });
  }
  const auto outcome = take_in_time(deps, context, loaded);
  backup.taken_at = outcome.taken_at;
  backup.stored_at = outcome.stored_at;
  backup.start_lsn = outcome.start_lsn;
  backup.stop_lsn = outcome.stop_lsn;
  backup.timeline = outcome.timeline;
  backup.data_bytes = outcome.data_bytes;
  backup.stored_bytes = outcome.stored_bytes;
  backup.base_id = outcome.base_id;
  backup.read_bytes = outcome.read_bytes;
  backup.full_reason = outcome.full_reason;
  deps.database.write([&](auto& tx) {
    note_facts(tx, backup);
    deps.events.record(tx, body.service, events::kBackupStored,
                       fmt::format("the backup is in the store, {} of data in {}; reading it back comes next",
                                   core::format_bytes(backup.data_bytes), core::format_bytes(backup.stored_bytes)),
                       {{"backup.id", backup.id}});
    if (outcome.mismatch.empty()) return;
    deps.events.record(tx, body.service, events::kBackupBaseMismatch, outcome.mismatch, {{"backup.id", backup.id}});
  });
}

void confirm_backup(const WorkDependencies& deps, StepContext& context) {
  auto [backup, body] = load(deps, context.operation());
  deps.providers.of_kind(body.service.provider.kind).confirm_backup(body, backup, context);
  backup.confirmed_at = deps.clock.now();
  backup.state = model::BackupState::kCompleted;
  deps.database.write([&](auto& tx) {
    note_facts(tx, backup);
    metadata::Schedules(tx).set_outcome(backup.schedule_id, backup.id, model::RunOutcome::kCompleted);
    hurry_retention(tx, backup.service_id, deps.clock.now());
    hurry_verification(tx, backup.service_id, deps.clock.now());
    deps.events.record(tx, body.service, events::kBackupConfirmed,
                       "the backup was read back from the store and is whole", {{"backup.id", backup.id}});
  });
  context.result()["backupId"] = backup.id;
}

void note_backup_failed(const NoteDependencies& deps, metadata::Transaction& tx, const model::Operation& operation,
                        EventKind kind, const std::string& reason, const std::string& next_step) {
  auto backup = metadata::Backups(tx).require(backup_of(operation));
  backup.state = model::BackupState::kFailed;
  backup.error = reason;
  backup.next_step = next_step;
  metadata::Backups(tx).update(backup);
  metadata::Schedules(tx).set_outcome(backup.schedule_id, backup.id, model::RunOutcome::kFailed);
  const auto service = metadata::Services(tx).find(operation.service_id);
  if (!service) return;
  deps.events.record(tx, *service, kind, fmt::format("{}; earlier backups are untouched; {}", reason, next_step),
                     {{"backup.id", backup.id}});
}

OperationKind backup_kind(const WorkDependencies& deps) {
  OperationKind kind;
  kind.max_failures = 10;
  kind.steps = {{"take", [deps](StepContext& context) { take_backup(deps, context); }},
                {"confirm", [deps](StepContext& context) { confirm_backup(deps, context); }}};
  kind.on_failed = [deps](auto& tx, const auto& operation, const core::Error& error) {
    note_backup_failed({deps.events, deps.clock}, tx, operation, events::kBackupFailed,
                       "the backup failed: " + error.message(), error.hint());
    // A schedule that runs once a month must not wait for the next one because its store was away for an hour.
    const auto backup = metadata::Backups(tx).require(backup_of(operation));
    if (backup.origin != model::BackupOrigin::kScheduled) return;
    metadata::Schedules(tx).hurry(backup.schedule_id, deps.clock.now() + model::kRetryAfter);
  };
  kind.on_cancelled = [deps](auto& tx, const auto& operation) {
    note_cancelled({deps.events, deps.clock}, tx, operation);
  };
  return kind;
}

}  // namespace backstay::control

// Deleting a service: a final backup and the rest of its WAL first, where backups are on; then its data.
#include "control/former_instances.h"
#include "control/instance_records.h"
#include "control/operation_work.h"
#include "control/requests.h"
#include "control/retention_schedule.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/destinations.h"
#include "metadata/operations.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

constexpr auto kDay = std::chrono::hours(24);

FinalBackup final_backup_of(const model::Operation& operation) {
  const auto word = core::find_string(operation.request, "finalBackup");
  return word ? final_backup_from_text(*word) : FinalBackup::kSkip;
}

/// For so long a best effort waits for a backend that is not done.
constexpr auto kLongestEffort = std::chrono::hours(1);

/// As it is now: it may be asked for less while the work goes on.
FinalBackup wish_now(const WorkDependencies& deps, const StepContext& context) {
  const auto now =
      deps.database.read([&](auto& tx) { return metadata::Operations(tx).require(context.operation().id); });
  return final_backup_of(now);
}

/// A backup that was confirmed stays good whatever comes after it.
void give_up_final_backup(const WorkDependencies& deps, StepContext& context, const std::string& reason) {
  constexpr auto kNextStep = "the service is deleted all the same, as was asked for";
  const auto& operation = context.operation();
  deps.database.write([&](auto& tx) {
    const auto backup = metadata::Backups(tx).require(core::require_string(operation.request, "backupId", "/request"));
    if (backup.state == model::BackupState::kFailed) return;
    if (backup.state != model::BackupState::kCompleted) {
      note_backup_failed({deps.events, deps.clock}, tx, operation, events::kBackupFailed, reason, kNextStep);
      return;
    }
    deps.events.record(
        tx, metadata::Services(tx).require(operation.service_id), events::kBackupFailed,
        fmt::format("what was written after the final backup is not in the store: {}; {}", reason, kNextStep),
        {{"backup.id", backup.id}});
  });
}

/// Runs `work`, and lets the deletion go on without it where it is only wished for.
void as_wished(const WorkDependencies& deps, StepContext& context, const std::function<void()>& work) {
  const auto& operation = context.operation();
  if (!operation.request.contains("backupId")) return;
  if (wish_now(deps, context) == FinalBackup::kSkip) {
    give_up_final_backup(deps, context, "the final backup is not wanted any more");
    return;
  }
  try {
    work();
  } catch (const core::Error& error) {
    const bool waits = error.code() == core::Code::kNotYet &&
                       deps.clock.now() - operation.started_at.value_or(operation.created_at) < kLongestEffort;
    if (wish_now(deps, context) == FinalBackup::kRequired || waits || context.stop().stop_requested()) throw;
    give_up_final_backup(deps, context, "the final backup failed: " + error.message());
  }
}

void take_final_backup(const WorkDependencies& deps, StepContext& context) {
  as_wished(deps, context, [&] {
    const auto body = body_of(deps, context.operation());
    // It may be paused, or have died meanwhile.
    provider_of(deps, body).start(body, context);
    take_backup(deps, context);
    confirm_backup(deps, context);
  });
}

std::vector<model::Instance> kept_of(const WorkDependencies& deps, const StepContext& context) {
  return deps.database.read([&](auto& tx) { return kept_instances(tx, context.operation().service_id); });
}

/// What was written after the final backup is in the store too, before the data goes.
void archive_the_rest(const WorkDependencies& deps, StepContext& context) {
  as_wished(deps, context, [&] {
    const auto body = body_of(deps, context.operation());
    auto& provider = provider_of(deps, body);
    for (const auto& kept : kept_of(deps, context)) store_rest(deps, context, kept.id);
    provider.start(body, context);
    if (provider.pause(body, context)) return;
    throw core::Error(core::Code::kUnavailable, "the store does not take the last writes of the service")
        .with_hint("check the store and its network");
  });
}

/// The instance that serves, and those that are kept for switching back.
void destroy_all(const WorkDependencies& deps, StepContext& context) {
  const bool is_tended = deps.database.read([&](auto& tx) {
    metadata::OperationFilter open;
    open.service_id = context.operation().service_id;
    open.kind = kinds::kFormer;
    open.open_only = true;
    return !metadata::Operations(tx).list(open).empty();
  });
  if (is_tended) throw core::Error(core::Code::kNotYet, "an instance that served before is still being tended");
  for (const auto& kept : kept_of(deps, context)) destroy_instance(deps, context, kept.id);
  destroy_instance(deps, context);
}

/// Where its WAL went, or where a backup was begun.
bool left_something(metadata::Transaction& tx, const std::string& service_id,
                    const std::vector<model::Backup>& backups) {
  const auto has_repository = [&](const auto& object) {
    return metadata::Destinations(tx).repository_id(object.destination_id).has_value();
  };
  return std::ranges::any_of(archived_instances(tx, service_id), has_repository) ||
         std::ranges::any_of(backups, has_repository);
}

/// A record is kept for the backups that can still be recovered through it, for as long as was promised; without any,
/// until what was stored besides is removed.
void keep_record(metadata::Transaction& tx, model::Service& service, core::Timestamp now, bool any_stored = true) {
  const bool can_come_back = service.backups.enabled;
  if (!can_come_back) service.secrets.clear();
  service.deleted_at = now;
  service.expires_at =
      any_stored ? service.delete_requested_at.value_or(now) + service.backups.retention_days * kDay : now;
  metadata::Services(tx).update_desired(service);
  service.status.state = model::ServiceState::kDeleted;
  service.status.reason.clear();
  service.status.next_step = can_come_back
                                 ? "undelete it, or recover its backups into a new service, before its record expires"
                                 : "recover its backups into a new service before its record expires";
  service.status.details.clear();
  metadata::Services(tx).update_status(service.id, service.status, now);
  hurry_retention(tx, service.id, now);
}

void forget(const WorkDependencies& deps, StepContext& context) {
  deps.database.write([&](auto& tx) {
    auto service = metadata::Services(tx).find(context.operation().service_id);
    if (!service) return;  // an attempt before this one came to its end
    retire_instance(tx, instance_of(context.operation()), deps.clock.now());
    for (const auto& kept : kept_instances(tx, service->id)) retire_instance(tx, kept.id, deps.clock.now());
    deps.events.record(tx, *service, events::kServiceDeleted, "the service and its data are gone");
    metadata::BackupFilter filter;
    filter.service_id = service->id;
    const auto backups = metadata::Backups(tx).list(filter);
    const bool any_stored =
        std::ranges::any_of(backups, [](const auto& backup) { return backup.stored_at.has_value(); });
    if (any_stored || left_something(tx, service->id, backups)) {
      keep_record(tx, *service, deps.clock.now(), any_stored);
    } else {
      metadata::Services(tx).remove(service->id);
      forget_unused_destination(tx, service->backups.destination_id);
    }
  });
}

}  // namespace

bool can_weaken(const model::Operation& deletion, FinalBackup wish) {
  const bool data_is_there = deletion.step.empty() || deletion.step == "final-backup" || deletion.step == "archive";
  return data_is_there && wish > final_backup_of(deletion);
}

OperationKind delete_kind(const WorkDependencies& deps) {
  OperationKind kind;
  kind.max_failures = 10;
  kind.steps = {{"final-backup", [deps](StepContext& context) { take_final_backup(deps, context); }},
                {"archive", [deps](StepContext& context) { archive_the_rest(deps, context); }},
                {"destroy", [deps](StepContext& context) { destroy_all(deps, context); }},
                {"forget", [deps](StepContext& context) { forget(deps, context); }}};
  kind.on_failed = [deps](auto& tx, const auto& operation, const core::Error& error) {
    auto service = metadata::Services(tx).require(operation.service_id);
    const bool data_is_there = operation.step == "final-backup" || operation.step == "archive";
    if (operation.step == "final-backup") {
      note_backup_failed({deps.events, deps.clock}, tx, operation, events::kBackupFailed,
                         "the final backup failed: " + error.message(), error.hint());
    }
    service.status.reason = service.status.last_error =
        (data_is_there ? "the final backup failed, the data stays: " : "deleting failed: ") + error.message();
    service.status.next_step =
        data_is_there ? error.hint() + "; then delete it again, with finalBackup=skip to do without, or undelete it"
                      : error.hint() + ", then delete the service again";
    metadata::Services(tx).update_status(service.id, service.status, deps.clock.now());
    deps.events.record(tx, service, events::kServiceDeleteFailed,
                       fmt::format("{}; {}", service.status.reason, service.status.next_step));
  };
  return kind;
}

OperationKind undelete_kind(const WorkDependencies& deps) {
  OperationKind kind = recover_kind(deps);
  kind.on_failed = [deps](auto& tx, const auto& operation, const core::Error& error) {
    retire_instance(tx, instance_of(operation), deps.clock.now());
    auto service = metadata::Services(tx).require(operation.service_id);
    service.delete_requested_at =
        core::Timestamp(core::Duration(core::require_int(operation.request, "deleteRequestedAt")));
    const auto now = deps.clock.now();
    keep_record(tx, service, now);
    // Its time may have come meanwhile; who is told to try again has a day for it.
    service.expires_at = std::max(*service.expires_at, now + kDay);
    metadata::Services(tx).update_desired(service);
    deps.events.record(
        tx, service, events::kServiceUndeleteFailed,
        fmt::format("bringing the service back failed: {}; {}; its backups are untouched, undelete it again",
                    error.message(), error.hint()),
        {{"operation.id", operation.id}});
  };
  return kind;
}

}  // namespace backstay::control

// The work on services: create, recover, update, delete, restart, as steps.
#pragma once

#include <functional>
#include <string>

#include "control/dump_spool.h"
#include "control/event_log.h"
#include "control/operation_kind.h"
#include "control/operation_queue.h"
#include "control/ports.h"
#include "control/provider.h"
#include "control/provider_registry.h"
#include "control/requests.h"
#include "core/time.h"
#include "metadata/database.h"

namespace backstay::control {

/// What the steps need; all outlive them.
struct WorkDependencies {
  metadata::Database& database;
  const ProviderRegistry& providers;
  EventLog& events;
  core::Clock& clock;
  core::Random& random;
  PortRange ports;
  OperationQueue& operations;
  /// Ends what runs beside an instance and waits for its end: nothing is started beside it any more, until it is
  /// readmitted.
  std::function<void(const std::string& instance_id)> stop_companions;
  std::function<void(const std::string& instance_id)> readmit_companions;
  /// How long work that reads a backup may go on after the backup was to go.
  core::Duration removal_grace = std::chrono::hours(24);
  /// How long the data of an instance that was switched away from is kept.
  core::Duration rollback_grace = std::chrono::hours(24);
  /// Null: nothing is imported.
  DumpSpool* spool = nullptr;
  /// Users of instances; see CommandConfig. A restore that is verified has one of them while it lasts.
  std::uint32_t first_uid = 0;
  std::uint32_t last_uid = 0;
};

OperationKind create_kind(const WorkDependencies& deps);
OperationKind recover_kind(const WorkDependencies& deps);
OperationKind update_kind(const WorkDependencies& deps);
/// See delete_operation.cpp.
OperationKind delete_kind(const WorkDependencies& deps);
/// Whether an open deletion can still be done with less of a final backup than it was asked for.
bool can_weaken(const model::Operation& deletion, FinalBackup wish);
OperationKind undelete_kind(const WorkDependencies& deps);
OperationKind restart_kind(const WorkDependencies& deps);
/// See backup_operation.cpp.
OperationKind backup_kind(const WorkDependencies& deps);
/// See verify_operation.cpp.
OperationKind verify_kind(const WorkDependencies& deps);

/// See import_operation.cpp.
OperationKind import_kind(const WorkDependencies& deps);

/// See retention_operation.cpp.
OperationKind retention_kind(const WorkDependencies& deps);
OperationKind prune_kind(const WorkDependencies& deps);
/// A place that nobody named but a service goes with the last thing that needs it.
void forget_unused_destination(metadata::Transaction& tx, const std::string& id);

/// What the notes below need.
struct NoteDependencies {
  EventLog& events;
  core::Clock& clock;
};
/// What a cancelled operation leaves on its service or backup, in words.
void note_cancelled(const NoteDependencies& deps, metadata::Transaction& tx, const model::Operation& operation);
void note_backup_failed(const NoteDependencies& deps, metadata::Transaction& tx, const model::Operation& operation,
                        EventKind kind, const std::string& reason, const std::string& next_step);

/// The service points at the instance, which runs, or is paused, and is what was asked for.
void mark_synchronized(const WorkDependencies& deps, metadata::Transaction& tx, const ServiceBody& body);

/// What an operation waits for becomes the reason of its service's state. See waiting.cpp.
void note_waiting(const WorkDependencies& deps, metadata::Transaction& tx, const model::Operation& operation,
                  const core::Error& error);

/// In a recovery's request: what was recovered takes its original's place at once.
inline constexpr std::string_view kThenSwitch = "thenSwitch";

OperationKinds all_kinds(const WorkDependencies& deps);

/// A recovery's source and plan, as they travel in the operation's request and secrets.
void store_recovery(const BackupTarget& from, const RecoveryPlan& plan, core::json::object& request,
                    model::Secrets& secrets);
std::pair<BackupTarget, RecoveryPlan> load_recovery(const model::Operation& operation);

}  // namespace backstay::control

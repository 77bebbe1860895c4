// When a service gets its backups.
#pragma once

#include "control/event_log.h"
#include "control/operation_queue.h"
#include "core/random.h"
#include "core/time.h"
#include "metadata/database.h"
#include "model/backup.h"
#include "model/service.h"

namespace backstay::control {

/// What scheduling needs; all outlive the call.
struct ScheduleDependencies {
  OperationQueue& queue;
  EventLog& events;
  core::Clock& clock;
  core::Random& random;
};

/// A backup that is to be taken.
struct NewBackup {
  model::BackupOrigin origin = model::BackupOrigin::kManual;
  /// Nothing: a new one.
  std::optional<std::string> id{};
  model::BackupMechanism mechanism = model::BackupMechanism::kPhysical;
  /// A destination of the service's team (Admission::resolve_destination finds it). Empty: the service's first.
  std::string destination_id{};
  std::string label{};
  model::Labels labels{};
  std::optional<core::Timestamp> expires_at{};
  bool pinned = false;
  bool full = false;
  /// The schedule that it is taken for.
  std::string schedule_id{};
};

/// Enters a backup; the operation that takes it is the caller's.
model::Backup enter_backup(const ScheduleDependencies& deps, metadata::Transaction& tx, const model::Service& service,
                           const NewBackup& wanted);

/// Enters a backup and the operation that takes it; ring the queue after the commit.
std::pair<model::Backup, model::Operation> schedule_backup(const ScheduleDependencies& deps, metadata::Transaction& tx,
                                                           const model::Service& service, const NewBackup& wanted);

/// True if one more scheduled backup of the team may be entered: not many wait. What owners ask for, and what has
/// begun, does not count; and every team has its turn however many wait of another.
bool has_room(metadata::Transaction& tx, std::int64_t team_id);

/// True if a backup of the service is queued or running.
bool has_open_backup(metadata::Transaction& tx, const std::string& service_id);

/// True if a backup that ends a gap in the archive may begin: none is queued or running, and the last such one was not
/// a moment ago.
bool safety_backup_due(metadata::Transaction& tx, const model::Service& service, core::Timestamp now);

/// True if the service's next scheduled backup is due, none is queued or running, and not many of others are.
bool scheduled_backup_due(metadata::Transaction& tx, const model::Service& service, core::Timestamp now);

}  // namespace backstay::control

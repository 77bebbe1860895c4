// Enters the backups of schedules whose time has come.
#pragma once

#include <cstdint>

#include "control/backup_schedule.h"
#include "metadata/database.h"
#include "model/backup_schedule.h"

namespace backstay::control {

/// For one thread. Looks at the services that the server drives; what it knows is in the state, so a restart loses
/// nothing, and the next run is written together with the backup, so that none is entered twice. Runs that were missed
/// are caught up by one.
class ScheduleRunner {
 public:
  /// All outlive it.
  ScheduleRunner(metadata::Database& database, ScheduleDependencies dependencies, std::int64_t server)
      : database_(database), deps_(dependencies), server_(server) {}
  void tick();

 private:
  /// True if a backup was entered.
  bool run(metadata::Transaction& tx, const model::BackupSchedule& schedule, core::Timestamp now);

  metadata::Database& database_;
  ScheduleDependencies deps_;
  const std::int64_t server_;
};

}  // namespace backstay::control

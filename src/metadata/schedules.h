// Backup schedules in the state store, and which of them are due.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "metadata/database.h"
#include "model/backup_schedule.h"

namespace backstay::metadata {

struct ScheduleFilter {
  /// Empty: any.
  std::string service_id{};
  /// Nothing: every team.
  std::optional<std::vector<std::int64_t>> team_ids{};
  /// Those too that were deleted and whose backups are still there.
  bool include_deleted = false;
};

class Schedules {
 public:
  explicit Schedules(Transaction& tx) : tx_(tx) {}
  void insert(const model::BackupSchedule& schedule);
  /// A deleted one is not there.
  std::optional<model::BackupSchedule> find(const std::string& id);
  /// By creation.
  std::vector<model::BackupSchedule> list(const ScheduleFilter& filter);
  /// Writes all but id, team, service, creation, and what is said of the last run.
  void update(const model::BackupSchedule& schedule);
  /// A run has begun with this backup.
  void note_run(const std::string& id, const std::string& backup_id, core::Timestamp at);
  /// What became of a run, if it is still the last one.
  void set_outcome(const std::string& id, const std::string& backup_id, model::RunOutcome outcome);
  void set_next(const std::string& id, core::Timestamp next);
  /// The next run comes at `time` if it would come later.
  void hurry(const std::string& id, core::Timestamp time);
  /// Removes those of the service that are deleted and have no backups any more.
  void remove_forgotten(const std::string& service_id);

  /// Enabled ones whose time has come, of services that the server drives, that are neither paused nor being deleted
  /// nor away, and whose last run is over; at most `limit`, those that wait for longest first, of each team in turn.
  std::vector<model::BackupSchedule> due(std::int64_t server, core::Timestamp now, std::size_t limit);

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata

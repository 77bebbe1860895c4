// Backups in the state store.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "metadata/database.h"
#include "model/backup.h"

namespace backstay::metadata {

struct BackupFilter {
  /// Empty: any.
  std::string service_id{};
  std::string destination_id{};
  /// Nothing: every team.
  std::optional<std::vector<std::int64_t>> team_ids{};
  bool include_deleted = false;
  /// Backups after this one in the list's order; empty for the beginning.
  std::string after_id{};
  /// 0 for all.
  std::size_t limit = 0;
};

class Backups {
 public:
  explicit Backups(Transaction& tx) : tx_(tx) {}
  /// Returns the number that it was given.
  std::int64_t insert(const model::Backup& backup);
  std::optional<model::Backup> find(const std::string& id);
  std::optional<model::Backup> find_number(std::int64_t number);
  /// Throws Error(not_found).
  model::Backup require(const std::string& id);
  /// All of these services that are not deleted, by service, the newest first.
  std::map<std::string, std::vector<model::Backup>> list_of(const std::vector<std::string>& service_ids);
  /// Newest first by scheduled_at.
  std::vector<model::Backup> list(const BackupFilter& filter);
  /// Writes everything but id, number, service, team, mechanism, origin, schedule and scheduled_at. Throws
  /// Error(conflict) for a state that model::may_change does not allow.
  void update(const model::Backup& backup);
  /// The backups of the instance, and those that never came to one, are another service's from now on.
  void move(const std::string& from_service, const std::string& instance_id, const std::string& to_service);
  /// Only those of the instance.
  void move_taken(const std::string& from_service, const std::string& instance_id, const std::string& to_service);
  /// Missing is fine.
  void remove(const std::string& id);
  /// The service's last backup of this origin, whatever became of it; those of schedules do not count.
  std::optional<model::Backup> last_of(const std::string& service_id, model::BackupOrigin origin);
  /// The physical one that was last seen to work, and in which nothing was found since; and the newest one that was
  /// looked at, whatever was found. Still there.
  std::optional<model::Backup> last_verified(const std::string& service_id);
  std::optional<model::Backup> last_tried(const std::string& service_id);
  /// When the newest one that is confirmed and still there was read back.
  std::optional<core::Timestamp> last_confirmed_at(const std::string& service_id);

 private:
  Transaction& tx_;
};

}  // namespace backstay::metadata

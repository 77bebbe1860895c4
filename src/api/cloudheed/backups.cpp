#include "api/cloudheed/backups.h"

#include "api/cloudheed/call.h"
#include "control/tier_rules.h"

namespace backstay::api::cloudheed {

namespace json = core::json;
using model::Backup;
using model::BackupState;

namespace {

/// When it goes by itself; nothing for one that stays until its deletion is asked for, and where no time says it.
std::optional<core::Timestamp> expiry_of(const Backup& backup, std::int64_t retention_days) {
  if (backup.pinned) return std::nullopt;
  if (backup.expires_at) return backup.expires_at;
  // Its schedule decides, by the number of newer ones or by days.
  if (!backup.schedule_id.empty()) return std::nullopt;
  return backup.scheduled_at + std::chrono::days(retention_days);
}

}  // namespace

json::object backup_schema() {
  const auto text = text_schema();
  return object_schema(
      {{"id", text},
       {"database_id", text},
       {"instance_id", text},
       {"name", text},
       {"type", {{"type", "string"}, {"enum", json::array{"automatic", "manual"}}}},
       {"status", {{"type", "string"}, {"enum", json::array{"pending", "in_progress", "completed", "failed"}}}},
       {"size_bytes", {{"type", "integer"}}},
       {"created_at", text},
       {"started_at", nullable("string")},
       {"completed_at", nullable("string")},
       {"expires_at", nullable("string")},
       {"error", text}},
      {"id", "database_id", "instance_id", "type", "status", "size_bytes", "created_at", "started_at", "completed_at",
       "expires_at"});
}

std::string_view backup_status(const Backup& backup) {
  switch (backup.state) {
    case BackupState::kScheduled: return "pending";
    case BackupState::kRunning: return "in_progress";
    case BackupState::kCompleted: return "completed";
    case BackupState::kFailed:
    case BackupState::kDeleting:
    case BackupState::kDeleted:
    case BackupState::kLost: break;
  }
  return "failed";
}

json::object backup_object(const Backup& backup, std::int64_t retention_days) {
  const bool manual = control::is_owners(backup);
  const auto database = id_text(kDatabaseId, backup.service_id);
  json::object object{{"id", id_text(kBackupId, backup.id)},
                      {"database_id", database},
                      {"instance_id", database},
                      {"type", manual ? "manual" : "automatic"},
                      {"status", backup_status(backup)},
                      {"size_bytes", backup.data_bytes},
                      {"created_at", time_value(backup.scheduled_at)},
                      {"started_at", time_value(backup.initiated_at)},
                      {"completed_at", time_value(backup.confirmed_at)},
                      {"expires_at", time_value(expiry_of(backup, retention_days))}};
  if (!backup.label.empty()) object["name"] = backup.label;
  if (!backup.error.empty()) object["error"] = backup.error;
  return object;
}

}  // namespace backstay::api::cloudheed

#include "api/guidewire/backup_resource.h"

#include <chrono>

#include "api/guidewire/planets.h"
#include "control/tier_rules.h"

namespace backstay::api::guidewire {
namespace {

namespace json = core::json;
using model::BackupState;

json::value time_text(const std::optional<core::Timestamp>& time) {
  if (!time) return nullptr;
  return json::value(core::format_time(std::chrono::floor<std::chrono::seconds>(*time)));
}

json::value text_or_null(const std::string& text) { return text.empty() ? json::value() : json::value(text); }

/// When the retention may take it; nothing for what stays until somebody deletes it, and for what its schedule keeps by
/// count.
std::optional<core::Timestamp> expiry_of(const model::Backup& backup, const control::ServiceName& service) {
  if (backup.pinned) return std::nullopt;
  if (backup.expires_at) return std::chrono::floor<std::chrono::hours>(*backup.expires_at);
  if (!backup.schedule_id.empty()) return std::nullopt;
  const auto end = backup.scheduled_at + std::chrono::hours(24 * service.retention_days);
  return std::chrono::floor<std::chrono::hours>(end);
}

std::string_view type_of(const model::Backup& backup) {
  if (!control::is_owners(backup)) return "scheduled";
  return backup.pinned ? "permanent" : "temporary";
}

struct Words {
  std::string_view status;
  std::string_view displayed;
};

Words words_of(BackupState state) {
  switch (state) {
    case BackupState::kScheduled: return {"pending", "creating"};
    case BackupState::kRunning: return {"in_progress", "creating"};
    case BackupState::kCompleted: return {"succeeded", "ready"};
    case BackupState::kLost:
    case BackupState::kFailed: return {"failed", "failed"};
    case BackupState::kDeleting:
    case BackupState::kDeleted: break;
  }
  return {"deleted", "deleted"};
}

json::object metadata_of(const model::Backup& backup) {
  const auto description = backup.labels.find(std::string(kDescriptionLabel));
  return {{"name", text_or_null(backup.label)},
          {"description", text_or_null(description == backup.labels.end() ? "" : description->second)}};
}

}  // namespace

json::object backup_resource(const model::Backup& backup, const control::ServiceName& service,
                             const std::string& tenant) {
  const auto words = words_of(backup.state);
  return {{"id", backup.number},
          {"mechanism", model::to_text(backup.mechanism)},
          {"type", type_of(backup)},
          {"environment", environment_of(service, tenant)},
          {"metadata", metadata_of(backup)},
          {"status", words.status},
          {"displayStatus", words.displayed},
          {"errorMessage", text_or_null(backup.error)},
          {"startedAt", time_text(backup.initiated_at ? backup.initiated_at : backup.scheduled_at)},
          {"completedAt", time_text(backup.state == BackupState::kCompleted ? backup.confirmed_at : std::nullopt)},
          {"expirationDate", time_text(expiry_of(backup, service))},
          {"databaseToApplicationBuilds", json::object()}};
}

json::object backup_schema() {
  return core::parse_json(R"json({
    "type": "object",
    "required": ["id", "mechanism", "type", "environment", "metadata", "status", "displayStatus", "errorMessage",
                 "startedAt", "completedAt", "expirationDate", "databaseToApplicationBuilds"],
    "properties": {
      "id": {"type": "integer"},
      "mechanism": {"type": "string", "enum": ["logical", "physical"]},
      "type": {"type": "string", "enum": ["permanent", "temporary", "scheduled"]},
      "environment": {
        "type": "object",
        "required": ["tenant", "project", "stage", "name"],
        "properties": {
          "tenant": {"type": "string"},
          "project": {"type": "string"},
          "stage": {"type": "string"},
          "name": {"type": "string"}
        }
      },
      "metadata": {
        "type": "object",
        "required": ["name", "description"],
        "properties": {"name": {"type": ["string", "null"]}, "description": {"type": ["string", "null"]}}
      },
      "status": {"type": "string", "enum": ["pending", "in_progress", "succeeded", "failed", "deleted"]},
      "displayStatus": {"type": "string", "enum": ["creating", "ready", "failed", "deleted"]},
      "errorMessage": {"type": ["string", "null"]},
      "startedAt": {"type": "string", "format": "date-time"},
      "completedAt": {"type": ["string", "null"], "format": "date-time"},
      "expirationDate": {"type": ["string", "null"], "format": "date-time"},
      "databaseToApplicationBuilds": {"type": "object"}
    }
  })json")
      .as_object();
}

}  // namespace backstay::api::guidewire

// The part of ServiceCommands that speaks of single backups: pins, expiries, labels and deletion.
#include <fmt/format.h>

#include "control/refusals.h"
#include "control/retention_question.h"
#include "control/retention_schedule.h"
#include "control/service_commands.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

constexpr std::size_t kLongestLabel = 200;

void check_change(const ChangeBackupRequest& request, core::Timestamp now) {
  Refusals refusals;
  if (request.expires_at && *request.expires_at && **request.expires_at <= now) {
    refusals.add("/expiresAt", "has passed already; delete the backup if it is not wanted any more");
  }
  if (request.label && request.label->size() > kLongestLabel) {
    refusals.add("/label", fmt::format("has at most {} bytes", kLongestLabel));
  }
  refusals.raise();
}

/// Of a service that is not there any more nothing is promised.
std::optional<std::string> obstacle_of(metadata::Transaction& tx, const model::Backup& backup, core::Timestamp now) {
  const auto service = metadata::Services(tx).require(backup.service_id);
  if (backup.destination_id.empty()) {
    return model::deletion_obstacle(retention_case_elsewhere(tx, service, now).question, backup.id);
  }
  for (const auto& place : retention_cases(tx, service, now)) {
    if (place.destination_id != backup.destination_id) continue;
    return model::deletion_obstacle(place.question, backup.id);
  }
  return std::nullopt;
}

}  // namespace

model::Backup ServiceCommands::require_backup(metadata::Transaction& tx, const std::string& id,
                                              const Principal& principal) {
  auto backup = metadata::Backups(tx).find(id);
  if (!backup || !principal.sees_team(backup->team_id)) {
    throw core::Error(core::Code::kNotFound, fmt::format("there is no backup '{}'", id));
  }
  return std::move(*backup);
}

model::Backup ServiceCommands::change_backup(const std::string& id, const ChangeBackupRequest& request,
                                             const Principal& principal) {
  require_scope(principal, model::kScopeBackupsWrite);
  check_change(request, deps_.clock.now());
  return deps_.database.write([&](auto& tx) {
    auto backup = require_backup(tx, id, principal);
    if (backup.state == model::BackupState::kDeleting) {
      throw core::Error(core::Code::kConflict,
                        fmt::format("the backup '{}' is being deleted: {}", id, backup.removal_reason));
    }
    const auto before = backup;
    if (request.pinned) backup.pinned = *request.pinned;
    if (request.expires_at) backup.expires_at = *request.expires_at;
    if (request.label) backup.label = *request.label;
    backup.labels = model::changed(std::move(backup.labels), request.labels);
    model::check_labels(backup.labels);
    metadata::Backups(tx).update(backup);
    tell_change(tx, before, backup);
    return backup;
  });
}

void ServiceCommands::tell_change(metadata::Transaction& tx, const model::Backup& before, const model::Backup& after) {
  const auto service = metadata::Services(tx).require(after.service_id);
  const auto tell = [&](EventKind kind, const std::string& body) {
    events_.record(tx, service, kind, body, {{"backup.id", after.id}});
  };
  if (before.pinned != after.pinned) {
    tell(after.pinned ? events::kBackupPinned : events::kBackupUnpinned,
         after.pinned ? "a backup was pinned: it stays until it is unpinned"
                      : "a backup was unpinned: the retention decides on it again");
  }
  if (before.expires_at != after.expires_at) {
    tell(events::kBackupExpiryChanged,
         after.expires_at ? fmt::format("a backup expires at {}", core::format_time(*after.expires_at))
                          : "a backup has no expiry of its own any more: the retention alone decides on it");
  }
  if (before.label != after.label) {
    tell(events::kBackupLabelled, after.label.empty() ? "a backup has no label any more"
                                                      : fmt::format("a backup has the label '{}'", after.label));
  }
}

model::Backup ServiceCommands::delete_backup(const std::string& id, const Principal& principal, Effect effect) {
  require_scope(principal, model::kScopeBackupsDelete);
  auto tx = deps_.database.begin(metadata::Access::kWrite);
  auto backup = require_backup(tx, id, principal);
  if (backup.state == model::BackupState::kDeleting) return backup;
  const auto service = metadata::Services(tx).require(backup.service_id);
  const auto now = deps_.clock.now();
  if (const auto obstacle = obstacle_of(tx, backup, now)) {
    throw core::Error(core::Code::kConflict, fmt::format("the backup '{}' must stay: {}", id, *obstacle))
        .with_hint(backup.pinned ? "unpin it first" : "wait until that is over, or until a newer one is confirmed");
  }
  if (effect == Effect::kDryRun) return backup;
  backup.state = model::BackupState::kDeleting;
  backup.removal_reason = "its deletion was asked for";
  metadata::Backups(tx).update(backup);
  hurry_retention(tx, service.id, now);
  events_.record(tx, service, events::kBackupDeleting,
                 "the deletion of a backup was asked for: it is hidden in its store soon and removed later",
                 {{"backup.id", backup.id}});
  tx.commit();
  return backup;
}

}  // namespace backstay::control

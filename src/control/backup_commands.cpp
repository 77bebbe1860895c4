// The part of ServiceCommands that speaks of single backups: taking one, pins, expiries, labels and deletion.
#include <fmt/format.h>

#include "control/backup_schedule.h"
#include "control/dump_download.h"
#include "control/idempotency.h"
#include "control/refusals.h"
#include "control/retention_question.h"
#include "control/retention_schedule.h"
#include "control/service_commands.h"
#include "control/switch_plan.h"
#include "control/tier_rules.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/destinations.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

constexpr std::size_t kLongestLabel = 200;

void check_expiry(Refusals& refusals, const std::optional<core::Timestamp>& expires_at, core::Timestamp now) {
  if (expires_at && *expires_at <= now) refusals.add("/expiresAt", "has passed already");
}

void check_label(Refusals& refusals, std::string_view label) {
  if (label.size() > kLongestLabel) refusals.add("/label", fmt::format("has at most {} bytes", kLongestLabel));
}

void check_wish(const TakeBackupRequest& request, std::int64_t most_days, core::Timestamp now) {
  Refusals refusals;
  check_expiry(refusals, request.expires_at, now);
  if (request.temporary_days && request.expires_at) refusals.add("/temporaryDays", "cannot stand beside /expiresAt");
  if (request.temporary_days && request.pinned) refusals.add("/temporaryDays", "cannot stand beside /pinned");
  if (request.temporary_days && (*request.temporary_days < 1 || *request.temporary_days > most_days)) {
    refusals.add("/temporaryDays", fmt::format("a temporary backup is kept for 1 to {} days", most_days));
  }
  check_label(refusals, request.label);
  refusals.check([&] { model::check_labels(request.labels); });
  refusals.raise();
}

void check_change(const ChangeBackupRequest& request, core::Timestamp now) {
  Refusals refusals;
  check_expiry(refusals, request.expires_at.value_or(std::nullopt), now);
  check_label(refusals, request.label.value_or(""));
  refusals.raise();
}

/// `alone`: the backup goes elsewhere than the instance's WAL, which then need not go anywhere.
void require_can_back_up(const model::Service& service, bool alone) {
  if (service.delete_requested_at) {
    throw core::Error(core::Code::kConflict, fmt::format("the service '{}' is being deleted", service.name));
  }
  if (!service.backups.enabled && !alone) {
    throw core::Error(core::Code::kConflict, fmt::format("backups of the service '{}' are off", service.name))
        .with_hint(
            "turn backups on (PATCH with backups.enabled true and a destination), or name a destination for "
            "this one");
  }
  if (service.pause) {
    throw core::Error(core::Code::kConflict, fmt::format("the service '{}' is paused", service.name))
        .with_hint("resume it (PATCH with pause false); all it wrote was archived before it was paused");
  }
}

/// There is nothing left that a pin could keep.
void require_not_lost(const model::Backup& backup) {
  if (backup.state != model::BackupState::kLost) return;
  throw core::Error(core::Code::kConflict, fmt::format("the backup '{}' is lost: {}", backup.id, backup.error))
      .with_hint("all that can be done with it is to delete it");
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

std::optional<NamedDestination> ServiceCommands::place_for(const model::Service& service,
                                                           const TakeBackupRequest& request) {
  if (!deps_.providers.of_kind(service.provider.kind).is_local()) {
    if (!request.destination_id) return std::nullopt;
    throw core::Error(core::Code::kNotSupported,
                      fmt::format("where backups of '{}' go, only its provider's backend knows", service.name))
        .with_field("/destinationId", "is not offered by this provider");
  }
  if (request.destination_id)
    return admission_.destination_of(service.team_id, *request.destination_id, "/destinationId");
  return service.backups.enabled ? std::nullopt : admission_.default_destination(service.team_id, "");
}

model::Backup ServiceCommands::schedule_backup(const std::string& service_id, const Principal& principal,
                                               const TakeBackupRequest& request) {
  require_scope(principal, model::kScopeBackupsWrite);
  check_wish(request, config_.most_temporary_days, deps_.clock.now());
  const auto seen = require_service(service_id, principal);
  require_changeable(seen);
  const auto turned_on =
      request.turn_backups_on ? admit_backups_on(seen, request.destination_id, principal) : std::nullopt;
  const auto place = turned_on ? std::nullopt : place_for(seen, request);
  WrittenChange begun;
  auto backup = deps_.database.write([&](auto& tx) {
    if (turned_on) begun = write_change(tx, *turned_on);
    // As it is now, not as it was seen a moment ago.
    const auto service = metadata::Services(tx).require(service_id);
    require_can_back_up(service, place.has_value());
    // Those of a service that is switched over wait for its end; a candidate has an end itself.
    if (!service.candidate_of.empty()) require_no_switch(tx, service);
    if (request.mechanism == model::BackupMechanism::kLogical) require_logical(tx, deps_.providers, service);
    require_backup_room(tx, service);
    if (place) write_destination(tx, *place, service.team_id);
    auto scheduled =
        control::schedule_backup(
            {deps_.operations, events_, deps_.clock, deps_.random}, tx, service,
            {.id = request.id,
             .mechanism = request.mechanism,
             .destination_id = place ? metadata::Destinations(tx).require(place->destination.id).id : std::string(),
             .label = request.label,
             .labels = request.labels,
             .expires_at = request.temporary_days ? deps_.clock.now() + std::chrono::hours(24 * *request.temporary_days)
                                                  : request.expires_at,
             .pinned = request.pinned,
             .full = request.full,
             .schedule_id = request.schedule_id})
            .first;
    take_effect(tx, principal, scheduled.id);
    return scheduled;
  });
  begin(begun);
  return backup;
}

model::Backup ServiceCommands::change_backup(const std::string& id, const ChangeBackupRequest& request,
                                             const Principal& principal,
                                             const Precondition<model::Backup>& precondition) {
  require_scope(principal, model::kScopeBackupsWrite);
  check_change(request, deps_.clock.now());
  return deps_.database.write([&](auto& tx) {
    auto backup = require_backup(tx, id, principal);
    require_precondition(precondition, backup);
    if (backup.state == model::BackupState::kDeleting) {
      throw core::Error(core::Code::kConflict,
                        fmt::format("the backup '{}' is being deleted: {}", id, backup.removal_reason));
    }
    require_not_lost(backup);
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

model::Backup ServiceCommands::delete_backup(const std::string& id, const Principal& principal, Effect effect,
                                             const BackupDeletion& which,
                                             const Precondition<model::Backup>& precondition) {
  require_scope(principal, model::kScopeBackupsDelete);
  auto tx = deps_.database.begin(metadata::Access::kWrite);
  auto backup = require_backup(tx, id, principal);
  require_precondition(precondition, backup);
  if (which.only_manual && !is_owners(backup)) {
    const std::string_view whose =
        backup.schedule_id.empty() ? model::to_text(backup.origin) : std::string_view("of a schedule");
    throw core::Error(core::Code::kConflict,
                      fmt::format("the backup '{}' is automatic ({}): it is managed by the system", id, whose))
        .with_hint("only backups that were asked for can be deleted; this one goes when its retention ends");
  }
  if (backup.state == model::BackupState::kDeleting) return backup;
  if (which.pinned_too && backup.pinned) {
    backup.pinned = false;
    metadata::Backups(tx).update(backup);
  }
  const auto service = metadata::Services(tx).require(backup.service_id);
  if (backup.state == model::BackupState::kLost) {
    if (effect == Effect::kDryRun) return backup;
    metadata::Backups(tx).remove(id);
    events_.record(tx, service, events::kBackupsRemoved, "1 backup was removed: it was lost with its store",
                   {{"backup.ids", id}});
    tx.commit();
    backup.state = model::BackupState::kDeleted;
    return backup;
  }
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

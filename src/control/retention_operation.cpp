// Removing old backups of a service, and garbage of a repository, as operations.
#include <map>

#include <fmt/format.h>

#include "control/body_loader.h"
#include "control/operation_queue.h"
#include "control/retention_decision.h"
#include "control/retention_elsewhere.h"
#include "control/retention_question.h"
#include "control/retention_schedule.h"
#include "control/service_operations.h"
#include "core/error.h"
#include "metadata/backups.h"
#include "metadata/destinations.h"
#include "metadata/lost_places.h"
#include "metadata/retention_turns.h"
#include "metadata/schedules.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

/// A mark is looked at a little after its grace, so that the clocks of machine and store may differ.
core::Duration after_grace(core::Duration grace) { return grace + grace / 100 + std::chrono::seconds(2); }

std::string in_words(const std::map<std::string, int>& reasons, int count) {
  std::string text = fmt::format("{} {} removed", count, count == 1 ? "backup was" : "backups were");
  for (const auto& [reason, number] : reasons) {
    text += reasons.size() == 1 ? ": " + reason : fmt::format("; {}: {}", number, reason);
  }
  return text;
}

/// Writes what became of the backups of one place.
void settle(const WorkDependencies& deps, metadata::Transaction& tx, const model::Service& service,
            const RetentionOutcome& outcome) {
  metadata::Backups backups(tx);
  std::map<std::string, int> reasons;
  std::string ids;
  int count = 0;
  for (const auto& verdict : outcome.decision.backups) {
    auto backup = backups.find(verdict.backup_id);
    if (!backup) continue;
    const std::string& reason = backup->removal_reason.empty() ? verdict.reason : backup->removal_reason;
    if (outcome.gone.contains(backup->id)) {
      ++count;
      ++reasons[reason];
      ids += (ids.empty() ? "" : " ") + backup->id;
      backups.remove(backup->id);
    } else if (outcome.condemned.contains(backup->id) && backup->state != model::BackupState::kDeleting) {
      backup->state = model::BackupState::kDeleting;
      backup->removal_reason = "it was deleted in its store";
      backups.update(*backup);
    }
  }
  if (count == 0) return;
  deps.events.record(tx, service, events::kBackupsRemoved, in_words(reasons, count), {{"backup.ids", ids}});
}

/// True if nothing of it is left anywhere, so that the record may go too.
bool is_over(metadata::Transaction& tx, const model::Service& service, core::Timestamp now, bool stores_empty) {
  const bool expired = service.deleted_at && service.expires_at && *service.expires_at <= now;
  metadata::BackupFilter filter;
  filter.service_id = service.id;
  filter.limit = 1;
  return expired && stores_empty && metadata::Backups(tx).list(filter).empty();
}

void end_record(const WorkDependencies& deps, metadata::Transaction& tx, const model::Service& service) {
  deps.events.record(tx, service, events::kServiceExpired,
                     "the record of the deleted service has expired: its backups, its secrets and its record are gone");
  metadata::Services(tx).remove(service.id);
  forget_unused_destination(tx, service.backups.destination_id);
}

/// What was lost with its place is remembered as long as it would have been kept.
void forget_lost(const WorkDependencies& deps, metadata::Transaction& tx, const model::Service& service) {
  const auto now = deps.clock.now();
  const bool expired = service.deleted_at && service.expires_at && *service.expires_at <= now;
  const auto before = expired ? now : now - std::chrono::days(service.backups.retention_days);
  std::int64_t gone = 0;
  for (const auto& [destination, count] : metadata::LostPlaces(tx).forget(service.id, before)) {
    gone += count;
    forget_unused_destination(tx, destination);
  }
  if (gone == 0) return;
  deps.events.record(tx, service, events::kBackupsRemoved,
                     fmt::format("{} {} removed from the list: lost with the store, and older than {} days", gone,
                                 gone == 1 ? "backup was" : "backups were", service.backups.retention_days));
}

/// What the places of a service came to.
struct Round {
  bool empty = true;
  bool waits = false;
  std::optional<core::Error> failure{};
};

void apply_at(const WorkDependencies& deps, StepContext& context, const model::Service& service,
              const RetentionCase& place, Round& round) {
  const auto at = deps.database.read([&](auto& tx) { return load_target(tx, place.destination_id, service.team_id); });
  context.progress(at.destination.url, 0, 0);
  const auto decided = [&](const model::RetentionQuestion& asked, const model::RetentionDecision& decision) {
    deps.database.write([&](auto& tx) { settle_decision(tx, service.id, place.destination_id, asked, decision); });
  };
  const auto outcome =
      deps.providers.of_kind(service.provider.kind)
          .apply_retention(at, place.question, {.grace = deps.removal_grace, .ended = place.ended, .decided = decided},
                           context);
  round.empty = round.empty && outcome.empty;
  round.waits = round.waits || !outcome.condemned.empty();
  deps.database.write([&](auto& tx) { settle(deps, tx, service, outcome); });
}

void set_next_turn(const WorkDependencies& deps, metadata::Transaction& tx, const model::Service& service, bool waits) {
  const auto now = deps.clock.now();
  auto next = now + (waits ? std::min<core::Duration>(kRetentionEvery, after_grace(deps.removal_grace))
                           : core::Duration(kRetentionEvery));
  if (service.expires_at && *service.expires_at > now) next = std::min(next, *service.expires_at);
  metadata::RetentionTurns(tx).put_off_service(service.id, now, next);
}

/// A place that does not answer holds up no other.
void apply_retention(const WorkDependencies& deps, StepContext& context) {
  const auto& id = context.operation().service_id;
  const auto service = deps.database.read([&](auto& tx) { return metadata::Services(tx).find(id); });
  if (!service) return;
  if (!deps.providers.of_kind(service->provider.kind).is_local()) apply_retention_elsewhere(deps, context, *service);
  const auto cases = deps.database.read([&](auto& tx) { return retention_cases(tx, *service, deps.clock.now()); });
  Round round;
  for (const auto& place : cases) {
    try {
      apply_at(deps, context, *service, place, round);
    } catch (const core::Error& error) {
      if (context.stop().stop_requested()) throw;
      // What is only put off is told last.
      if (!round.failure || round.failure->code() == core::Code::kNotYet) round.failure = error;
    }
  }
  deps.database.write([&](auto& tx) {
    const auto latest = metadata::Services(tx).find(id);
    if (!latest) return;
    metadata::Schedules(tx).remove_forgotten(id);
    forget_lost(deps, tx, *latest);
    const bool over = !round.failure && is_over(tx, *latest, deps.clock.now(), round.empty);
    over ? end_record(deps, tx, *latest) : set_next_turn(deps, tx, *latest, round.waits);
  });
  if (round.failure) throw core::Error(*round.failure);
}

void prune_repository(const WorkDependencies& deps, StepContext& context) {
  const auto id = core::require_string(context.operation().request, "destinationId", "/request");
  const auto destination = deps.database.read([&](auto& tx) { return metadata::Destinations(tx).find(id); });
  if (!destination || destination->lost_at) return;
  const auto [at, ended] = deps.database.read(
      [&](auto& tx) { return std::pair(load_target(tx, id, destination->team_id), ended_attempts(tx, id)); });
  context.progress(at.destination.url, 0, 0);
  const bool empty =
      deps.providers.any_local().remove_garbage(at, {.grace = deps.removal_grace, .ended = ended}, context);
  if (!empty || !destination->made_for_service) return;
  deps.database.write([&](auto& tx) {
    if (metadata::Destinations(tx).find_user(id)) return;
    metadata::Destinations(tx).remove(id);
    deps.events.record(tx, destination->team_id, events::kDestinationDeleted,
                       fmt::format("no backup is left in '{}' and no service names it: it and its keys are forgotten",
                                   destination->url));
  });
}

}  // namespace

void forget_unused_destination(metadata::Transaction& tx, const std::string& id) {
  metadata::Destinations destinations(tx);
  const auto found = destinations.find(id);
  if (!found || !found->made_for_service || destinations.find_user(id)) return;
  // What is still in a repository is removed with its help; see prune_repository.
  if (found->lost_at || !destinations.repository_id(id)) destinations.remove(id);
}

OperationKind retention_kind(const WorkDependencies& deps) {
  OperationKind kind;
  kind.steps = {{"apply", [deps](StepContext& context) { apply_retention(deps, context); }}};
  kind.on_failed = [deps](auto& tx, const auto& operation, const core::Error& error) {
    const auto service = metadata::Services(tx).find(operation.service_id);
    if (!service) return;
    deps.events.record(tx, *service, events::kBackupsRemovalFailed,
                       fmt::format("old backups could not be removed: {}; some may be hidden in their store already; "
                                   "it is tried again within a day; {}",
                                   error.message(), error.hint()),
                       {{"operation.id", operation.id}});
  };
  return kind;
}

OperationKind prune_kind(const WorkDependencies& deps) {
  OperationKind kind;
  kind.steps = {{"prune", [deps](StepContext& context) { prune_repository(deps, context); }}};
  kind.on_failed = [deps](auto& tx, const auto& operation, const core::Error& error) {
    deps.events.record(tx, operation.team_id, events::kDestinationPruneFailed,
                       fmt::format("what nothing refers to any more could not be removed from a store: {}; it is "
                                   "tried again within a day; {}",
                                   error.message(), error.hint()),
                       {{"operation.id", operation.id}});
  };
  return kind;
}

}  // namespace backstay::control

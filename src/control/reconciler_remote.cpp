// The part of the reconciler that watches what a backend elsewhere runs: it has no process to restart and no archive,
// but a provider that may disappear, and a report that may differ from what is wanted.
#include "control/reconciler.h"
#include "core/error.h"
#include "metadata/services.h"

namespace backstay::control {
namespace {

bool has_open_update(const std::vector<model::Operation>& open) {
  return std::ranges::any_of(open, [](const auto& operation) { return operation.kind == kinds::kUpdate; });
}

bool is_settled(model::ServiceState state) {
  return state == model::ServiceState::kSynchronized || state == model::ServiceState::kPaused;
}

bool is_away(model::ServiceState state) {
  return state == model::ServiceState::kUnknown || state == model::ServiceState::kInvalidProvider;
}

}  // namespace

void Reconciler::reconcile_remote(const Look& look, Watch& watch) {
  const auto& service = look.body.service;
  // A deletion, or a change that waits for the backend, speaks for the service.
  if (service.status.state == model::ServiceState::kDeleting || has_open_update(look.open)) return;
  if (!deps_.providers.find(service.provider.name, service.provider.version)) return mark_invalid(look);
  const auto seen = deps_.providers.of_kind(service.provider.kind).observe(look.body, false);
  judge_remote(look, seen, watch);
  if (seen.liveness == Liveness::kRunning && !service.pause) schedule(look, model::BackupOrigin::kScheduled);
}

void Reconciler::mark_invalid(const Look& look) {
  const auto& service = look.body.service;
  if (service.status.state == model::ServiceState::kInvalidProvider) return;
  const auto reason = fmt::format(
      "the provider '{}' version '{}' is not published any more: what its backend does with "
      "the service is not known",
      service.provider.name, service.provider.version);
  const std::string next_step =
      "publish the provider again; or delete the service, with finalBackup=skip if it has backups, and what its "
      "backend "
      "has of it by hand";
  deps_.database.write([&](auto& tx) {
    auto latest = metadata::Services(tx).require(service.id);
    if (latest.status.state == model::ServiceState::kDeleting) return;
    latest.status.state = model::ServiceState::kInvalidProvider;
    latest.status.reason = reason;
    latest.status.next_step = next_step;
    metadata::Services(tx).update_status(service.id, latest.status, deps_.clock.now());
    deps_.events.record(tx, latest, events::kServiceProviderGone, reason + "; " + next_step);
  });
}

void Reconciler::judge_remote(const Look& look, const Observation& seen, Watch& watch) {
  const auto state = look.body.service.status.state;
  switch (seen.liveness) {
    case Liveness::kNotSeen:
      if (state != model::ServiceState::kInvalidProvider) return;
      return set_unknown(look, events::kServiceProviderBack, "the provider is published again",
                         "wait; its backend is being asked");
    case Liveness::kAbsent:
      if (watch.reported_absent) return;
      watch.reported_absent = true;
      return set_unknown(look, events::kServiceLost, "the backend does not know the service any more",
                         "ask the operator of the backend; if the data is lost, recover it from a backup into a new "
                         "service");
    case Liveness::kUnreachable:
    case Liveness::kDead:
      if (watch.reported_unreachable) return;
      watch.reported_unreachable = true;
      return set_unknown(look, events::kServiceUnreachable, seen.reason,
                         "look at the backend and the network to it; Backstay keeps asking");
    case Liveness::kRunning: break;
  }
  watch.reported_absent = watch.reported_unreachable = false;
  settle_remote(look, seen);
  if (is_settled(state) && !seen.drift.empty()) correct_drift(look, seen.drift);
}

void Reconciler::settle_remote(const Look& look, const Observation& seen) {
  const auto& known = look.body.service.status;
  const std::string reason = seen.reason.empty() ? "" : "the backend reports: " + seen.reason;
  // While a change has failed, its own reason stays.
  const bool speaks = is_settled(known.state) || is_away(known.state);
  if (!is_away(known.state) && known.details == *seen.details && (!speaks || known.reason == reason)) return;
  deps_.database.write([&](auto& tx) {
    auto service = metadata::Services(tx).require(look.body.service.id);
    auto& status = service.status;
    if (status.state != known.state) return;  // somebody else was faster: at the next tick
    if (is_away(status.state)) {
      const bool settled = status.observed_generation == service.generation;
      status.state = !settled        ? model::ServiceState::kUpdating
                     : service.pause ? model::ServiceState::kPaused
                                     : model::ServiceState::kSynchronized;
      deps_.events.record(tx, service, events::kServiceReachable, "the backend answers for the service again");
    }
    status.details = *seen.details;
    const bool is_new = speaks && !reason.empty() && status.reason != reason;
    if (speaks) {
      status.reason = reason;
      status.next_step =
          reason.empty() ? "" : "see what the provider says about it, or ask the operator of the backend";
    }
    metadata::Services(tx).update_status(service.id, status, deps_.clock.now());
    if (is_new) deps_.events.record(tx, service, events::kServiceBackendReports, reason);
  });
}

void Reconciler::correct_drift(const Look& look, const std::string& drift) {
  const bool corrects = deps_.database.write([&](auto& tx) {
    auto service = metadata::Services(tx).require(look.body.service.id);
    if (service.generation != look.body.service.generation || !is_settled(service.status.state)) return false;
    service.status.state = model::ServiceState::kUpdating;
    service.status.reason = "the backend reports something else than is wanted: " + drift;
    service.status.next_step = "wait; the backend is told again";
    metadata::Services(tx).update_status(service.id, service.status, deps_.clock.now());
    deps_.events.record(tx, service, events::kServiceDrifted, service.status.reason + "; it is told again");
    deps_.queue.enqueue(tx, {.kind = std::string(kinds::kUpdate),
                             .team_id = service.team_id,
                             .service_id = service.id,
                             .lane = {},
                             .request = {{"instanceId", look.body.instance.id}},
                             .secrets = {},
                             .not_before = {}});
    return true;
  });
  if (corrects) deps_.queue.ring();
}

}  // namespace backstay::control

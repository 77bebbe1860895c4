#include "control/reconciler.h"

#include "control/body_loader.h"
#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "metadata/backups.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/services.h"
#include "metadata/settings.h"

namespace backstay::control {
namespace {

constexpr int kUnansweredTicks = 3;
constexpr auto kRestartMemory = std::chrono::minutes(10);
constexpr std::int64_t kLongestRestartDelaySeconds = 300;
constexpr auto kBehindAfter = std::chrono::seconds(60);

bool has_open(const std::vector<model::Operation>& open, std::string_view kind) {
  return std::any_of(open.begin(), open.end(), [&](const auto& operation) { return operation.kind == kind; });
}

/// How full the storage is, as far as anything happens: 0 fits, 1 high, 2 full.
int storage_level(std::uint64_t used, std::uint64_t limit) {
  if (used >= limit) return 2;
  return used >= limit / 10 * 9 ? 1 : 0;
}

std::uint64_t storage_limit(const model::Service& service) {
  const auto found = service.plan.resources.find("storage");
  return found == service.plan.resources.end() ? 0 : static_cast<std::uint64_t>(found->second) << 20;
}

}  // namespace

void Reconciler::tick() {
  deps_.providers.refresh(deps_.database);
  const auto ids = deps_.database.read([](auto& tx) { return metadata::Services(tx).list_living_ids(); });
  for (const auto& id : ids) {
    try {
      reconcile(id);
    } catch (...) {
      core::log_error("reconcile.failed", core::as_error(std::current_exception()).message(), {{"service", id}});
    }
  }
  std::erase_if(watches_,
                [&](const auto& watch) { return std::find(ids.begin(), ids.end(), watch.first) == ids.end(); });
  count_states();
}

std::optional<Reconciler::Look> Reconciler::load(const std::string& service_id) {
  return deps_.database.read([&](auto& tx) -> std::optional<Look> {
    const auto service = metadata::Services(tx).find(service_id);
    if (!service || service->status.instance_id.empty()) return std::nullopt;
    if (service->status.state == model::ServiceState::kDeleting) return std::nullopt;
    Look look{load_body(tx, *service, service->status.instance_id), {}};
    if (look.body.instance.state != model::InstanceState::kServing) return std::nullopt;
    metadata::OperationFilter open;
    open.service_id = service_id;
    open.open_only = true;
    look.open = metadata::Operations(tx).list(open);
    return look;
  });
}

void Reconciler::reconcile(const std::string& service_id) {
  const auto look = load(service_id);
  if (!look || has_open(look->open, kinds::kDelete)) return;
  Watch& watch = watches_[service_id];
  Provider& provider = deps_.providers.of_kind(look->body.service.provider.kind);

  const auto now = deps_.clock.steady_now();
  const bool measure = !watch.measured_at || now - *watch.measured_at >= measure_every_;
  const auto seen = provider.observe(look->body, measure);
  if (measure) watch.measured_at = now;
  // While a change is being applied the server may be down on purpose.
  if (!has_open(look->open, kinds::kUpdate)) judge(*look, seen, watch);
  if (seen.storage_used && seen.liveness == Liveness::kRunning) judge_storage(*look, *seen.storage_used);

  deps_.companions.reconcile(service_id, look->body.instance.id, provider.companions(look->body));
  judge_risk(*look, watch);
  if (seen.liveness == Liveness::kRunning) schedule(*look, model::BackupOrigin::kScheduled);
  // While a change is being applied, that has the settings in its hands.
  if (measure && seen.liveness == Liveness::kRunning && !has_open(look->open, kinds::kUpdate)) {
    provider.adjust(look->body);
  }
}

void Reconciler::judge(const Look& look, const Observation& seen, Watch& watch) {
  switch (seen.liveness) {
    case Liveness::kRunning: settle_running(look, watch); return;
    case Liveness::kDead: restart(look, seen.reason, watch); return;
    case Liveness::kUnreachable:
      if (++watch.unanswered < kUnansweredTicks || watch.reported_unreachable) return;
      watch.reported_unreachable = true;
      set_unknown(look, events::kServiceUnreachable, "the server runs but does not answer: " + seen.reason,
                  "look at the load of the server; Backstay keeps looking");
      return;
    case Liveness::kAbsent:
      if (watch.reported_absent) return;
      watch.reported_absent = true;
      set_unknown(look, events::kServiceUnreachable, "the data of the service is not where it should be",
                  "recover the latest state into a new service; look at the disk of the state directory");
      return;
  }
}

void Reconciler::settle_running(const Look& look, Watch& watch) {
  const bool was_reported = watch.reported_unreachable || watch.reported_absent;
  watch.unanswered = 0;
  watch.reported_unreachable = watch.reported_absent = false;
  if (look.body.service.status.state != model::ServiceState::kUnknown) return;
  deps_.database.write([&](auto& tx) {
    auto service = metadata::Services(tx).require(look.body.service.id);
    if (service.status.state != model::ServiceState::kUnknown) return;
    const bool settled = service.status.observed_generation == service.generation;
    service.status.state = settled ? model::ServiceState::kSynchronized : model::ServiceState::kUpdating;
    service.status.details = deps_.providers.of_kind(service.provider.kind).details(look.body, true);
    service.status.reason.clear();
    service.status.next_step.clear();
    metadata::Services(tx).update_status(service.id, service.status, deps_.clock.now());
    if (was_reported) deps_.events.record(tx, service, events::kServiceReachable, "the server answers again");
  });
}

void Reconciler::set_unknown(const Look& look, EventKind kind, const std::string& reason,
                             const std::string& next_step) {
  deps_.database.write([&](auto& tx) {
    auto service = metadata::Services(tx).require(look.body.service.id);
    if (service.status.state == model::ServiceState::kDeleting) return;
    service.status.state = model::ServiceState::kUnknown;
    service.status.reason = reason;
    service.status.next_step = next_step;
    service.status.details = deps_.providers.of_kind(service.provider.kind).details(look.body, false);
    metadata::Services(tx).update_status(service.id, service.status, deps_.clock.now());
    deps_.events.record(tx, service, kind, reason + "; " + next_step);
  });
}

void Reconciler::restart(const Look& look, const std::string& reason, Watch& watch) {
  if (has_open(look.open, kinds::kRestart)) return;
  const auto now = deps_.clock.steady_now();
  while (!watch.restarts.empty() && now - watch.restarts.front() > kRestartMemory) watch.restarts.pop_front();
  const auto before = static_cast<std::int64_t>(std::min<std::size_t>(watch.restarts.size(), 16));
  const std::int64_t delay = before == 0 ? 0 : std::min(std::int64_t{1} << before, kLongestRestartDelaySeconds);
  watch.restarts.push_back(now);
  set_unknown(look, events::kServerDied,
              "the server ended without being asked to: " + reason +
                  "; what was committed is kept, and clients cannot connect meanwhile",
              delay == 0 ? std::string("it is restarted at once") : fmt::format("it is restarted in {} s", delay));
  deps_.database.write([&](auto& tx) {
    deps_.queue.enqueue(tx, {.kind = std::string(kinds::kRestart),
                             .team_id = look.body.service.team_id,
                             .service_id = look.body.service.id,
                             .lane = "restart/" + look.body.service.id,
                             .request = {{"instanceId", look.body.instance.id}},
                             .secrets = {},
                             .not_before = deps_.clock.now() + std::chrono::seconds(delay)});
  });
  deps_.queue.ring();
}

void Reconciler::judge_storage(const Look& look, std::uint64_t used) {
  const auto limit = storage_limit(look.body.service);
  if (limit == 0) return;
  const std::string key = storage_level_key(look.body.instance.id);
  const int level = storage_level(used, limit);
  const auto known = deps_.database.read([&](auto& tx) { return metadata::Settings(tx).get(key); });
  const auto before = known ? core::parse_int(*known).value_or(0) : 0;
  if (level == before) return;
  // The level is written last: a crash in between repeats what is safe to repeat.
  if ((level == 2) != (before == 2)) {
    deps_.providers.of_kind(look.body.service.provider.kind).set_read_only(look.body, level == 2);
  }
  const std::string amounts = core::format_bytes(used) + " of " + core::format_bytes(limit);
  deps_.database.write([&](auto& tx) {
    metadata::Settings(tx).put(key, std::to_string(level));
    if (level == 2) {
      deps_.events.record(tx, look.body.service, events::kStorageFull,
                          amounts +
                              " are used: new sessions of the application are read-only until it fits; delete "
                              "data or choose a plan with more storage");
    } else if (level == 1 && before == 0) {
      deps_.events.record(tx, look.body.service, events::kStorageHigh,
                          amounts +
                              " are used; at the limit new sessions become read-only: delete data or choose a "
                              "plan with more storage");
    } else if (before == 2 || level == 0) {
      deps_.events.record(tx, look.body.service, events::kStorageFits, amounts + " are used: sessions may write");
    }
  });
}

void Reconciler::judge_risk(const Look& look, Watch& watch) {
  const auto& service = look.body.service;
  const auto risk = deps_.providers.of_kind(service.provider.kind).at_risk(look.body.instance.id);
  if (!risk) return;
  const core::Labels labels{{"service", service.id}};
  deps_.metrics.gauge("backstay_control_wal_at_risk_bytes", "Written by the server, not in the store", labels)
      .set(static_cast<double>(risk->bytes));
  deps_.metrics.gauge("backstay_control_wal_at_risk_seconds", "Age of the oldest WAL that is not in the store", labels)
      .set(std::chrono::duration<double>(risk->time).count());
  const auto tell = [&](EventKind kind, const std::string& body) {
    deps_.database.write([&](auto& tx) { deps_.events.record(tx, service, kind, body); });
  };
  if (watch.store_away == risk->store_reachable) {
    watch.store_away = !risk->store_reachable;
    if (watch.store_away) {
      tell(events::kStoreUnreachable,
           "the store takes nothing: " + risk->last_error +
               "; the database goes on and keeps its WAL within a bound; check the store and its network");
    } else {
      tell(events::kStoreReachable, "the store takes objects again; what was kept is being sent");
    }
  }
  if (risk->needs_backup != watch.gap) {
    watch.gap = risk->needs_backup;
    if (watch.gap) {
      tell(events::kWalGap,
           "WAL was lost before it reached the store: times since then cannot be recovered until a new backup is "
           "stored; one is taken now");
      schedule(look, model::BackupOrigin::kSafety);
    }
  }
  const bool behind = risk->time > kBehindAfter;
  if (behind != watch.behind) {
    watch.behind = behind;
    if (behind) {
      tell(events::kWalBehind,
           fmt::format("{} of WAL, {} old, are not in the store yet and would be lost with this machine",
                       core::format_bytes(risk->bytes), core::format_duration(risk->time)));
    } else {
      tell(events::kWalCaughtUp, "the store holds all but the last seconds of WAL again");
    }
  }
}

void Reconciler::schedule(const Look& look, model::BackupOrigin origin) {
  const auto now = deps_.clock.now();
  const auto wanted = [&](auto& tx, const model::Service& service) {
    if (origin == model::BackupOrigin::kScheduled) return scheduled_backup_due(tx, service, now);
    return service.backups.enabled && !has_open_backup(tx, service.id);
  };
  if (!deps_.database.read([&](auto& tx) { return wanted(tx, look.body.service); })) return;
  const bool scheduled = deps_.database.write([&](auto& tx) {
    // Read again: the settings may have changed since the look.
    const auto service = metadata::Services(tx).require(look.body.service.id);
    if (!wanted(tx, service)) return false;
    schedule_backup({deps_.queue, deps_.events, deps_.clock, deps_.random}, tx, service, origin);
    return true;
  });
  if (scheduled) deps_.queue.ring();
}

void Reconciler::count_states() {
  std::map<std::string, int, std::less<>> counts;
  for (const auto state :
       {model::ServiceState::kCreating, model::ServiceState::kUpdating, model::ServiceState::kDeleting,
        model::ServiceState::kSynchronized, model::ServiceState::kUnknown, model::ServiceState::kPaused}) {
    counts[std::string(model::to_text(state))] = 0;
  }
  const auto services = deps_.database.read([](auto& tx) { return metadata::Services(tx).list({}); });
  for (const auto& service : services) ++counts[std::string(model::to_text(service.status.state))];
  for (const auto& [state, count] : counts) {
    deps_.metrics.gauge("backstay_control_services", "Services by state", {{"state", state}}).set(count);
  }
}

}  // namespace backstay::control

#include "control/reconciler.h"

#include "control/body_loader.h"
#include "control/storage_use.h"
#include "control/switch_plan.h"
#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "metadata/backups.h"
#include "metadata/instances.h"
#include "metadata/operations.h"
#include "metadata/servers.h"
#include "metadata/services.h"
#include "metadata/settings.h"

namespace backstay::control {
namespace {

constexpr int kUnansweredTicks = 3;
// A tick is short, so that what changed does not wait for thousands of looks; and looks that find nothing new take at
// most a part of the time.
constexpr auto kTickBudget = std::chrono::milliseconds(50);
constexpr std::int64_t kFew = 50;
constexpr auto kLookTakes = std::chrono::milliseconds(10);
constexpr core::Duration kLongestPause = std::chrono::seconds(60);
/// What does not run is looked at when it changes, and now and then for what nobody thought of.
constexpr core::Duration kIdlePause = std::chrono::minutes(5);
constexpr auto kCountEvery = std::chrono::seconds(5);
constexpr auto kRestartMemory = std::chrono::minutes(10);
constexpr std::int64_t kLongestRestartDelaySeconds = 300;

bool has_open(const std::vector<model::Operation>& open, std::string_view kind) {
  return std::any_of(open.begin(), open.end(), [&](const auto& operation) { return operation.kind == kind; });
}

/// Of a change that is being applied, a switch-over, or a restart that somebody asked for: the server may be down on
/// purpose.
bool may_be_down(const std::vector<model::Operation>& open) {
  return std::any_of(open.begin(), open.end(), [](const auto& operation) {
    return operation.kind == kinds::kUpdate || operation.kind == kinds::kSwitch ||
           (operation.kind == kinds::kRestart && operation.request.contains("fence"));
  });
}

/// How full the storage is, as far as anything happens: 0 fits, 1 high, 2 full.
int storage_level(std::uint64_t used, std::uint64_t limit) {
  if (used >= limit) return 2;
  return used >= limit / 10 * 9 ? 1 : 0;
}

}  // namespace

Reconciler::Reconciler(ReconcilerDependencies dependencies, ReconcilerConfig config)
    : deps_(dependencies),
      config_(config),
      tick_seconds_(deps_.metrics.histogram("backstay_control_tick_seconds", "How long a tick of the reconciler took",
                                            {0.01, 0.025, 0.05, 0.1, 0.25, 1, 5})) {}

bool Reconciler::tick() {
  const auto now = deps_.clock.steady_now();
  deps_.providers.refresh(deps_.database);
  take_and_follow();
  std::vector<std::pair<std::string, core::SteadyTime>> looked;
  while (deps_.clock.steady_now() - now < kTickBudget) {
    const auto id = schedule_.take_due(now);
    if (!id) break;
    const auto pace = look_at(*id);
    const auto pause = pause_after(*id, pace);
    if (pace != Pace::kGone) looked.emplace_back(*id, now + pause);
  }
  const bool more = schedule_.has_due(now);
  for (const auto& [id, next] : looked) schedule_.set(id, next);
  if (!more || !counted_at_ || now - *counted_at_ >= kCountEvery) {
    counted_at_ = now;
    count_states();
  }
  tick_seconds_.observe(std::chrono::duration<double>(deps_.clock.steady_now() - now).count());
  return more;
}

void Reconciler::take_and_follow() {
  const bool any_free = deps_.database.read([](auto& tx) { return metadata::Servers(tx).has_free_services(); });
  if (any_free) deps_.database.write([&](auto& tx) { metadata::Servers(tx).take_services(deps_.server); });
  const auto changes =
      deps_.database.read([&](auto& tx) { return metadata::Services(tx).list_changes(deps_.server, changes_seen_); });
  for (const auto& id : changes.ids) schedule_.hurry(id);
  changes_seen_ = changes.until;
}

Reconciler::Pace Reconciler::leave_alone(const std::string& service_id) {
  const auto service = deps_.database.read([&](auto& tx) { return metadata::Services(tx).find(service_id); });
  if (!service) return Pace::kGone;
  // A candidate that took its original's place has no instance any more; whoever drives that one starts what is beside
  // the instance.
  if (service->deleted_at && service->status.instance_id.empty()) {
    return deps_.companions.release(service_id) ? Pace::kIdle : Pace::kSoon;
  }
  return Pace::kIdle;
}

Reconciler::Pace Reconciler::look_at(const std::string& service_id) {
  try {
    return reconcile(service_id);
  } catch (...) {
    core::log_error("reconcile.failed", core::as_error(std::current_exception()).message(), {{"service", service_id}});
    return Pace::kSoon;
  }
}

core::Duration Reconciler::pause_after(const std::string& service_id, Pace pace) {
  if (pace == Pace::kGone) {
    forget(service_id);
    return {};
  }
  const bool runs = pace != Pace::kIdle;
  auto& watch = watches_[service_id];
  running_ += static_cast<int>(runs) - static_cast<int>(watch.runs);
  watch.runs = runs;
  if (pace == Pace::kIdle) return kIdlePause;
  if (pace == Pace::kSoon || running_ <= kFew) return config_.look_every;
  return std::clamp<core::Duration>(running_ * kLookTakes, config_.look_every, kLongestPause);
}

void Reconciler::forget(const std::string& service_id) {
  schedule_.forget(service_id);
  const auto found = watches_.find(service_id);
  if (found == watches_.end()) return;
  if (found->second.runs) --running_;
  watches_.erase(found);
}

std::optional<Reconciler::Look> Reconciler::load(const std::string& service_id) {
  return deps_.database.read([&](auto& tx) -> std::optional<Look> {
    const auto service = metadata::Services(tx).find(service_id);
    if (!service || service->status.instance_id.empty()) return std::nullopt;
    Look look{load_body(tx, *service, service->status.instance_id), {}};
    if (look.body.instance.state != model::InstanceState::kServing) return std::nullopt;
    metadata::OperationFilter open;
    open.service_id = service_id;
    open.open_only = true;
    look.open = metadata::Operations(tx).list(open);
    return look;
  });
}

Reconciler::Pace Reconciler::reconcile(const std::string& service_id) {
  const auto look = load(service_id);
  if (!look) return leave_alone(service_id);
  Watch& watch = watches_[service_id];
  show_gauges(*look, watch);
  Provider& provider = deps_.providers.of_kind(look->body.service.provider.kind);
  if (!provider.is_local()) {
    reconcile_remote(*look, watch);
    return Pace::kRoutine;
  }
  if (look->body.service.status.state == model::ServiceState::kDeleting) {
    // Its final backup needs the receiver, and what stays because that failed goes on being archived.
    return settle_companions(*look, provider.companions(look->body)) ? Pace::kIdle : Pace::kSoon;
  }
  if (look->body.service.pause) {
    // Until the pause is done, what archives the last of its writes goes on.
    const bool paused = look->body.service.status.state == model::ServiceState::kPaused;
    return !paused || settle_companions(*look, {}) ? Pace::kIdle : Pace::kSoon;
  }

  const auto now = deps_.clock.steady_now();
  const bool measure = !watch.measured_at || now - *watch.measured_at >= config_.measure_every;
  const auto seen = provider.observe(look->body, measure);
  if (measure) watch.measured_at = now;
  if (!may_be_down(look->open)) judge(*look, seen, watch);
  if (seen.storage_used && seen.liveness == Liveness::kRunning) judge_storage(*look, *seen.storage_used);

  const bool settled = settle_companions(*look, provider.companions(look->body));
  judge_risk(*look, watch);
  judge_chain(*look, watch);
  if (seen.liveness == Liveness::kRunning) schedule(*look, model::BackupOrigin::kScheduled);
  // While a change is being applied, that has the settings in its hands.
  if (measure && seen.liveness == Liveness::kRunning && !may_be_down(look->open)) {
    provider.adjust(look->body);
  }
  return seen.liveness == Liveness::kRunning && look->open.empty() && settled ? Pace::kRoutine : Pace::kSoon;
}

bool Reconciler::settle_companions(const Look& look, const std::vector<Companion>& wanted) {
  return deps_.companions.reconcile(look.body.service.id, look.body.instance.id, wanted);
}

void Reconciler::judge(const Look& look, const Observation& seen, Watch& watch) {
  switch (seen.liveness) {
    case Liveness::kRunning: settle_running(look, watch); return;
    case Liveness::kDead: restart(look, seen.reason, watch); return;
    case Liveness::kNotSeen: return;
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

/// A switch-over may have begun since the look.
bool Reconciler::still_serves(const Look& look) {
  return deps_.database.read([&](auto& tx) {
    const auto instance = metadata::Instances(tx).find(look.body.instance.id);
    return instance && instance->state == model::InstanceState::kServing &&
           instance->service_id == look.body.service.id;
  });
}

void Reconciler::restart(const Look& look, const std::string& reason, Watch& watch) {
  if (has_open(look.open, kinds::kRestart) || !still_serves(look)) return;
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
  note_storage_used(deps_.database, look.body.instance.id, used);
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

void Reconciler::show_gauges(const Look& look, Watch& watch) {
  const auto& service = look.body.service;
  if (!watch.gauges) watch.gauges.emplace(deps_.metrics, service.id);
  watch.gauges->show_risk(deps_.providers.of_kind(service.provider.kind).at_risk(look.body.instance.id));
  std::optional<core::Timestamp> last;
  if (service.backups.enabled) {
    last = deps_.database.read([&](auto& tx) { return metadata::Backups(tx).last_confirmed_at(service.id); });
  }
  watch.gauges->show_backup_age(last ? std::optional(deps_.clock.now() - *last) : std::nullopt);
  const auto [verified, tried] = deps_.database.read([&](auto& tx) {
    metadata::Backups backups(tx);
    return std::pair(backups.last_verified(service.id), backups.last_tried(service.id));
  });
  watch.gauges->show_verification(verified, tried, deps_.clock.now());
}

void Reconciler::judge_risk(const Look& look, Watch& watch) {
  const auto& service = look.body.service;
  const auto risk = deps_.providers.of_kind(service.provider.kind).at_risk(look.body.instance.id);
  if (!risk) return;
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
  if (const bool gap = !risk->needs_backup.empty(); gap != watch.gap) {
    watch.gap = gap;
    if (gap) {
      tell(
          events::kWalGap,
          risk->needs_backup + ": times since then cannot be recovered until a new backup is stored; one is taken now");
    } else {
      tell(events::kWalGapEnded, "a new backup is stored: times since it was taken can be recovered again");
    }
  }
  // While the store takes nothing a backup would only fail.
  if (watch.gap && risk->store_reachable) schedule(look, model::BackupOrigin::kSafety);
  const bool behind = risk->time > config_.behind_after;
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
    if (open_switch(tx, service)) return false;
    if (origin == model::BackupOrigin::kScheduled) return scheduled_backup_due(tx, service, now);
    return safety_backup_due(tx, service, now);
  };
  if (!deps_.database.read([&](auto& tx) { return wanted(tx, look.body.service); })) return;
  const bool scheduled = deps_.database.write([&](auto& tx) {
    // Read again: the settings may have changed since the look.
    const auto service = metadata::Services(tx).require(look.body.service.id);
    if (!wanted(tx, service)) return false;
    schedule_backup({deps_.queue, deps_.events, deps_.clock, deps_.random}, tx, service, {.origin = origin});
    return true;
  });
  if (scheduled) deps_.queue.ring();
}

void Reconciler::count_states() {
  std::map<std::string, std::int64_t, std::less<>> counts;
  for (const auto state :
       {model::ServiceState::kCreating, model::ServiceState::kUpdating, model::ServiceState::kDeleting,
        model::ServiceState::kSynchronized, model::ServiceState::kUnknown, model::ServiceState::kPaused}) {
    counts[std::string(model::to_text(state))] = 0;
  }
  const auto found = deps_.database.read([](auto& tx) { return metadata::Services(tx).count_states(); });
  for (const auto& [state, count] : found) counts[state] = count;
  for (const auto& [state, count] : counts) {
    deps_.metrics.gauge("backstay_control_services", "Services by state", {{"state", state}})
        .set(static_cast<double>(count));
  }
}

}  // namespace backstay::control

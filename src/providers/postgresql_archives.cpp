#include "providers/postgresql_archives.h"

#include <thread>

#include "backup/base_backup.h"
#include "backup/confirm.h"
#include "backup/incremental_facts.h"
#include "core/error.h"
#include "core/log.h"
#include "providers/postgresql_dumps.h"

namespace backstay::providers {
namespace {

constexpr auto kReceiverPatience = std::chrono::seconds(60);
constexpr auto kSendAllDeadline = std::chrono::seconds(20);
constexpr auto kRestPatience = std::chrono::seconds(30);
constexpr std::uint64_t kHurriedBytes = 16 << 20;
constexpr auto kProofDeadline = std::chrono::seconds(10);
constexpr auto kProofSlice = std::chrono::milliseconds(500);
constexpr auto kPoll = std::chrono::milliseconds(100);
constexpr core::Duration kFirstOpenRetry = std::chrono::seconds(1);
constexpr core::Duration kLongestOpenRetry = std::chrono::seconds(15);
constexpr auto kRememberWindowEvery = std::chrono::minutes(1);
constexpr core::Duration kKeepWindow = std::chrono::minutes(10);
/// What a receiver that ends may still ask of its store: a little more than it uploads the last of its WAL for.
constexpr core::Duration kStoreGrace = std::chrono::seconds(12);
constexpr auto kWalReceiverName = "wal-receiver";
constexpr auto kArchiveWatchName = "archive-watch";

/// Whoever waits for a receiver keeps it, and with it what its uploads write to.
struct Receiving {
  Receiving(std::shared_ptr<repository::Repository> to, const backup::Environment& environment,
            const backup::WalReceiverConfig& config)
      : repository(std::move(to)), receiver(environment, *repository, config) {}

  std::shared_ptr<repository::Repository> repository;
  backup::WalReceiver receiver;
};

backup::ProgressCallback report_to(control::WorkContext& context) {
  return
      [&context](const backup::Progress& progress) { context.progress(progress.phase, progress.done, progress.total); };
}

control::BackupOutcome outcome_of(const repository::BackupRecord& record) {
  control::BackupOutcome outcome;
  outcome.taken_at = record.taken.value_or(record.stop_time);
  outcome.stored_at = record.stored.value_or(record.stop_time);
  outcome.start_lsn = record.start_lsn;
  outcome.stop_lsn = record.stop_lsn;
  outcome.timeline = record.timeline;
  outcome.data_bytes = record.data_size;
  outcome.stored_bytes = record.stored_size;
  if (record.mechanism != "physical") return outcome;
  const auto facts = backup::facts_of(record);
  outcome.base_id = facts.base;
  outcome.read_bytes = facts.read_bytes;
  outcome.full_reason = facts.reason;
  outcome.mismatch = facts.mismatch;
  return outcome;
}

/// What the server keeps for its archive; nothing while it does not answer.
std::uint64_t kept_wal(PostgresqlInstance& instance, std::stop_token stop) {
  try {
    const auto rows =
        instance.server()
            .connect("postgres", stop)
            .query(
                "SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), restart_lsn)::bigint FROM pg_replication_slots "
                "WHERE slot_name = $1 AND restart_lsn IS NOT NULL",
                {instance.slot()});
    return rows.empty() ? 0 : static_cast<std::uint64_t>(rows.integer(0, 0));
  } catch (const core::Error&) {
    return 0;
  }
}

const control::BackupTarget& target_of(const control::ServiceBody& body) {
  if (body.backups) return *body.backups;
  throw core::Error(core::Code::kConflict, fmt::format("the service '{}' has no destination", body.service.name))
      .with_hint("turn backups on with a destination");
}

}  // namespace

PostgresqlArchives::PostgresqlArchives(PostgresqlWorld& world)
    : world_(world),
      repositories_(world.config.stores, {world.deps.clock, world.deps.random, &world.deps.metrics, {}},
                    world.deps.memory),
      away_(world.deps.clock),
      watch_(world, repositories_),
      windows_(kKeepWindow) {}

backup::Environment PostgresqlArchives::environment() const {
  return {world_.deps.clock, world_.deps.random, world_.deps.files, world_.deps.runner};
}

std::shared_ptr<repository::Repository> PostgresqlArchives::prepared(std::shared_ptr<repository::Repository> repository,
                                                                     const control::ServiceBody& body) {
  const auto& instance = body.instance;
  // One that took another's place in a service is that service's from then on.
  const auto known = repository->instance(instance.id);
  if (known && known->service == body.service.id) return repository;
  repository::InstanceRecord record;
  record.instance = instance.id;
  record.service = body.service.id;
  record.service_name = body.service.name;
  record.provider = body.service.provider.kind;
  record.postgres_major = static_cast<std::uint32_t>(instance.engine_major);
  record.system_identifier = instance.system_id;
  record.created = instance.created_at;
  if (instance.branched_from) {
    record.branched_from = {instance.branched_from->instance_id, instance.branched_from->timeline,
                            instance.branched_from->lsn};
  }
  const auto wishes = model::postgres_wishes(world_.offer_of(body.service), body.service.config, body.service.secrets);
  record.details = {{"role", wishes.user}, {"database", wishes.database}};
  repository->put_instance(record);
  return repository;
}

std::shared_ptr<backup::WalReceiver> PostgresqlArchives::receiver(const std::string& instance_id) const {
  const core::LockGuard lock(mutex_);
  const auto found = receivers_.find(instance_id);
  return found == receivers_.end() ? nullptr : found->second;
}

std::shared_ptr<backup::WalReceiver> PostgresqlArchives::connected_receiver(const std::string& instance_id,
                                                                            core::Duration patience,
                                                                            std::stop_token stop) const {
  const auto deadline = world_.deps.clock.steady_now() + patience;
  while (world_.deps.clock.steady_now() < deadline) {
    if (auto found = receiver(instance_id); found && found->status().connected) return found;
    if (!world_.deps.clock.wait(stop, kPoll)) throw core::Error(core::Code::kCancelled, "stopped");
  }
  return nullptr;
}

std::optional<backup::ArchiveEnd> PostgresqlArchives::live_end(const std::string& instance_id) const {
  const auto found = receiver(instance_id);
  if (!found) return std::nullopt;
  return found->status().proven_end;
}

std::shared_ptr<backup::WalReceiver> PostgresqlArchives::require_receiver(const control::ServiceBody& body,
                                                                          std::stop_token stop) const {
  auto connected = connected_receiver(body.instance.id, kReceiverPatience, std::move(stop));
  if (connected) return connected;
  const auto risk = at_risk(body.instance.id);
  throw core::Error(core::Code::kUnavailable,
                    "the WAL of the service is not being received: " +
                        (risk && !risk->last_error.empty() ? risk->last_error : "its receiver has not connected yet"))
      .with_hint("look at the service's events; the backup is tried again");
}

control::BackupOutcome PostgresqlArchives::take(const control::ServiceBody& body, const model::Backup& backup,
                                                control::WorkContext& context) {
  const auto repository = prepared(repositories_.create_or_open_own(target_of(body), context.stop()), body);
  // An attempt before this one may have come to its end without being able to say so.
  if (const auto record = repository->backup(body.instance.id, backup.id)) return outcome_of(*record);
  if (backup.mechanism == model::BackupMechanism::kLogical) {
    return outcome_of(take_service_dump(world_, environment(), *repository, body, backup, context));
  }
  // One that stands alone streams its WAL itself: the receiver's goes elsewhere, or there is none.
  const auto connected = backup.stands_alone ? nullptr : require_receiver(body, context.stop());
  PostgresqlInstance instance(world_, body);
  const backup::BaseBackupRequest request{.repository = *repository,
                                          .instance = body.instance.id,
                                          .backup_id = backup.id,
                                          .data_directory = instance.paths().data(),
                                          .connection = instance.server().management_target(),
                                          .receiver = connected.get(),
                                          .spool_directory = instance.paths().root / "backup-spool",
                                          .scratch_directory = scratch_directory(world_.config),
                                          .label = "backstay " + backup.id,
                                          .origin = std::string(model::to_text(backup.origin)),
                                          .full = backup.full_wanted,
                                          .base_rules = world_.config.base_rules};
  return outcome_of(backup::take_base_backup(environment(), request, report_to(context), context.stop()));
}

void PostgresqlArchives::confirm(const control::ServiceBody& body, const model::Backup& backup,
                                 control::WorkContext& context) {
  const auto repository = repositories_.open_own(target_of(body), context.stop());
  const auto report = backup::confirm_backup(environment(), *repository, body.instance.id, backup.id,
                                             report_to(context), context.stop(), 2, backup::ReadBack::kOwn);
  if (report.ok()) {
    window(body);  // from now on it is known, also while the store is away
    return;
  }
  const auto& problem = report.problems.front();
  throw core::Error(core::Code::kCorruptData,
                    fmt::format("the backup does not read back whole: {}: {}; {} ({} problems in all)", problem.object,
                                problem.what, problem.meaning, report.problems.size()));
}

bool PostgresqlArchives::is_present(const control::ServiceBody& body) {
  return body.instance.id == body.service.status.instance_id &&
         body.instance.destination_id == body.service.backups.destination_id;
}

std::optional<model::RecoveryWindow> PostgresqlArchives::known_window(const control::ServiceBody& body) {
  if (!is_present(body)) return std::nullopt;
  const auto& instance_id = body.instance.id;
  {
    const core::LockGuard lock(mutex_);
    if (const auto* known = windows_.find(instance_id, world_.deps.clock.steady_now())) return known->window;
  }
  return world_.deps.memory.window(instance_id);
}

void PostgresqlArchives::remember_window(const model::RecoveryWindow& window) {
  const auto now = world_.deps.clock.steady_now();
  {
    const core::LockGuard lock(mutex_);
    const auto* known = windows_.find(window.instance_id, now);
    const bool recent = known != nullptr && known->window.earliest == window.earliest &&
                        now - known->remembered_at < kRememberWindowEvery;
    windows_.put(window.instance_id, {window, recent ? known->remembered_at : now}, now);
    if (recent) return;
  }
  world_.deps.memory.remember_window(window);
}

model::RecoveryWindow PostgresqlArchives::window(const control::ServiceBody& body) {
  const auto& id = body.instance.id;
  // Of an archive that grows no more only the store is asked.
  if (!is_present(body)) return window_from_store(body);
  const auto known = known_window(body);
  const auto risk = at_risk(id);
  if (known && risk && !risk->store_reachable) return *known;
  try {
    auto seen = window_from_store(body);
    remember_window(seen);
    return seen;
  } catch (const core::Error& error) {
    if (!known || error.code() != core::Code::kStoreUnreachable) throw;
    return *known;
  }
}

model::RecoveryWindow PostgresqlArchives::window_from_store(const control::ServiceBody& body) {
  model::RecoveryWindow window{.instance_id = body.instance.id, .destination_id = body.instance.destination_id};
  try {
    const auto open = repositories_.archive(target_of(body), body.instance.id);
    const auto seen = open.archive->window(is_present(body) ? live_end(body.instance.id) : std::nullopt);
    window.earliest = seen.earliest;
    window.latest = seen.latest;
    for (const auto& gap : seen.gaps) window.gaps.push_back({gap.from, gap.to, gap.reason});
  } catch (const core::Error& error) {
    // Nothing was ever stored: the window is empty, which is an answer.
    if (error.code() != core::Code::kNotFound) throw;
  }
  return window;
}

void PostgresqlArchives::catch_up(const std::string& instance_id, core::Timestamp time) const {
  const auto deadline = world_.deps.clock.steady_now() + kProofDeadline;
  // The receiver may be starting anew, after changed settings for one, and then another one is asked.
  while (world_.deps.clock.steady_now() < deadline) {
    const auto running = receiver(instance_id);
    if (running && running->wait_until_proven(time, kProofSlice, {})) return;
    if (!running) world_.deps.clock.wait({}, kPoll);
  }
}

bool PostgresqlArchives::send_all(const control::ServiceBody& body, std::stop_token stop) {
  if (!body.service.backups.enabled) return true;
  // Without a connection it stores what it received, which need not be all that was written.
  const auto connected = connected_receiver(body.instance.id, kSendAllDeadline, stop);
  return connected && connected->send_all(kSendAllDeadline, stop);
}

std::jthread PostgresqlArchives::hurry(const std::string& instance_id) {
  const auto running = receiver(instance_id);
  if (!running) return {};
  return std::jthread([running](const std::stop_token& stop) {
    // More than a server writes in the moment in which it stops.
    running->wait_until_stored(running->status().received + kHurriedBytes, kSendAllDeadline, stop);
  });
}

bool PostgresqlArchives::store_rest(const control::ServiceBody& body, std::int64_t epoch, std::stop_token stop,
                                    const std::function<void()>& stop_server) {
  const auto& id = body.instance.id;
  const std::jthread receiving([&](const std::stop_token& ended) {
    try {
      receive(body, ended, epoch);
    } catch (const core::Error& error) {
      core::log_warning("wal.rest_not_received", error.message(), {{"instance", id}});
    }
  });
  const auto connected = connected_receiver(id, kRestPatience, stop);
  const bool stored = connected && connected->send_all(kSendAllDeadline, stop) &&
                      connected->wait_until_proven(world_.deps.clock.now(), kProofDeadline, stop);
  const auto hurried = hurry(id);
  stop_server();
  return stored;
}

backup::RecoveryPlan PostgresqlArchives::plan(const control::RecoveryQuestion& question) {
  const auto& instance = question.instances.front();
  const bool grows = question.from.destination.id == question.source.backups.destination_id;
  backup::RecoveryTarget target = backup::ToLatest{};
  if (question.backup_id) target = backup::ToBackup{*question.backup_id};
  if (question.time) target = backup::ToTime{*question.time};
  const auto plan_now = [&] {
    const auto open = repositories_.archive(question.from, instance.id);
    return open.archive->plan(target, world_.deps.clock.now(), grows ? live_end(instance.id) : std::nullopt);
  };
  if (question.time) {
    try {
      return plan_now();
    } catch (const core::Error& error) {
      const bool may_come = grows && question.source.backups.enabled && !question.source.pause &&
                            *question.time <= world_.deps.clock.now();
      if (error.code() != core::Code::kRecoveryOutOfReach || !may_come) throw;
    }
    // A time that has just passed is within reach as soon as the running source has sent everything before it.
    catch_up(instance.id, *question.time);
  } else if (const auto running = receiver(instance.id); running && !question.backup_id) {
    running->send_all(kSendAllDeadline, {});
  }
  return plan_now();
}

std::pair<std::string, std::string> PostgresqlArchives::owner_of(const control::RecoveryQuestion& question) {
  const auto record = repositories_.open(question.from)->instance(question.instances.front().id);
  const auto wishes =
      model::postgres_wishes(world_.offer_of(question.source), question.source.config, question.source.secrets);
  const core::json::object none;
  const auto& details = record ? record->details : none;
  return {core::find_string(details, "role").value_or(wishes.user),
          core::find_string(details, "database").value_or(wishes.database)};
}

std::optional<control::AtRisk> PostgresqlArchives::at_risk(const std::string& instance_id) const {
  const auto found = receiver(instance_id);
  if (!found) return away_.at_risk(instance_id);
  const auto status = found->status();
  return control::AtRisk{status.bytes_at_risk, status.time_at_risk, !status.store_away_since, status.last_error,
                         status.needs_base_backup};
}

std::vector<control::Companion> PostgresqlArchives::companions(const control::ServiceBody& body) {
  if (!body.service.backups.enabled || !body.backups) return {};
  // Its socket is named after the port, and its events are the service's: both change in a switch-over.
  const auto place = fmt::format("{} {} {}", fingerprint(*body.backups), body.service.id, body.instance.port);
  return {{kWalReceiverName, place,
           [this, body](std::stop_token stop, std::int64_t epoch, control::CompanionReporter&) {
             receive(body, stop, epoch);
           }},
          {kArchiveWatchName, place, [this, body](std::stop_token stop, std::int64_t, control::CompanionReporter&) {
             watch_.watch(body, view_of(body.instance.id), stop);
           }}};
}

ReceiverView PostgresqlArchives::view_of(const std::string& instance_id) const {
  return {.gap =
              [this, instance_id] {
                const auto running = receiver(instance_id);
                return running ? running->status().needs_base_backup : std::string();
              },
          .want_backup =
              [this, instance_id](const std::string& reason, postgres::Lsn at) {
                if (const auto running = receiver(instance_id)) running->want_base_backup(reason, at);
              }};
}

std::shared_ptr<repository::Repository> PostgresqlArchives::wait_for_repository(const control::ServiceBody& body,
                                                                                std::stop_token stop,
                                                                                const std::stop_token& store_stop) {
  const auto& id = body.instance.id;
  std::shared_ptr<repository::Repository> repository;
  for (auto pause = kFirstOpenRetry; !repository; pause = std::min(pause * 2, kLongestOpenRetry)) {
    try {
      repository = prepared(repositories_.create_or_open_own(target_of(body), store_stop), body);
    } catch (const core::Error& error) {
      PostgresqlInstance instance(world_, body);
      away_.note(id, error, kept_wal(instance, stop));
      if (!world_.deps.clock.wait(stop, pause)) break;
    }
  }
  away_.forget(id);
  return repository;
}

/// What one before this found missing is still missing. Archiving does not depend on it.
bool PostgresqlArchives::tell_of_backups(repository::Repository& repository, const std::string& instance_id,
                                         backup::WalReceiver& running) {
  try {
    backup::WalArchive archive(repository, instance_id);
    for (const auto& record : archive.backups()) {
      if (record.mechanism == "physical") running.note_base_backup({record.start_lsn});
    }
    const auto window = archive.window();
    const bool had_one = window.earliest || !window.gaps.empty();
    if (had_one && window.needs_base_backup) running.want_base_backup("the newest WAL follows upon no backup");
    return true;
  } catch (const core::Error& error) {
    core::log_warning("wal.window_unknown", error.what(), {{"instance", instance_id}});
    return false;
  }
}

void PostgresqlArchives::receive(const control::ServiceBody& body, std::stop_token stop, std::int64_t epoch) {
  std::stop_source store;
  std::optional<std::jthread> grace;
  const std::stop_callback on_stop(stop, [&] {
    grace.emplace([&](const std::stop_token& ended) {
      if (world_.deps.clock.wait(ended, kStoreGrace)) store.request_stop();
    });
  });
  const auto repository = wait_for_repository(body, stop, store.get_token());
  if (repository) receive_into(repository, body, stop, epoch);
}

void PostgresqlArchives::receive_into(const std::shared_ptr<repository::Repository>& repository,
                                      const control::ServiceBody& body, std::stop_token stop, std::int64_t epoch) {
  PostgresqlInstance instance(world_, body);
  backup::WalReceiverConfig config;
  config.instance = body.instance.id;
  config.connection = instance.server().management_target();
  config.slot = instance.slot();
  config.lease_epoch = static_cast<std::uint64_t>(epoch);
  config.spool_directory = instance.paths().root / "spool";
  const auto receiving = std::make_shared<Receiving>(repository, environment(), config);
  const std::shared_ptr<backup::WalReceiver> running(receiving, &receiving->receiver);
  {
    const core::LockGuard lock(mutex_);
    receivers_[body.instance.id] = running;
  }
  const auto forget = [&] {
    const core::LockGuard lock(mutex_);
    receivers_.erase(body.instance.id);
  };
  const auto tell = [&] { return tell_of_backups(*repository, body.instance.id, *running); };
  std::jthread teller;
  try {
    if (!tell()) {
      teller = std::jthread([&](const std::stop_token& ended) {
        for (auto pause = kFirstOpenRetry; world_.deps.clock.wait(ended, pause) && !tell();) {
          pause = std::min(pause * 2, kLongestOpenRetry);
        }
      });
    }
    running->run(stop);
  } catch (...) {
    forget();
    throw;
  }
  forget();
}

}  // namespace backstay::providers

#include "providers/postgresql.h"

#include "backup/recover.h"
#include "backup/scratch.h"
#include "backup/wal_summaries.h"
#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "os/user_processes.h"
#include "postgres/settings.h"
#include "providers/postgresql_archives.h"
#include "providers/postgresql_dumps.h"
#include "providers/postgresql_imports.h"
#include "providers/postgresql_instance.h"
#include "providers/postgresql_recovery_plan.h"
#include "providers/postgresql_verification.h"
#include "providers/recovery_forecast.h"
#include "providers/server_probe.h"

namespace backstay::providers {
namespace {

constexpr auto kStopDeadline = std::chrono::seconds(60);
constexpr auto kReloadDeadline = std::chrono::seconds(20);
/// Longer than it takes to write all of a large cache to a slow disk.
constexpr auto kCheckpointDeadline = std::chrono::minutes(10);
/// Of the two seconds that a switch-over may take.
constexpr auto kFenceDeadline = std::chrono::milliseconds(900);
constexpr auto kSlotDeadline = std::chrono::seconds(60);
constexpr auto kPoll = std::chrono::milliseconds(100);
constexpr std::uint64_t kLogLimit = 64 << 20;

std::vector<model::EngineVersion> versions_of(const std::vector<postgres::Installation>& installations) {
  std::vector<model::EngineVersion> versions;
  for (const auto& installation : installations) {
    versions.push_back({std::to_string(installation.major), installation.version});
  }
  return versions;
}

class PostgresqlProvider final : public control::Provider {
 public:
  PostgresqlProvider(PostgresqlDependencies deps, PostgresqlConfig config,
                     const std::vector<postgres::Installation>& installations)
      : certificates_(config.state_dir / "ca", deps.files, deps.clock, deps.random),
        world_{deps,
               std::move(config),
               installations,
               versions_of(installations),
               model::Catalogue(
                   model::postgresql_offers(versions_of(installations), postgres::settings_schema_properties())),
               certificates_},
        archives_(world_),
        verification_(world_, archives_.environment()) {}

  [[nodiscard]] std::string kind() const override { return "postgresql"; }
  [[nodiscard]] std::vector<model::ProviderDefinition> offers() const override { return world_.offers.all(); }

  void check(const model::Service& wanted, const model::Service* before) const override;
  control::RecoveryPlan plan_recovery(const control::RecoveryQuestion& question, const model::Service& wanted) override;
  [[nodiscard]] bool port_usable(std::uint16_t port) const override;
  [[nodiscard]] bool user_usable(std::uint32_t uid) const override { return !os::any_process_of(uid); }
  [[nodiscard]] bool port_taken(const control::ServiceBody& body) const override;

  void provision(const control::ServiceBody& body, control::WorkContext& context) override;
  void recover(const control::ServiceBody& body, const control::BackupTarget& from, const control::RecoveryPlan& plan,
               control::WorkContext& context) override;
  void apply(const control::ServiceBody& body, control::WorkContext& context) override;
  void start(const control::ServiceBody& body, control::WorkContext& context) override;
  bool pause(const control::ServiceBody& body, control::WorkContext& context) override;
  void checkpoint(const control::ServiceBody& body, control::WorkContext& context) override;
  void fence(const control::ServiceBody& body, control::WorkContext& context) override;
  void store_rest(const control::ServiceBody& body, std::int64_t epoch, control::WorkContext& context) override;
  void destroy(const control::ServiceBody& body, control::WorkContext& context) override;

  control::Observation observe(const control::ServiceBody& body, bool measure) override;
  void adjust(const control::ServiceBody& body) override;
  void set_read_only(const control::ServiceBody& body, bool read_only) override;
  [[nodiscard]] core::json::object details(const control::ServiceBody& body, bool ready) const override;

  control::BackupOutcome take_backup(const control::ServiceBody& body, const model::Backup& backup,
                                     control::WorkContext& context) override {
    return archives_.take(body, backup, context);
  }
  void confirm_backup(const control::ServiceBody& body, const model::Backup& backup,
                      control::WorkContext& context) override {
    archives_.confirm(body, backup, context);
  }
  [[nodiscard]] std::optional<std::string> verification_problem(const model::Instance& instance,
                                                                const model::Backup& backup) const override {
    return verification_.problem(instance, backup);
  }
  control::VerifiedRestore verify_backup(const control::ServiceBody& body, const model::Backup& backup,
                                         std::uint32_t uid, control::WorkContext& context) override {
    const auto repository = archives_.repositories().open_own(body.backups.value(), context.stop());
    return verification_.verify(*repository, body, backup, uid, context);
  }
  [[nodiscard]] std::optional<std::string> logical_problem(const model::Instance& instance,
                                                           control::DumpWork work) const override {
    return dump_problem(world_, instance, work);
  }
  void write_dump(const model::Instance& instance, const control::BackupTarget& at, const model::Backup& backup,
                  const control::TextSink& sink, std::stop_token stop) override {
    const auto repository = archives_.repositories().open_own(at, stop);
    write_service_dump(world_, archives_.environment(), *repository, instance, backup.id, sink, std::move(stop));
  }
  [[nodiscard]] std::optional<std::string> import_problem(const model::Instance& instance) const override {
    return providers::import_problem(world_, instance);
  }
  core::json::object import_dump(const control::ServiceBody& body, const control::ImportTask& task,
                                 control::WorkContext& context) override {
    return import_into_service(world_, archives_.environment(), body, task, context);
  }
  model::RecoveryWindow recovery_window(const control::ServiceBody& body) override;
  control::RetentionOutcome apply_retention(const control::BackupTarget& at, const model::RetentionQuestion& question,
                                            const control::RemovalTerms& terms,
                                            control::WorkContext& context) override {
    return archives_.apply_retention(at, question, terms, context.stop());
  }
  bool remove_garbage(const control::BackupTarget& at, const control::RemovalTerms& terms,
                      control::WorkContext& context) override {
    return archives_.remove_garbage(at, terms, context.stop());
  }
  [[nodiscard]] std::optional<control::AtRisk> at_risk(const std::string& instance_id) const override {
    return archives_.at_risk(instance_id);
  }
  [[nodiscard]] std::optional<model::ChainReport> chain(const std::string& instance_id) const override {
    return archives_.chain(instance_id);
  }
  std::vector<control::Companion> companions(const control::ServiceBody& body) override {
    return archives_.companions(body);
  }

 private:
  /// Runs, lets clients in and writes down what the server knows of itself.
  model::Instance open(PostgresqlInstance& instance, const control::ServiceBody& body, control::WorkContext& context);
  /// Makes a running server read its configuration; true if some of it needs a restart.
  bool reload(PostgresqlInstance& instance, std::stop_token stop);
  /// False if not all that it wrote was stored before.
  bool stop_server(PostgresqlInstance& instance, const control::ServiceBody& body, control::WorkContext& context);
  /// Without backups nobody would ever free the WAL that the slot keeps.
  void drop_slot(PostgresqlInstance& instance, std::stop_token stop);
  void wait(std::stop_token stop) const {
    if (!world_.deps.clock.wait(stop, kPoll)) throw core::Error(core::Code::kCancelled, "stopped");
  }

  ServerCertificates certificates_;
  PostgresqlWorld world_;
  PostgresqlArchives archives_;
  PostgresqlVerification verification_;
  ServerProbe probe_;
};

void PostgresqlProvider::check(const model::Service& wanted, const model::Service* before) const {
  const auto& offer = world_.offer_of(wanted);
  const auto wishes = model::postgres_wishes(offer, wanted.config, wanted.secrets);
  postgres::validate_settings(wishes.settings);
  const int major = world_.major_of(wanted);  // throws for one that is not installed
  if (!wishes.superuser_password.empty() && !world_.deps.runtime.isolates()) {
    throw core::Error(core::Code::kInvalidArgument,
                      "a superuser can become the user that its server runs as, and services have no users of their "
                      "own here")
        .with_field("/secrets/superuserPassword", "is possible only where Backstay runs as root")
        .with_hint("leave superuserPassword out, or run Backstay as root");
  }
  if (before == nullptr) return;
  core::Error refusal(core::Code::kInvalidArgument, "the change is not possible for an existing database");
  const auto old = model::postgres_wishes(offer, before->config, before->secrets);
  if (wishes.user != old.user) {
    const bool in_config = wanted.config.if_contains("userName") != nullptr;
    refusal.with_field(in_config ? "/config/userName" : "/secrets/username", "cannot be changed");
  }
  if (wishes.database != old.database) refusal.with_field("/config/databaseName", "cannot be changed");
  if (major != world_.major_of(*before)) {
    refusal.with_field("/config/version", "another major version needs a new service");
  }
  if (!refusal.fields().empty()) throw refusal;
}

void check_storage(std::uint64_t data, const model::ServicePlan& plan) {
  const auto storage = plan.resources.find("storage");
  if (storage == plan.resources.end() || data <= static_cast<std::uint64_t>(storage->second) << 20) return;
  throw core::Error(core::Code::kPlanTooSmall,
                    fmt::format("the data is {}, the plan has {}", core::format_bytes(data),
                                core::format_bytes(static_cast<std::uint64_t>(storage->second) << 20)))
      .with_field("/plan/parameters/storage", "is too small for the data");
}

void check_major(int source, int wanted) {
  if (source == 0 || source == wanted) return;
  throw core::Error(core::Code::kInvalidArgument,
                    fmt::format("the backups are of PostgreSQL {}, the new service would be {}", source, wanted))
      .with_field("/provider/version", fmt::format("must be PostgreSQL {}", source))
      .with_hint(source < wanted ? "a logical backup goes into any later version: take one (POST "
                                   "/managed-services/{id}/backups with {\"mechanism\":\"logical\"}) and recover it"
                                 : "choose the version of the source: no backup goes back to an earlier one");
}

model::RecoveryWindow PostgresqlProvider::recovery_window(const control::ServiceBody& body) {
  auto& turns = world_.deps.turns;
  auto turn = turns.try_take(body.service.team_id);
  if (!turn) {
    // What was seen last is better than no answer.
    if (auto known = archives_.known_window(body)) return std::move(*known);
    turn.emplace(turns.take(body.service.team_id));
  }
  return archives_.window(body);
}

control::RecoveryPlan PostgresqlProvider::plan_recovery(const control::RecoveryQuestion& question,
                                                        const model::Service& wanted) {
  const auto turn = world_.deps.turns.take(question.source.team_id);
  if (question.logical) {
    auto plan = plan_dump(world_, *archives_.repositories().open(question.from), question, wanted);
    check_storage(static_cast<std::uint64_t>(core::require_int(plan.facts, "bytes")), wanted.plan);
    return plan;
  }
  check_major(question.instances.front().engine_major, world_.major_of(wanted));
  const auto plan = archives_.plan(question);
  check_storage(plan.file_bytes, wanted.plan);
  auto facts = plan_to_json(plan);
  const auto [role, database] = archives_.owner_of(question);
  facts["sourceRole"] = role;
  facts["sourceDatabase"] = database;
  facts["keepLogins"] = question.keep_logins;
  return {std::move(facts), describe(plan), {}, forecast(plan, world_.deps.memory)};
}

bool PostgresqlProvider::port_usable(std::uint16_t port) const { return can_listen(port); }

bool PostgresqlProvider::port_taken(const control::ServiceBody& body) const {
  return PostgresqlInstance(world_, body).port_taken();
}

model::Instance PostgresqlProvider::open(PostgresqlInstance& instance, const control::ServiceBody& body,
                                         control::WorkContext& context) {
  context.progress("start", 0, 0);
  instance.run(context.stop());
  instance.grant_access(context.stop());
  if (const auto problem = world_.deps.runtime.limits_problem(body.instance.id)) {
    context.event(control::events::kServiceLimitsMissing,
                  fmt::format("the plan's limits are not in force on this machine: {}", *problem));
  }
  return instance.described(context.stop());
}

void PostgresqlProvider::provision(const control::ServiceBody& body, control::WorkContext& context) {
  PostgresqlInstance instance(world_, body);
  context.progress("initialize", 0, 0);
  instance.prepare();
  postgres::initialize_cluster(world_.deps.runner, world_.deps.files,
                               {.installation = instance.installation(),
                                .paths = instance.paths(),
                                .identity = instance.identity(),
                                .management_password = body.instance_secret,
                                .attempt = world_.deps.random.token(12)},
                               context.stop());
  context.save(open(instance, body, context));
}

void PostgresqlProvider::recover(const control::ServiceBody& body, const control::BackupTarget& from,
                                 const control::RecoveryPlan& plan, control::WorkContext& context) {
  const auto repository = archives_.repositories().open_own(from, context.stop());
  if (is_dump_plan(plan.facts)) {
    load_dump(world_, archives_.environment(), *repository, body, plan.facts, context);
    PostgresqlInstance loaded(world_, body);
    context.save(open(loaded, body, context));
    return;
  }
  const auto restored = plan_from_json(plan.facts, *repository);
  PostgresqlInstance instance(world_, body);
  instance.prepare();
  auto launcher = instance.launcher();
  const backup::RecoverRequest request{
      .repository = *repository,
      .plan = restored,
      .name = body.instance.id,
      .paths = instance.paths(),
      .installation = instance.installation(),
      .identity = instance.identity(),
      .launcher = launcher,
      .hints = {},
      .resources = instance.resources(),
      .restore_helper = world_.config.restore_helper,
      .management_password = body.instance_secret,
      .hand_over = postgres::HandOver{core::require_string(plan.facts, "sourceRole"),
                                      core::require_string(plan.facts, "sourceDatabase"), instance.access(),
                                      core::find_bool(plan.facts, "keepLogins").value_or(false)}};
  const auto result = backup::recover(
      archives_.environment(), request,
      [&](const backup::Progress& progress) { context.progress(progress.phase, progress.done, progress.total); },
      context.stop());
  remember_rates(result, world_.deps.clock.now(), world_.deps.memory);
  auto described = open(instance, body, context);
  described.branched_from = model::BranchPoint{restored.instance, restored.timeline.value, result.lsn.value};
  context.save(described);
}

bool PostgresqlProvider::reload(PostgresqlInstance& instance, std::stop_token stop) {
  const auto loaded_at = [&] {
    return instance.server().connect("postgres", stop).query("SELECT pg_conf_load_time()::text").text(0, 0);
  };
  const auto before = loaded_at();
  instance.server().reload();
  const auto deadline = world_.deps.clock.steady_now() + kReloadDeadline;
  while (loaded_at() == before) {
    if (world_.deps.clock.steady_now() > deadline) {
      throw core::Error(core::Code::kTimeout, "the server did not read its new configuration")
          .with_hint("look at the server's log: " + instance.server().log_tail());
    }
    wait(stop);
  }
  return instance.server()
      .connect("postgres", stop)
      .query("SELECT EXISTS (SELECT FROM pg_settings WHERE pending_restart)")
      .truth(0, 0);
}

void PostgresqlProvider::drop_slot(PostgresqlInstance& instance, std::stop_token stop) {
  const auto deadline = world_.deps.clock.steady_now() + kSlotDeadline;
  auto connection = instance.server().connect("postgres", stop);
  for (;;) {
    const auto rows =
        connection.query("SELECT active FROM pg_replication_slots WHERE slot_name = $1", {instance.slot()});
    if (rows.empty()) return;
    if (!rows.truth(0, 0)) {
      connection.query("SELECT pg_drop_replication_slot($1)", {instance.slot()});
      return;
    }
    if (world_.deps.clock.steady_now() > deadline) {
      throw core::Error(core::Code::kTimeout, "the receiver of the service's WAL did not end");
    }
    wait(stop);
  }
}

void PostgresqlProvider::apply(const control::ServiceBody& body, control::WorkContext& context) {
  PostgresqlInstance instance(world_, body);
  instance.prepare();
  world_.deps.runtime.set_limits(instance.place());
  context.progress("settings", 0, 0);
  if (instance.server().find()) {
    instance.write_config();
    if (reload(instance, context.stop())) {
      context.progress("restart", 0, 0);
      stop_server(instance, body, context);
    }
  }
  context.save(open(instance, body, context));
  if (!body.service.backups.enabled) drop_slot(instance, context.stop());
}

void PostgresqlProvider::start(const control::ServiceBody& body, control::WorkContext& context) {
  PostgresqlInstance instance(world_, body);
  instance.prepare();
  instance.run(context.stop());
}

/// A fast stop waits until the store holds all WAL. With the store away the server ends as in a crash, which loses
/// nothing: its WAL is kept for the slot.
bool PostgresqlProvider::stop_server(PostgresqlInstance& instance, const control::ServiceBody& body,
                                     control::WorkContext& context) {
  if (!instance.server().find()) return true;
  const bool stored = archives_.send_all(body, context.stop());
  instance.server().stop(stored ? postgres::StopMode::kFast : postgres::StopMode::kImmediate, kStopDeadline,
                         context.stop());
  return stored;
}

bool PostgresqlProvider::pause(const control::ServiceBody& body, control::WorkContext& context) {
  PostgresqlInstance instance(world_, body);
  context.progress("stop", 0, 0);
  return stop_server(instance, body, context);
}

/// A server that does not answer is stopped all the same, and later.
void PostgresqlProvider::checkpoint(const control::ServiceBody& body, control::WorkContext& context) {
  PostgresqlInstance instance(world_, body);
  if (!instance.server().find()) return;
  context.progress("checkpoint", 0, 0);
  try {
    instance.server().connect("postgres", context.stop()).execute("CHECKPOINT", kCheckpointDeadline);
  } catch (const core::Error& error) {
    if (context.stop().stop_requested()) throw;
    core::log_warning("postgresql.no_checkpoint", error.message(), {{"instance", body.instance.id}});
  }
}

/// A fast stop waits for the receiver to have stored everything; with a store that is slow or away the server ends as
/// in a crash, and its WAL is stored later.
void PostgresqlProvider::fence(const control::ServiceBody& body, control::WorkContext& context) {
  PostgresqlInstance instance(world_, body);
  context.progress("fence", 0, 0);
  probe_.forget(body.instance.id);
  if (!instance.server().find()) return;
  const auto hurry = archives_.hurry(body.instance.id);
  instance.server().stop(postgres::StopMode::kFast, kFenceDeadline, context.stop());
}

void PostgresqlProvider::store_rest(const control::ServiceBody& body, std::int64_t epoch,
                                    control::WorkContext& context) {
  PostgresqlInstance instance(world_, body);
  context.progress("store", 0, 0);
  instance.prepare();
  instance.run_closed(context.stop());
  const bool stored = archives_.store_rest(body, epoch, context.stop(), [&] {
    instance.server().stop(postgres::StopMode::kFast, kStopDeadline, context.stop());
  });
  if (stored) return;
  throw core::Error(core::Code::kUnavailable, "the store does not take the last writes of an instance that served")
      .with_hint("check the store and its network; it is tried again, and the data stays until then");
}

void PostgresqlProvider::destroy(const control::ServiceBody& body, control::WorkContext& context) {
  PostgresqlInstance instance(world_, body);
  context.progress("stop", 0, 0);
  probe_.forget(body.instance.id);
  instance.server().stop(postgres::StopMode::kImmediate, kStopDeadline, context.stop());
  // Not only the server: whoever got a shell may have left something behind, and may have hidden the server itself.
  world_.deps.runtime.end_processes(instance.place(), world_.deps.clock, context.stop());
  context.progress("remove", 0, 0);
  world_.deps.runtime.remove_directory(body.instance.id);
}

control::Observation PostgresqlProvider::observe(const control::ServiceBody& body, bool measure) {
  PostgresqlInstance instance(world_, body);
  control::Observation seen;
  if (!world_.deps.files.stat(instance.paths().data() / "PG_VERSION")) return seen;
  instance.server().bound_log(kLogLimit);
  const auto process = instance.server().find();
  if (!process) {
    probe_.forget(body.instance.id);
    seen.liveness = control::Liveness::kDead;
    const auto tail = instance.server().log_tail();
    seen.reason = tail.empty() ? "its log says nothing" : "the end of its log: " + tail;
    return seen;
  }
  try {
    seen.storage_used = probe_.ask(instance.server(), *process, measure);
    seen.liveness = control::Liveness::kRunning;
  } catch (const core::Error& error) {
    seen.liveness = control::Liveness::kUnreachable;
    seen.reason = error.message();
  }
  return seen;
}

void PostgresqlProvider::adjust(const control::ServiceBody& body) {
  PostgresqlInstance instance(world_, body);
  auto connection = instance.server().connect("postgres", {});
  const auto rows = connection.query(
      "SELECT setting::bigint, (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size') "
      "FROM pg_settings WHERE name = 'max_slot_wal_keep_size'");
  const auto now = static_cast<std::uint64_t>(rows.integer(0, 0));
  const auto wanted = instance.kept_wal_limit(static_cast<std::uint64_t>(rows.integer(0, 1))) >> 20;
  const auto unsummarized = backup::wal_kept_for_summaries(connection);
  const bool too_much = unsummarized && *unsummarized >> 20 > wanted;
  if (too_much) {
    core::log_warning("postgresql.summaries_off",
                      "the server does not summarise its WAL any more, which would fill the disk: it is not asked to "
                      "until its next start",
                      {{"service", body.service.id}, {"mib", std::to_string(*unsummarized >> 20)}});
  } else {
    if (wanted > now - now / 8 && wanted < now + now / 8) return;
    core::log_info("postgresql.kept_wal_changed", "the disk allows another amount of WAL to be kept for the store",
                   {{"service", body.service.id}, {"mib", std::to_string(wanted)}});
  }
  instance.write_config({.summarize_wal = unsummarized && !too_much});
  instance.server().reload();
}

void PostgresqlProvider::set_read_only(const control::ServiceBody& body, bool read_only) {
  auto changed = body;
  changed.read_only = read_only;
  PostgresqlInstance instance(world_, changed);
  instance.write_config();
  reload(instance, {});
}

core::json::object PostgresqlProvider::details(const control::ServiceBody& body, bool ready) const {
  const auto wishes = model::postgres_wishes(world_.offer_of(body.service), body.service.config, body.service.secrets);
  const auto& host = world_.config.service_address;
  return {{"hostname", host},
          {"port", body.instance.port},
          {"dsn", fmt::format("postgresql://{}@{}:{}/{}?sslmode=require", core::url_encode(wishes.user), host,
                              body.instance.port, core::url_encode(wishes.database))},
          {"ready", ready}};
}

}  // namespace

std::unique_ptr<control::Provider> make_postgresql_provider(PostgresqlDependencies dependencies,
                                                            PostgresqlConfig config) {
  auto installations = postgres::find_installations(config.installation_roots);
  if (installations.empty()) {
    core::log_warning("postgresql.not_installed", "no PostgreSQL is installed: none can be deployed");
  }
  for (const auto& installation : installations) {
    core::log_info("postgresql.found", fmt::format("PostgreSQL {}", installation.version),
                   {{"bin", installation.bin.string()}});
  }
  backup::clear_scratch(dependencies.files, scratch_directory(config));
  return std::make_unique<PostgresqlProvider>(dependencies, std::move(config), installations);
}

}  // namespace backstay::providers

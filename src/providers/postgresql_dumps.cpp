#include "providers/postgresql_dumps.h"

#include <algorithm>
#include <limits>

#include "backup/dump.h"
#include "backup/dump_restore.h"
#include "core/error.h"
#include "core/text.h"
#include "postgres/dump_programs.h"

namespace backstay::providers {
namespace {

constexpr auto kStartDeadline = std::chrono::minutes(5);
constexpr auto kStopDeadline = std::chrono::minutes(10);
/// Beside the data: which dump is in it.
constexpr auto kLoadedFile = "loaded-dump";
/// The same on every Linux.
constexpr uid_t kNobody = 65534;

backup::ScratchSpace scratch_of(const PostgresqlWorld& world) {
  return {.parent = scratch_directory(world.config), .claims = world.scratch};
}

/// Whose pg_restore takes a dump into a server: the server's own if it has one. A later one says what the server does
/// not know, and an earlier one than the dump's cannot read it.
const postgres::Installation& restoring_installation(const PostgresqlWorld& world, int dump, int server) {
  const auto usable = postgres::usable_installations(world.installations, dump, server, postgres::dump_problem);
  if (!usable.empty()) return *usable.back();
  const auto versions = dump == server ? fmt::to_string(dump) : fmt::format("{} to {}", dump, server);
  throw core::Error(core::Code::kNotSupported,
                    fmt::format("there is no pg_restore of PostgreSQL {} on this machine", versions))
      .with_hint("install the client programs of one of these versions");
}

/// What SQL is made with: the oldest that can read the dump, whose words later servers know too. Null if there is none.
const postgres::Installation* reading_installation(const PostgresqlWorld& world, int dump) {
  constexpr int kAny = std::numeric_limits<int>::max();
  const auto usable = postgres::usable_installations(world.installations, dump, kAny, postgres::dump_problem);
  return usable.empty() ? nullptr : usable.front();
}

backup::ProgressCallback report_to(control::WorkContext& context) {
  return
      [&context](const backup::Progress& progress) { context.progress(progress.phase, progress.done, progress.total); };
}

/// One cluster on its way from nothing to a loaded dump.
class DumpLoader {
 public:
  DumpLoader(const PostgresqlWorld& world, const backup::Environment& environment, const control::ServiceBody& body,
             control::WorkContext& context)
      : world_(world), environment_(environment), body_(body), context_(context), instance_(world, body) {}

  void load(repository::Repository& repository, const std::string& source, const std::string& backup);

 private:
  void make_cluster();
  void start_closed();
  void restore(repository::Repository& repository, const std::string& source, const std::string& backup);

  const PostgresqlWorld& world_;
  const backup::Environment& environment_;
  const control::ServiceBody& body_;
  control::WorkContext& context_;
  PostgresqlInstance instance_;
};

void DumpLoader::load(repository::Repository& repository, const std::string& source, const std::string& backup) {
  instance_.prepare();
  const auto loaded = instance_.paths().root / kLoadedFile;
  if (environment_.files.stat(loaded)) return;
  try {
    make_cluster();
    start_closed();
    restore(repository, source, backup);
    context_.progress("stop", 0, 0);
    instance_.server().stop(postgres::StopMode::kFast, kStopDeadline, context_.stop());
  } catch (...) {
    instance_.server().stop(postgres::StopMode::kImmediate, kStopDeadline, {});
    throw;
  }
  environment_.files.write_file_durably(loaded, core::as_bytes(backup), 0600);
}

void DumpLoader::make_cluster() {
  context_.progress("initialize", 0, 0);
  instance_.server().stop(postgres::StopMode::kImmediate, kStopDeadline, context_.stop());
  environment_.files.remove_all(instance_.paths().data());
  postgres::initialize_cluster(environment_.processes, environment_.files,
                               {.installation = instance_.installation(),
                                .paths = instance_.paths(),
                                .identity = instance_.identity(),
                                .management_password = body_.instance_secret,
                                .attempt = environment_.random.token(12)},
                               context_.stop());
}

void DumpLoader::start_closed() {
  postgres::ClosedServerConfig config;
  config.port = body_.instance.port;
  config.resources = instance_.resources();
  config.recovering = false;
  config.major = instance_.installation().major;
  postgres::write_server_config(environment_.files, instance_.paths(), config, instance_.identity());
  auto launcher = instance_.launcher();
  auto& server = instance_.server();
  server.wait_until_ready(server.start(launcher), kStartDeadline, context_.stop());
  instance_.grant_access(context_.stop());
}

void DumpLoader::restore(repository::Repository& repository, const std::string& source, const std::string& backup) {
  const auto access = instance_.access();
  const auto record = backup::require_dump(repository, source, backup, instance_.installation().major);
  backup::DumpRestoreRequest request{.from = {.repository = repository,
                                              .instance = source,
                                              .backup_id = backup,
                                              .installation = restoring_installation(world_, backup::dump_major(record),
                                                                                     instance_.installation().major),
                                              .identity = instance_.identity(),
                                              .scratch = scratch_of(world_)},
                                     .connection = instance_.server().management_target(access.database),
                                     .connect_as_superuser = [this](const std::string& database) {
                                       return instance_.server().connect(database, context_.stop());
                                     }};
  request.connection.user = access.role;
  request.connection.password = {};
  request.connection.options.clear();
  backup::restore_dump(environment_, request, report_to(context_), context_.stop());
}

}  // namespace

std::filesystem::path scratch_directory(const PostgresqlConfig& config) { return config.state_dir / "scratch"; }

std::optional<os::Identity> dump_reader(const model::Instance& instance) {
  const auto identity = identity_of(instance);
  if (!identity || instance.state != model::InstanceState::kRemoved) return identity;
  return os::Identity{kNobody, kNobody};
}

std::optional<std::string> dump_problem(const PostgresqlWorld& world, const model::Instance& instance,
                                        control::DumpWork work) {
  if (instance.engine_major == 0) return std::nullopt;  // it has no data yet, which is told elsewhere
  if (work == control::DumpWork::kTake) {
    const int major = instance.engine_major;
    const auto own = std::ranges::find(world.installations, major, &postgres::Installation::major);
    if (own != world.installations.end()) return postgres::dump_problem(*own);
    return fmt::format("no pg_dump of PostgreSQL {} is installed on this machine", major);
  }
  if (reading_installation(world, instance.engine_major) != nullptr) return std::nullopt;
  return fmt::format("no pg_restore of PostgreSQL {} or later is installed on this machine", instance.engine_major);
}

repository::BackupRecord take_service_dump(const PostgresqlWorld& world, const backup::Environment& environment,
                                           repository::Repository& repository, const control::ServiceBody& body,
                                           const model::Backup& backup, control::WorkContext& context) {
  PostgresqlInstance instance(world, body);
  const backup::DumpRequest request{.repository = repository,
                                    .instance = body.instance.id,
                                    .backup_id = backup.id,
                                    .connection = instance.server().management_target(instance.access().database),
                                    .installation = instance.installation(),
                                    .identity = instance.identity(),
                                    .scratch = scratch_of(world),
                                    .label = "backstay " + backup.id,
                                    .origin = std::string(model::to_text(backup.origin))};
  return backup::take_dump(environment, request, report_to(context), context.stop());
}

control::RecoveryPlan plan_dump(const PostgresqlWorld& world, repository::Repository& repository,
                                const control::RecoveryQuestion& question, const model::Service& wanted) {
  const auto& source = question.instances.front();
  const int major = world.major_of(wanted);
  const auto refuse = [](std::string message, const std::string& pointer, std::string field) {
    throw core::Error(core::Code::kInvalidArgument, std::move(message)).with_field(pointer, std::move(field));
  };
  if (source.engine_major > major) {
    refuse(fmt::format("the dump is of PostgreSQL {}, and cannot go back to {}", source.engine_major, major),
           "/provider/version", fmt::format("must be PostgreSQL {} or later", source.engine_major));
  }
  if (question.keep_logins) {
    refuse("a logical backup has no roles whose logins could be kept", "/recoverFrom/keepLogins",
           "goes with physical backups");
  }
  const auto record = backup::require_dump(repository, source.id, *question.backup_id, major);
  restoring_installation(world, backup::dump_major(record), major);
  const std::string taken = core::format_time(record.taken.value_or(record.stop_time));
  control::RecoveryPlan plan;
  plan.facts = {
      {"mechanism", "logical"}, {"instance", source.id}, {"backup", record.backup}, {"bytes", record.data_size}};
  plan.description =
      fmt::format("the logical backup '{}' of PostgreSQL {}, taken {}", record.backup, record.postgres_version, taken);
  plan.forecast = {
      {"instanceId", source.id},
      {"time", taken},
      {"backup", {{"id", record.backup}, {"takenAt", taken}, {"storedBytes", record.stored_size}}},
      {"restoreBytes", record.data_size},
      {"warnings", core::json::array{"all becomes the application role's own: other roles, their privileges, and "
                                     "subscriptions are not in a logical backup"}}};
  return plan;
}

bool is_dump_plan(const core::json::object& facts) {
  return core::find_string(facts, "mechanism").value_or("") == "logical";
}

void load_dump(const PostgresqlWorld& world, const backup::Environment& environment, repository::Repository& repository,
               const control::ServiceBody& body, const core::json::object& facts, control::WorkContext& context) {
  DumpLoader(world, environment, body, context)
      .load(repository, core::require_string(facts, "instance"), core::require_string(facts, "backup"));
}

void write_service_dump(const PostgresqlWorld& world, const backup::Environment& environment,
                        repository::Repository& repository, const model::Instance& instance,
                        const std::string& backup_id, const control::TextSink& sink, std::stop_token stop) {
  const auto* const installation = reading_installation(world, instance.engine_major);
  if (installation == nullptr) {
    throw core::Error(core::Code::kNotSupported,
                      dump_problem(world, instance, control::DumpWork::kRead).value_or("there is no pg_restore"));
  }
  const backup::StoredDump from{.repository = repository,
                                .instance = instance.id,
                                .backup_id = backup_id,
                                .installation = *installation,
                                .identity = dump_reader(instance),
                                .scratch = scratch_of(world)};
  backup::write_dump_as_sql(environment, from, sink, std::move(stop));
}

}  // namespace backstay::providers

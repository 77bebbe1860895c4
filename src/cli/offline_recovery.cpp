#include "cli/offline_recovery.h"

#include <pwd.h>
#include <unistd.h>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "backup/recover.h"
#include "backup/restore.h"
#include "cli/offline_command.h"
#include "core/error.h"
#include "core/text.h"
#include "postgres/server.h"
#include "postgres/server_config.h"
#include "repository/wal_store.h"

namespace backstay::cli {
namespace {

constexpr auto kStartDeadline = std::chrono::minutes(10);
constexpr mode_t kPrivateDirectory = 0700;
/// There is no management role here: the roles are the backup's, and their owner gets in as everywhere else.
constexpr std::string_view kHostAccess =
    "local all all peer\n"
    "host all all 127.0.0.1/32 scram-sha-256\n"
    "host all all ::1/128 scram-sha-256\n";

std::optional<os::Identity> identity_of(const std::string& user) {
  if (geteuid() != 0) {
    if (!user.empty()) throw core::Error(core::Code::kInvalidArgument, "--run-as needs root");
    return std::nullopt;
  }
  const std::string name = user.empty() ? "postgres" : user;
  // The command line has one thread here.
  const passwd* const entry = getpwnam(name.c_str());  // NOLINT(concurrency-mt-unsafe)
  if (entry == nullptr) {
    throw core::Error(core::Code::kInvalidArgument, fmt::format("there is no user '{}'", name))
        .with_hint("PostgreSQL does not run as root; name the user that it runs as with --run-as");
  }
  return os::Identity{entry->pw_uid, entry->pw_gid};
}

postgres::Installation installation_for(const backup::RecoveryPlan& plan, const RecoveredServerOptions& options) {
  const std::filesystem::path place =
      options.postgres_bin.empty() ? std::filesystem::path(postgres::kDebianRoot) : options.postgres_bin;
  const auto installations = postgres::find_installations(std::array{place});
  const auto major = core::parse_int(plan.base.postgres_version.substr(0, plan.base.postgres_version.find('.')));
  return postgres::installation_of(installations, static_cast<int>(major.value_or(0)));
}

std::filesystem::path helper_path(const RecoveredServerOptions& options) {
  if (!options.restore_helper.empty()) return std::filesystem::absolute(options.restore_helper);
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "backstay-restore-wal";
}

std::string describe_stop(const backup::RecoveryPlan& plan) {
  if (plan.stop.immediate) return "the end of the backup";
  return fmt::format("{} {}", plan.stop.inclusive ? "through" : "before", postgres::format_lsn(plan.stop.lsn));
}

std::string pairs_text(const backup::RecoveryPlan& plan, const std::filesystem::path& data) {
  std::string text = fmt::format("base backup  {}\nstopped      {}\ndata         {}\n", plan.base.backup,
                                 describe_stop(plan), data.string());
  if (plan.last_commit) text += fmt::format("last commit  {}\n", core::format_time(*plan.last_commit));
  for (const std::string& warning : plan.warnings) text += fmt::format("warning      {}\n", warning);
  return text;
}

/// Lays every segment of the plan into `directory`, zero-padded, and the history files.
void bring_wal(LocalWorld& world, repository::Repository& repository, const backup::RecoveryPlan& plan,
               const std::filesystem::path& directory, const std::optional<os::Identity>& identity,
               const std::stop_token& stop) {
  const std::uint64_t size = plan.base.wal_segment_size;
  repository::WalStore wal(repository, plan.instance, size);
  const auto lay_down = [&](const std::string& name, core::Bytes bytes) {
    world.files.write_file_durably(directory / name, bytes, 0600);
    if (identity) world.files.set_owner(directory / name, identity->uid, identity->gid);
  };
  for (const std::uint32_t timeline : wal.timelines()) {
    if (timeline > plan.timeline.value) break;
    if (auto history = wal.get_history(timeline)) {
      lay_down(postgres::history_name({timeline}), *std::move(history));
    }
    for (const auto& stored :
         wal.list_expected(timeline, plan.wal_from.value / size, (plan.wal_to.value - 1) / size, plan.wal_to.value)) {
      if (stop.stop_requested()) throw core::Error(core::Code::kCancelled, "the restore was stopped");
      auto data = wal.read_segment(timeline, stored);
      if (!data) continue;
      data->bytes.resize(size);
      lay_down(postgres::segment_name({timeline}, stored.segment, size), std::move(data->bytes));
    }
  }
}

std::string recovery_settings(const backup::RecoveryPlan& plan) {
  std::string text = "restore_command = 'cp \"../recovery/wal/%f\" \"%p\"'\nrecovery_target_action = 'promote'\n";
  text += fmt::format("recovery_target_timeline = '{}'\n", plan.timeline.value);
  if (plan.stop.immediate) return text + "recovery_target = 'immediate'\n";
  return text + fmt::format("recovery_target_lsn = '{}'\nrecovery_target_inclusive = {}\n",
                            postgres::format_lsn(plan.stop.lsn), plan.stop.inclusive ? "on" : "off");
}

}  // namespace

void TargetOptions::add_to(CLI::App& command) {
  auto* const by_time = command.add_option("--target-time,--time", time, "RFC 3339, e.g. 2026-04-10T12:00:00Z");
  auto* const by_latest = command.add_flag("--target-latest", latest, "everything that the archive has");
  auto* const by_backup = command.add_option("--backup", backup, "the state of one backup, by its id");
  by_time->excludes(by_latest)->excludes(by_backup);
  by_latest->excludes(by_backup);
}

backup::RecoveryTarget TargetOptions::target(bool or_latest) const {
  if (!time.empty()) return backup::ToTime{core::parse_time(time)};
  if (!backup.empty()) return backup::ToBackup{backup};
  if (latest || or_latest) return backup::ToLatest{};
  throw core::Error(core::Code::kInvalidArgument, "no target was given")
      .with_hint("say --target-time, --target-latest or --backup");
}

void RecoveredServerOptions::add_to(CLI::App& command) {
  command.add_option("--directory", directory, "a new directory for the recovered instance")->required();
  command.add_option("--run-as", run_as, "as root: the user that PostgreSQL runs as (postgres)");
  command.add_option("--postgres", postgres_bin, "where PostgreSQL is installed (/usr/lib/postgresql)");
  command.add_option("--restore-helper", restore_helper, "the program backstay-restore-wal (beside this one)");
  command.add_option("--port", port, "for --start");
}

OfflineResult recover_offline(LocalWorld& world, repository::Repository& repository, const backup::RecoveryPlan& plan,
                              const RecoveredServerOptions& options, std::stop_token stop) {
  postgres::ProcessLauncher launcher(world.processes);
  const postgres::InstancePaths paths{std::filesystem::absolute(options.directory)};
  backup::RecoverRequest request{.repository = repository,
                                 .plan = plan,
                                 .name = paths.root.filename().string(),
                                 .paths = paths,
                                 .installation = installation_for(plan, options),
                                 .identity = identity_of(options.run_as),
                                 .launcher = launcher};
  request.restore_helper = helper_path(options);
  const auto environment = world.environment();
  const auto result = backup::recover(environment, request, draw_progress(), stop);
  end_progress();

  postgres::OpenServerConfig config;
  config.port = options.port;
  config.major = request.installation.major;
  postgres::write_server_config(world.files, paths, config, request.identity);
  postgres::write_readable_file(world.files, paths.config() / "pg_hba.conf", kHostAccess, request.identity);
  OfflineResult out;
  out.json = plan_to_json(plan);
  out.json["dataDirectory"] = paths.data().string();
  out.json["timeline"] = result.timeline.value;
  out.json["lsn"] = postgres::format_lsn(result.lsn);
  out.text = pairs_text(plan, paths.data());
  out.text += fmt::format("timeline     {}\ntime         {} restore, {} replay\n", result.timeline.value,
                          core::format_duration(result.restore_time), core::format_duration(result.replay_time));
  if (options.start) {
    postgres::ServerDescription description;
    description.name = request.name;
    description.installation = request.installation;
    description.paths = paths;
    description.port = options.port;
    description.identity = request.identity;
    postgres::Server server(description, world.files, world.clock);
    server.wait_until_ready(server.start(launcher), kStartDeadline, std::move(stop));
    out.json["port"] = options.port;
    out.text +=
        fmt::format("listens      127.0.0.1:{}, and on the socket in {}\n", options.port, paths.socket().string());
  } else {
    out.text +=
        fmt::format("start it     {} -D {} -c config_file={}\n", request.installation.program("postgres").string(),
                    paths.data().string(), (paths.config() / "postgresql.conf").string());
  }
  return out;
}

OfflineResult restore_offline(LocalWorld& world, repository::Repository& repository, const backup::RecoveryPlan& plan,
                              const RecoveredServerOptions& options, std::stop_token stop) {
  const postgres::InstancePaths paths{std::filesystem::absolute(options.directory)};
  const auto identity = identity_of(options.run_as);
  const auto wal = paths.recovery() / "wal";
  for (const auto& path : {paths.root, paths.recovery(), wal, paths.tablespaces()}) {
    world.files.make_directories(path, kPrivateDirectory);
    if (identity) world.files.set_owner(path, identity->uid, identity->gid);
  }
  backup::RestoreRequest request{.repository = repository,
                                 .instance = plan.instance,
                                 .backup_id = plan.base.backup,
                                 .record = plan.base,
                                 .data_directory = paths.data(),
                                 .tablespace_directory = paths.tablespaces(),
                                 .identity = identity};
  const auto restored = backup::restore_files(world.environment(), request, draw_progress(), stop);
  bring_wal(world, repository, plan, wal, identity, stop);
  end_progress();
  // What ALTER SYSTEM had set at the source is not taken over.
  for (const auto& [name, content] :
       {std::pair<std::string, std::string>{"postgresql.auto.conf", recovery_settings(plan)},
        std::pair<std::string, std::string>{"recovery.signal", ""}}) {
    world.files.write_file_durably(paths.data() / name, core::as_bytes(content), 0600);
    if (identity) world.files.set_owner(paths.data() / name, identity->uid, identity->gid);
  }
  OfflineResult out;
  out.json = plan_to_json(plan);
  out.json["dataDirectory"] = paths.data().string();
  out.json["files"] = restored.files;
  out.json["bytes"] = restored.bytes;
  out.text = pairs_text(plan, paths.data());
  out.text += fmt::format(
      "restored     {} files, {}\nnext         start PostgreSQL {} on the data directory: it replays "
      "the WAL in recovery/wal and opens\n",
      restored.files, core::format_bytes(restored.bytes), plan.base.postgres_version);
  return out;
}

core::json::object plan_to_json(const backup::RecoveryPlan& plan) {
  core::json::object json = {{"instance", plan.instance},
                             {"backup", plan.base.backup},
                             {"stop", describe_stop(plan)},
                             {"fileBytes", plan.file_bytes},
                             {"walBytes", plan.wal_bytes}};
  if (plan.time) json["time"] = core::format_time(*plan.time);
  if (plan.last_commit) json["lastCommit"] = core::format_time(*plan.last_commit);
  core::json::array warnings;
  for (const std::string& warning : plan.warnings) warnings.emplace_back(warning);
  json["warnings"] = std::move(warnings);
  return json;
}

}  // namespace backstay::cli

#include "cli/pg_commands.h"

#include <map>
#include <memory>
#include <optional>

#include <unistd.h>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "backup/base_backup.h"
#include "backup/cluster_copy.h"
#include "backup/incremental_facts.h"
#include "backup/wal_receiver.h"
#include "cli/offline_command.h"
#include "cli/offline_recovery.h"
#include "cli/repository_access.h"
#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "postgres/control_file.h"

namespace backstay::cli {
namespace {

struct PgOptions {
  RepositoryAccess access;
  std::string output = "table";
  std::string instance;
  std::string connection;
  std::filesystem::path password_file;
  std::filesystem::path data_directory;
  std::string label;
  std::string compression = "zstd";
  unsigned workers = 2;
  bool full = false;
  std::string slot;
  TargetOptions target;
  RecoveredServerOptions server;
};

/// Where a running server of this data directory listens, as its postmaster.pid says.
void fill_from_data_directory(postgres::ConnectionTarget& target, const std::filesystem::path& data,
                              os::FileSystem& files) {
  const auto path = data / "postmaster.pid";
  if (data.empty() || !files.stat(path)) return;
  const auto bytes = files.read_file(path);
  const auto lines = core::split(core::as_text(bytes), '\n');
  if (lines.size() < 5) return;
  target.port = static_cast<std::uint16_t>(core::parse_int(lines[3]).value_or(target.port));
  const std::filesystem::path socket(std::string(core::trim(lines[4])));
  if (!socket.empty()) target.socket_directory = socket.is_absolute() ? socket : data / socket;
}

/// "host=/run/postgresql port=5432 user=postgres dbname=postgres sslmode=… sslrootcert=…"
postgres::ConnectionTarget read_connection(const PgOptions& options, os::FileSystem& files) {
  postgres::ConnectionTarget target;
  target.user = "postgres";
  fill_from_data_directory(target, options.data_directory, files);
  for (const std::string& part : core::split(options.connection, ' ')) {
    if (part.empty()) continue;
    const auto equals = part.find('=');
    const std::string name = part.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : part.substr(equals + 1);
    if (name == "host" && value.starts_with("/")) {
      target.socket_directory = value;
    } else if (name == "host") {
      target.host = value;
      target.socket_directory.clear();
    } else if (name == "port") {
      target.port = static_cast<std::uint16_t>(core::parse_int(value).value_or(0));
    } else if (name == "user") {
      target.user = value;
    } else if (name == "dbname") {
      target.database = value;
    } else if (name == "sslmode") {
      target.ssl_mode = value;
    } else if (name == "sslrootcert") {
      target.ssl_root_cert = value;
    } else {
      throw core::Error(core::Code::kInvalidArgument, fmt::format("'{}' is not a part of a connection", name))
          .with_hint(
              "host, port, user, dbname, sslmode and sslrootcert are; passwords come from --password-file or "
              "PGPASSWORD");
    }
  }
  if (!options.password_file.empty()) {
    const auto bytes = files.read_file(options.password_file);
    target.password = core::Secret(std::string(core::trim(core::as_text(bytes))));
  } else if (const char* const password = std::getenv("PGPASSWORD"); password != nullptr) {
    target.password = core::Secret(password);
  }
  if (target.socket_directory.empty() && target.host.empty()) {
    throw core::Error(core::Code::kInvalidArgument, "no server was named")
        .with_hint("say --connection \"host=… port=…\", or --data-directory of a running server");
  }
  return target;
}

/// The instance of this name, made if there is none.
std::string ensure_instance(LocalWorld& world, repository::Repository& repository, const std::string& name,
                            const postgres::ControlFile& control, const std::string& version) {
  for (const std::string& id : repository.instances()) {
    const auto record = repository.instance(id);
    if (record && record->service_name == name) return id;
  }
  repository::InstanceRecord record;
  record.instance = world.random.uuid();
  record.service = world.random.uuid();
  record.service_name = name;
  record.provider = "postgresql";
  record.postgres_major = static_cast<std::uint32_t>(core::parse_int(core::split(version, '.').front()).value_or(0));
  record.system_identifier = control.system_identifier;
  record.wal_segment_size = control.wal_segment_size;
  record.created = world.clock.now();
  repository.put_instance(record);
  return record.instance;
}

std::string ensure_instance(LocalWorld& world, repository::Repository& repository, const PgOptions& options,
                            const postgres::ConnectionTarget& target, const std::stop_token& stop) {
  const auto control =
      postgres::parse_control_file(backup::read_control_file(world.clock, options.data_directory, stop));
  postgres::Connection connection(target, stop);
  return ensure_instance(world, repository, options.instance, control,
                         connection.query("SHOW server_version").text(0, 0));
}

/// A directory that goes with the object.
class ScratchDirectory {
 public:
  explicit ScratchDirectory(LocalWorld& world)
      : files_(world.files), path_(std::filesystem::temp_directory_path() / ("backstay-" + world.random.token(12))) {
    files_.make_directories(path_, 0700);
  }
  ~ScratchDirectory() {
    try {
      files_.remove_all(path_);
    } catch (const std::exception& e) {
      core::log_warning("cli.directory_left", "a temporary directory could not be removed",
                        {{"directory", path_.string()}, {"error", e.what()}});
    }
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  os::FileSystem& files_;
  std::filesystem::path path_;
};

std::uint64_t new_epoch(LocalWorld& world) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(world.clock.now().time_since_epoch()).count());
}

void take_backup(const PgOptions& options, std::stop_token stop) {
  LocalWorld world;
  const auto repository = options.access.open(world, stop);
  const auto target = read_connection(options, world.files);
  const ScratchDirectory scratch(world);
  backup::BaseBackupRequest request{.repository = *repository,
                                    .instance = ensure_instance(world, *repository, options, target, stop),
                                    .backup_id = world.random.uuid(),
                                    .data_directory = options.data_directory,
                                    .connection = target};
  request.spool_directory = scratch.path() / "wal";
  request.scratch_directory = scratch.path();
  request.epoch = new_epoch(world);
  request.label = options.label;
  request.workers = options.workers;
  request.full = options.full;
  request.compression = codec::parse_compression(options.compression);
  const auto begin = world.clock.steady_now();
  const auto record = backup::take_base_backup(world.environment(), request, draw_progress(), std::move(stop));
  end_progress();
  const auto took = std::chrono::duration_cast<core::Duration>(world.clock.steady_now() - begin);
  std::string text = fmt::format("stored backup {} of {}: {} files, {}, {} in the store, in {}\n", record.backup,
                                 options.instance, record.file_count, core::format_bytes(record.data_size),
                                 core::format_bytes(record.stored_size), core::format_duration(took));
  const auto facts = backup::facts_of(record);
  text += facts.base.empty()
              ? fmt::format("a full one: {}\n", facts.reason)
              : fmt::format("upon backup {}: {} read\n", facts.base, core::format_bytes(facts.read_bytes));
  if (facts.compared_wal > 0) {
    text += fmt::format("{} of WAL compared with the server's own summaries\n", core::format_bytes(facts.compared_wal));
  }
  if (!facts.mismatch.empty()) text += fmt::format("warning: {}\n", facts.mismatch);
  if (record.pages_failed > 0) {
    text += fmt::format("warning: {} pages fail their checksum; see the backup's details\n", record.pages_failed);
  }
  print_result(options.output,
               core::json::object{{"backup", record.backup},
                                  {"instance", record.instance},
                                  {"files", record.file_count},
                                  {"dataBytes", record.data_size},
                                  {"storedBytes", record.stored_size},
                                  {"incremental", !facts.base.empty()},
                                  {"base", facts.base},
                                  {"fullReason", facts.reason},
                                  {"readBytes", facts.read_bytes},
                                  {"comparedWal", facts.compared_wal},
                                  {"notCompared", facts.not_compared},
                                  {"pagesFailed", record.pages_failed},
                                  {"startLsn", postgres::format_lsn({record.start_lsn})},
                                  {"stopLsn", postgres::format_lsn({record.stop_lsn})},
                                  {"stopTime", core::format_time(record.stop_time)},
                                  {"seconds", std::chrono::duration<double>(took).count()}},
               text);
}

void receive_wal(const PgOptions& options, std::stop_token stop) {
  LocalWorld world;
  const auto repository = options.access.open(world, stop);
  const ScratchDirectory scratch(world);
  backup::WalReceiverConfig config;
  config.connection = read_connection(options, world.files);
  config.instance = options.data_directory.empty()
                        ? find_instance(*repository, options.instance)
                        : ensure_instance(world, *repository, options, config.connection, stop);
  config.slot = options.slot.empty() ? "backstay_" + config.instance.substr(0, 8) : options.slot;
  config.lease_epoch = new_epoch(world);
  config.spool_directory = scratch.path() / "wal";
  backup::WalReceiver receiver(world.environment(), *repository, config);
  receiver.run(std::move(stop));
  const auto status = receiver.status();
  print_result(options.output,
               core::json::object{{"instance", config.instance},
                                  {"slot", config.slot},
                                  {"receivedLsn", postgres::format_lsn(status.received)},
                                  {"storedLsn", postgres::format_lsn(status.stored)}},
               fmt::format("received up to {}, stored up to {}; the slot '{}' keeps what follows\n",
                           postgres::format_lsn(status.received), postgres::format_lsn(status.stored), config.slot));
}

void recover(const PgOptions& options, std::stop_token stop) {
  LocalWorld world;
  const auto repository = options.access.open(world, stop);
  const std::string instance = find_instance(*repository, options.instance);
  const auto plan = backup::WalArchive(*repository, instance).plan(options.target.target(false), world.clock.now());
  const auto result = recover_offline(world, *repository, plan, options.server, std::move(stop));
  print_result(options.output, result.json, result.text);
}

std::shared_ptr<PgOptions> add_command(CLI::App& group, const std::string& name, const std::string& help,
                                       void (*run)(const PgOptions&, std::stop_token), CLI::App** made) {
  const auto options = std::make_shared<PgOptions>();
  CLI::App& command = *group.add_subcommand(name, help);
  options->access.add_to(command);
  add_output_option(command, options->output);
  command.add_option("--instance", options->instance, "the database's name in the repository")->required();
  set_offline_callback(command, [options, run](std::stop_token stop) { run(*options, std::move(stop)); });
  *made = &command;
  return options;
}

void add_connection_options(CLI::App& command, PgOptions& options) {
  command.add_option("--connection", options.connection,
                     "\"host=… port=… user=… dbname=…\"; by default as --data-directory's postmaster.pid says");
  command.add_option("--password-file", options.password_file, "file with the password; else PGPASSWORD");
}

}  // namespace

void add_pg_commands(CLI::App& program) {
  CLI::App& group = *program.add_subcommand("pg", "back up and recover a PostgreSQL on this machine, without a server");
  group.require_subcommand(1);
  CLI::App* command = nullptr;

  auto options = add_command(group, "backup", "take a base backup with the WAL that it needs", take_backup, &command);
  add_connection_options(*command, *options);
  command->add_option("--data-directory", options->data_directory, "of the running server")->required();
  command->add_option("--label", options->label, "a text for people");
  command->add_flag("--full", options->full,
                    "read and store everything, not only what has changed since an earlier one");
  command->add_option("--compression", options->compression, "zstd, lz4 or none");
  command->add_option("--workers", options->workers, "parallel readers")->check(CLI::Range(1, 64));

  options = add_command(group, "receive-wal", "stream WAL into the repository until stopped", receive_wal, &command);
  add_connection_options(*command, *options);
  command->add_option("--data-directory", options->data_directory, "of the running server; makes the instance if new");
  command->add_option("--slot", options->slot, "the replication slot; made if it is not there");

  options = add_command(group, "recover", "recover to a time, a backup or the latest state", recover, &command);
  options->target.add_to(*command);
  options->server.add_to(*command);
  command->add_flag("--start", options->server.start, "leave the server running");
}

}  // namespace backstay::cli

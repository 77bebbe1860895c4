#include "postgres/server_config.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/bytes.h"
#include "core/text.h"
#include "os/untrusted_directory.h"
#include "postgres/postmaster_file.h"

namespace backstay::postgres {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMebibyte = 1u << 20;
/// Less serves nobody.
constexpr std::uint64_t kLeastBuffers = 16 * kMebibyte;
constexpr int kMaxWalSenders = 10;
constexpr int kMaxWorkerProcesses = 8;
constexpr int kMaxPreparedInReplay = 1000;
constexpr int kVersionWithConnectionCheck = 14;
constexpr int kVersionWithSyncMethod = 14;
constexpr int kVersionWithSummaries = 17;
constexpr int kLocksPerTransaction = 64;  // PostgreSQL's default

/// One file, line by line.
class ConfigText {
 public:
  void comment(std::string_view text) { text_ += fmt::format("# {}\n", text); }
  void set(std::string_view name, std::string_view value) {
    std::string quoted;
    for (const char c : value) {
      if (c == '\'' || c == '\\') quoted += c;
      quoted += c;
    }
    text_ += fmt::format("{} = '{}'\n", name, quoted);
  }
  void set(std::string_view name, std::int64_t value) { set(name, std::to_string(value)); }
  void set_mebibytes(std::string_view name, std::uint64_t bytes) {
    set(name, fmt::format("{}MB", std::max<std::uint64_t>(1, bytes / kMebibyte)));
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void set_memory(ConfigText& text, const ServerResources& resources) {
  const auto memory = resources.memory_bytes;
  const auto connections = static_cast<std::uint64_t>(std::max(1, resources.max_connections));
  text.set_mebibytes("shared_buffers", std::max(memory / 4, kLeastBuffers));
  text.set_mebibytes("effective_cache_size", memory * 3 / 4);
  text.set_mebibytes("maintenance_work_mem", std::clamp(memory / 16, 16 * kMebibyte, 2048 * kMebibyte));
  text.set_mebibytes("work_mem", std::clamp(memory / 4 / connections, 1 * kMebibyte, 256 * kMebibyte));
  text.set("max_parallel_workers", std::clamp(static_cast<int>(resources.cpus), 1, kMaxWorkerProcesses));
}

/// What is the same for every server of ours.
void set_common(ConfigText& text, std::uint16_t port, const fs::path& socket_directory, int major) {
  text.comment("Written anew at every start; changes made here are lost.");
  text.set("port", port);
  text.set("unix_socket_directories", socket_directory.string());
  text.set("unix_socket_permissions", "0700");
  text.set("password_encryption", "scram-sha-256");
  text.set("wal_level", "replica");
  text.set("archive_mode", "off");
  text.set("logging_collector", "off");
  text.set("log_destination", "stderr");
  text.set("log_line_prefix", "%m [%p] %q%u@%d ");
  text.set("log_timezone", "UTC");
  text.set("timezone", "UTC");
  text.set("lc_messages", "C");
  text.set("lc_monetary", "C.UTF-8");
  text.set("lc_numeric", "C.UTF-8");
  text.set("lc_time", "C.UTF-8");
  text.set("datestyle", "iso, mdy");
  text.set("default_text_search_config", "pg_catalog.english");
  text.set("max_wal_size", "1GB");
  text.set("min_wal_size", "80MB");
  if (major >= kVersionWithConnectionCheck) text.set("client_connection_check_interval", "10s");
}

std::int64_t number_of(const SettingValues& settings, const std::string& name, std::int64_t otherwise) {
  const auto found = settings.find(name);
  return found == settings.end() ? otherwise : core::parse_int(found->second).value_or(otherwise);
}

SettingValues raised_to(SettingValues settings, const StartLimits& needed, int max_connections) {
  const auto raise = [&](const std::string& name, std::int64_t otherwise, std::int64_t least) {
    if (number_of(settings, name, otherwise) < least) settings[name] = std::to_string(least);
  };
  raise("max_prepared_transactions", 0, needed.max_prepared_transactions);
  const auto sharers =
      number_of(settings, "max_connections", max_connections) + number_of(settings, "max_prepared_transactions", 0);
  raise("max_locks_per_transaction", kLocksPerTransaction, (needed.lock_slots + sharers - 1) / sharers);
  return settings;
}

constexpr std::string_view kRecoverySignal = "recovery.signal";
constexpr std::string_view kHelperName = "backstay-restore-wal";

/// For a shell, and with the percent sign as restore_command wants it.
std::string shell_word(const fs::path& path) {
  std::string word = "'";
  for (const char c : path.string()) {
    if (c == '\'') {
      word += "'\\''";
    } else if (c == '%') {
      word += "%%";
    } else {
      word += c;
    }
  }
  return word + '\'';
}

void set_recovery(ConfigText& text, const ClosedServerConfig& config) {
  text.set("restore_command", fmt::format("exec ../config/{} {} %f %p", kHelperName, shell_word(config.fetch_socket)));
  text.set("recovery_target_timeline", config.target.timeline.value);
  text.set("recovery_target_action", "promote");
  // Nobody else needs the memory meanwhile, and what is not evicted need not be written and read again.
  text.set_mebibytes("shared_buffers", std::max(config.resources.memory_bytes / 2, kLeastBuffers));
  if (config.target.immediate) {
    text.set("recovery_target", "immediate");
  } else if (config.target.lsn) {
    text.set("recovery_target_lsn", format_lsn(*config.target.lsn));
    text.set("recovery_target_inclusive", config.target.inclusive ? "on" : "off");
  }
}

void write_files(os::FileSystem& files, const InstancePaths& paths, const std::string& conf, const std::string& hba,
                 bool recovering, bool durable, const std::optional<os::Identity>& owner) {
  const auto write = durable ? write_readable_file : write_passing_file;
  write(files, paths.config() / "postgresql.conf", conf, owner);
  write(files, paths.config() / "pg_hba.conf", hba, owner);
  write(files, paths.config() / "pg_ident.conf", "", owner);
  // ALTER SYSTEM would win over our file.
  files.remove(paths.data() / "postgresql.auto.conf");
  files.remove(paths.data() / "standby.signal");
  files.remove(paths.data() / kRecoverySignal);
  if (recovering) os::UntrustedDirectory(paths.data()).create(std::string(kRecoverySignal), owner);
  if (durable) files.sync_directory(paths.data());
}

/// The server's user may not be able to reach the directory that the helper is installed in.
void install_helper(os::FileSystem& files, const InstancePaths& paths, const fs::path& helper,
                    const std::optional<os::Identity>& owner) {
  const auto target = paths.config() / kHelperName;
  const auto program = files.read_file(helper);
  write_passing_file(files, target, core::as_text(program), owner);
  files.set_mode(target, owner ? 0750 : 0700);
}

}  // namespace

StartLimits start_limits(os::FileSystem& files, const InstancePaths& paths) {
  if (!files.stat(paths.data())) return {};
  if (const auto file = read_postmaster_file(paths.data()); file && find_postmaster(*file, paths.data())) return {};
  const os::UntrustedDirectory data(paths.data());
  const std::string control_file(kControlFilePath);
  if (!data.stat(control_file)) return {};
  const auto control = parse_control_file(data.read_file(control_file, kControlFileLimit));
  const auto& limits = control.limits;
  const bool clean = control.state == ClusterState::kShutDown;
  const auto pending = data.stat("pg_twophase") ? data.list("pg_twophase").size() : 0;
  if (clean && pending == 0) return {};
  // After a crash some may be in the WAL only: then what the server ran with is what is enough for certain.
  return {.max_prepared_transactions = clean ? static_cast<int>(pending) : limits.max_prepared_transactions,
          .lock_slots = std::int64_t{limits.max_locks_per_transaction} *
                        (limits.max_connections + limits.max_prepared_transactions)};
}

std::string render_postgresql_conf(const OpenServerConfig& config, const StartLimits& needed) {
  ConfigText text;
  set_common(text, config.port, config.socket_directory, config.major);
  set_memory(text, config.resources);
  text.set("listen_addresses", config.listen_addresses);
  text.set("max_connections", config.resources.max_connections);
  text.set("max_wal_senders", kMaxWalSenders);
  text.set("max_replication_slots", kMaxWalSenders);
  text.set("max_worker_processes", kMaxWorkerProcesses);
  text.set_mebibytes("max_slot_wal_keep_size", config.max_slot_wal_keep_bytes);
  if (config.major >= kVersionWithSummaries) {
    text.set("summarize_wal", config.summarize_wal ? "on" : "off");
    text.set("wal_summary_keep_time", "2d");
  }
  text.set("hot_standby", "off");
  text.set("ssl", config.tls ? "on" : "off");
  if (config.tls) {
    text.set("ssl_cert_file", config.tls->certificate.string());
    text.set("ssl_key_file", config.tls->key.string());
    text.set("ssl_min_protocol_version", "TLSv1.2");
  }
  for (const auto& [name, value] : raised_to(config.user, needed, config.resources.max_connections)) {
    text.set(name, value);
  }
  if (config.read_only) text.set("default_transaction_read_only", "on");
  return text.take();
}

std::string render_postgresql_conf(const ClosedServerConfig& config) {
  ConfigText text;
  set_common(text, config.port, config.socket_directory, config.major);
  set_memory(text, config.resources);
  text.set("listen_addresses", "");
  text.set("ssl", "off");
  text.set("hot_standby", "off");
  text.set("primary_conninfo", "");
  text.set("max_logical_replication_workers", 0);
  text.set("max_sync_workers_per_subscription", 0);
  // Replay refuses to start with less than the source had.
  text.set("max_connections", std::max(config.resources.max_connections, config.limits.max_connections));
  text.set("max_worker_processes", std::max(kMaxWorkerProcesses, config.limits.max_worker_processes));
  text.set("max_wal_senders", std::max(kMaxWalSenders, config.limits.max_wal_senders));
  // WAL after the backup may hold more than its control file promised, if the setting was raised meanwhile.
  text.set("max_prepared_transactions", std::max(kMaxPreparedInReplay, config.limits.max_prepared_transactions));
  text.set("max_locks_per_transaction", std::max(kLocksPerTransaction, config.limits.max_locks_per_transaction));
  // Who restored the files has synced their file system; one by one they would take a flush of the disk each.
  if (config.major >= kVersionWithSyncMethod) text.set("recovery_init_sync_method", "syncfs");
  if (config.recovering) set_recovery(text, config);
  return text.take();
}

std::string render_hba(const OpenServerConfig& config) {
  return fmt::format(
      "# Written anew at every start; changes made here are lost.\n"
      "local all {0} scram-sha-256\n"
      "local replication {0} scram-sha-256\n"
      "host all {0} all reject\n"
      "{1} all all all scram-sha-256\n",
      '"' + config.management_role + '"', config.tls ? "hostssl" : "host");
}

std::string render_hba(const ClosedServerConfig& /*config*/) {
  return "# Written anew at every start; changes made here are lost.\nlocal all all trust\n";
}

void write_server_config(os::FileSystem& files, const InstancePaths& paths, const OpenServerConfig& config,
                         const std::optional<os::Identity>& owner) {
  const auto conf = render_postgresql_conf(config, start_limits(files, paths));
  write_files(files, paths, conf, render_hba(config), false, true, owner);
}

void write_server_config(os::FileSystem& files, const InstancePaths& paths, const ClosedServerConfig& config,
                         const std::optional<os::Identity>& owner) {
  if (config.recovering) install_helper(files, paths, config.restore_helper, owner);
  write_files(files, paths, render_postgresql_conf(config), render_hba(config), config.recovering, false, owner);
}

}  // namespace backstay::postgres

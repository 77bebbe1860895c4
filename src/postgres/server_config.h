// The configuration files of a server: wholly written by us, at every start.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "os/file_system.h"
#include "os/process.h"
#include "postgres/control_file.h"
#include "postgres/instance_paths.h"
#include "postgres/lsn.h"
#include "postgres/settings.h"

namespace backstay::postgres {

/// The role that manages a server. Applications never learn its password.
inline constexpr std::string_view kManagementRole = "backstay";

/// Paths as the server sees them; relative ones begin at the data directory.
struct TlsFiles {
  std::filesystem::path certificate;
  std::filesystem::path key;
};

/// The size of the machine that the plan promises.
struct ServerResources {
  std::uint64_t memory_bytes = 1u << 30;
  int max_connections = 100;
  double cpus = 1;
};

/// A server for clients: the management role over the private socket, every other role over TCP, with TLS if there is
/// a certificate, all with SCRAM.
struct OpenServerConfig {
  std::string listen_addresses = "127.0.0.1";  ///< empty: socket only
  std::uint16_t port = 5432;
  std::filesystem::path socket_directory = "../socket";
  std::optional<TlsFiles> tls;
  ServerResources resources;
  std::uint64_t max_slot_wal_keep_bytes = 1u << 30;  ///< from free disk; never without a limit
  bool summarize_wal = true;                         ///< where the major can
  SettingValues user;                                ///< of validate_settings
  int major = 15;
  bool read_only = false;  ///< new application sessions are read-only: storage is full
  std::string management_role{kManagementRole};
};

/// Where replay ends. Always promotes.
struct RecoveryTarget {
  bool immediate = false;  ///< as soon as the backup is consistent; `lsn` is then not used
  std::optional<Lsn> lsn;  ///< none: the end of the archived WAL of the timeline
  bool inclusive = false;
  TimelineId timeline;  ///< the branch to follow, by number
};

/// A recovering server: private socket, no TCP, no connections before promotion. Every role gets in without a password,
/// because those recovered may be unknown: the socket's directory is the guard.
struct ClosedServerConfig {
  std::uint16_t port = 5432;
  std::filesystem::path socket_directory = "../socket";
  ServerResources resources;
  ReplayLimits limits;  ///< of the restored pg_control
  RecoveryTarget target;
  std::filesystem::path restore_helper;                           ///< backstay-restore-wal; a copy goes into config()
  std::filesystem::path fetch_socket = "../recovery/fetch.sock";  ///< as the server sees it
  bool recovering = true;  ///< false: closed, but no recovery to do any more (after promotion)
  int major = 15;
};

/// What a server needs at least to start again: transactions that are prepared and not ended take room, and so do their
/// locks, whatever the settings are by now.
struct StartLimits {
  int max_prepared_transactions = 0;
  std::int64_t lock_slots = 0;  ///< max_locks_per_transaction times all connections and prepared transactions
};
/// Of a server that is stopped; nothing while it runs, because this is asked again before it starts.
StartLimits start_limits(os::FileSystem& files, const InstancePaths& paths);

/// Settings that are too low for `needed` are raised.
std::string render_postgresql_conf(const OpenServerConfig& config, const StartLimits& needed = {});
std::string render_postgresql_conf(const ClosedServerConfig& config);
std::string render_hba(const OpenServerConfig& config);
std::string render_hba(const ClosedServerConfig& config);

/// Writes postgresql.conf, pg_hba.conf and pg_ident.conf into the instance's config directory, which the server may
/// read but not change, removes what the data directory has of ALTER SYSTEM, and makes recovery.signal or removes it.
/// `owner` is who the server runs as. An open server gets at least its start_limits, and its files are durable; a
/// closed one's are to be written before each start.
void write_server_config(os::FileSystem& files, const InstancePaths& paths, const OpenServerConfig& config,
                         const std::optional<os::Identity>& owner);
void write_server_config(os::FileSystem& files, const InstancePaths& paths, const ClosedServerConfig& config,
                         const std::optional<os::Identity>& owner);

}  // namespace backstay::postgres

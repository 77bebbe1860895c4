// The configuration files of a server: wholly written by us, at every start.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "os/file_system.h"
#include "os/process.h"
#include "postgres/control_file.h"
#include "postgres/lsn.h"
#include "postgres/settings.h"

namespace backstay::postgres {

/// The role that manages a server. Applications never learn its password.
inline constexpr std::string_view kManagementRole = "backstay";

/// Paths as the server sees them; relative ones begin at the data directory.
struct TlsFiles {
  std::filesystem::path certificate;
  std::filesystem::path key;
  std::filesystem::path authority;
};

/// The size of the machine that the plan promises.
struct ServerResources {
  std::uint64_t memory_bytes = 1u << 30;
  int max_connections = 100;
  double cpus = 1;
};

/// A server for clients.
struct OpenServerConfig {
  std::string listen_addresses = "127.0.0.1";  ///< empty: socket only
  std::uint16_t port = 5432;
  std::filesystem::path socket_directory = "../socket";
  std::optional<TlsFiles> tls;
  ServerResources resources;
  std::uint64_t max_slot_wal_keep_bytes = 1u << 30;  ///< from free disk; never without a limit
  SettingValues user;                                ///< of validate_settings
  bool read_only = false;                            ///< new application sessions are read-only: storage is full
  std::string application_role;                      ///< may connect over TLS, also without it if there is no tls
  std::string superuser_role;                        ///< the same, for a true superuser; empty: none
  std::string management_role{kManagementRole};
};

/// Where replay ends. Always promotes.
struct RecoveryTarget {
  std::optional<Lsn> lsn;  ///< none: the end of the archived WAL of the timeline
  bool inclusive = false;
  TimelineId timeline;  ///< the branch to follow, by number
};

/// A recovering server: private socket, no TCP, no connections before promotion. Only the management role gets in, and
/// without a password, because the recovered one may be unknown: the socket's directory is the guard.
struct ClosedServerConfig {
  std::uint16_t port = 5432;
  std::filesystem::path socket_directory = "../socket";
  ServerResources resources;
  ReplayLimits limits;  ///< of the restored pg_control
  RecoveryTarget target;
  std::filesystem::path restore_helper;                           ///< absolute path of backstay-restore-wal
  std::filesystem::path fetch_socket = "../recovery/fetch.sock";  ///< as the server sees it
  bool recovering = true;  ///< false: closed, but no recovery to do any more (after promotion)
  int major = 15;
  std::string management_role{kManagementRole};
};

std::string render_postgresql_conf(const OpenServerConfig& config);
std::string render_postgresql_conf(const ClosedServerConfig& config);
std::string render_hba(const OpenServerConfig& config);
std::string render_hba(const ClosedServerConfig& config);

/// Writes postgresql.conf, pg_hba.conf, pg_ident.conf and an empty postgresql.auto.conf durably, owned by `owner`, and
/// for a recovering one recovery.signal; removes standby.signal.
void write_server_config(os::FileSystem& files, const std::filesystem::path& data_directory,
                         const OpenServerConfig& config, const std::optional<os::Identity>& owner);
void write_server_config(os::FileSystem& files, const std::filesystem::path& data_directory,
                         const ClosedServerConfig& config, const std::optional<os::Identity>& owner);

}  // namespace backstay::postgres

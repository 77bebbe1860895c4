// One PostgreSQL server: made, started, found again, stopped.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <stop_token>
#include <string>

#include "core/secret.h"
#include "core/time.h"
#include "os/file_system.h"
#include "os/process.h"
#include "postgres/connection.h"
#include "postgres/installation.h"
#include "postgres/instance_paths.h"
#include "postgres/launcher.h"
#include "postgres/server_config.h"

namespace backstay::postgres {

struct InitRequest {
  Installation installation;
  InstancePaths paths;
  std::optional<os::Identity> identity;  ///< who will own the files; need not be in the passwd database
  core::Secret management_password;
  std::string attempt = "only";  ///< fresh for each attempt: what one before left running writes elsewhere
  std::uint64_t segment_size = kDefaultSegmentSize;
  bool sync = true;  ///< false only for tests
};
/// Makes a new cluster in paths.data() with page checksums, UTF-8, C.UTF-8 and the management role; half-made ones
/// of earlier attempts are removed first, a finished one is kept. Throws Error(process_failed) with initdb's words.
void initialize_cluster(os::ProcessRunner& runner, os::FileSystem& files, const InitRequest& request,
                        std::stop_token stop);

struct ServerDescription {
  std::string name;
  Installation installation;
  InstancePaths paths;
  std::uint16_t port = 5432;
  std::optional<os::Identity> identity;
  std::string management_role{kManagementRole};
  core::Secret management_password;          ///< not needed for a closed server
  std::map<std::string, std::string> hints;  ///< for the launcher
};

/// `smart` waits for clients and is not offered.
enum class StopMode { kFast, kImmediate };

/// Stateless but for its description: any number of these may speak of the same server, before and after a restart of
/// this program.
class Server {
 public:
  Server(ServerDescription description, os::FileSystem& files, core::Clock& clock);

  /// The server's process, if postmaster.pid names one that is alive, is a postgres, began when the file says and
  /// works in this data directory. Never by the number alone.
  [[nodiscard]] std::optional<os::ProcessId> find() const;

  /// Starts it, unless it runs, with a log of its own; the log of the start before is kept beside it. The configuration
  /// must have been written before. Throws Error(database_unavailable) while processes work in its directory.
  os::ProcessId start(Launcher& launcher);
  /// Waits until the server says that it accepts connections; who may connect plays no part. Throws
  /// Error(database_unavailable) with the last lines of the log as soon as the process ends, Error(timeout) at the
  /// deadline, Error(cancelled) at a stop. With hot_standby off this is the end of recovery.
  void wait_until_ready(os::ProcessId process, std::chrono::milliseconds deadline, std::stop_token stop);
  /// Stops it if it runs, also if it has just started and no file names it yet, and waits for its end. A fast stop
  /// that does not end within the deadline becomes an immediate one.
  void stop(StopMode mode, std::chrono::milliseconds deadline, std::stop_token stop);
  /// Makes it read its configuration again. Throws Error(database_unavailable) if it does not run.
  void reload();

  /// A connection of the management role over the private socket.
  [[nodiscard]] Connection connect(const std::string& database = "postgres", std::stop_token stop = {}) const;
  [[nodiscard]] ConnectionTarget management_target(const std::string& database = "postgres") const;

  /// The last lines that the server wrote since its last start, for people.
  [[nodiscard]] std::string log_tail(std::size_t lines = 6) const;
  /// Cuts the log once it is longer than `limit`; its end is kept as the log before. A tenant can make the server write
  /// to it without end.
  void bound_log(std::uint64_t limit);

  [[nodiscard]] const ServerDescription& description() const { return description_; }

 private:
  ServerDescription description_;
  os::FileSystem& files_;
  core::Clock& clock_;
};

}  // namespace backstay::postgres

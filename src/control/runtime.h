// Where instances run. Declared here, implemented in runtime/.
//
// A Runtime gives an instance a directory, an identity (uid) and resource limits, and starts processes under them that
// outlive Backstay. It knows nothing of what the processes do.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/time.h"

namespace backstay::control {

/// A process, told apart from a later one with the same pid by its start time.
struct RuntimeProcess {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;
};

struct ResourceLimits {
  /// Tenths of a core; 0 is no limit.
  std::int64_t cpu_tenths = 0;
  /// MiB; 0 is no limit.
  std::int64_t memory_mib = 0;
};

/// What an instance's processes run as and where.
struct InstancePlace {
  std::string instance_id;
  uid_t uid = 0;
  gid_t gid = 0;
  ResourceLimits limits;
};

struct RunCommand {
  std::vector<std::string> argv;
  std::map<std::string, std::string> environment;
  std::filesystem::path directory;
  /// Where standard output and error go.
  std::optional<std::filesystem::path> output_file;
};

/// Thread-safe.
class Runtime {
 public:
  virtual ~Runtime() = default;
  /// True if every instance has a uid of its own; else tenants must trust each other.
  [[nodiscard]] virtual bool isolates() const = 0;
  /// Where an instance keeps everything; nothing is made.
  [[nodiscard]] virtual std::filesystem::path directory(const std::string& instance_id) const = 0;
  /// Makes it, ours, with the instance's group, closed to everybody else; again is fine. Throws Error(config_error)
  /// naming the directory to chmod if the instance's user could not get there.
  virtual std::filesystem::path make_directory(const InstancePlace& place) = 0;
  /// Removes the directory and the limits' groups. Missing is fine.
  virtual void remove_directory(const std::string& instance_id) = 0;
  /// Ends everything that runs as the instance's user, whoever started it. Does nothing where instances have no users
  /// of their own. Throws Error(timeout) if something does not end.
  virtual void end_processes(const InstancePlace& place, core::Clock& clock, std::stop_token stop) = 0;
  /// Starts a process in a new session; it survives us. Limits are set where the machine lets us; where it does not,
  /// that is logged once and the process runs without them.
  virtual RuntimeProcess start(const InstancePlace& place, const RunCommand& command) = 0;
  /// What kept the limits from being set at the last start of this instance; nothing if they hold or none were asked.
  [[nodiscard]] virtual std::optional<std::string> limits_problem(const std::string& instance_id) const = 0;
  /// Changes the limits of what runs already.
  virtual void set_limits(const InstancePlace& place) = 0;
  [[nodiscard]] virtual bool is_alive(const RuntimeProcess& process) const = 0;
};

}  // namespace backstay::control

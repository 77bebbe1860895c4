// How this library gets a server process: it says what to run, somebody else runs it.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "os/process.h"

namespace backstay::postgres {

struct ServerSpec {
  std::string name;                                ///< of the instance, for logs and control groups
  std::vector<std::string> arguments;              ///< argv; the first is the program's absolute path
  std::filesystem::path directory;                 ///< working directory
  std::map<std::string, std::string> environment;  ///< all of it
  std::optional<os::Identity> identity;            ///< runs under this one; none: ours
  std::filesystem::path log_file;                  ///< standard output and error are appended here
  std::map<std::string, std::string> hints;        ///< for the launcher alone, e.g. limits; this library ignores them
};

/// Starts the process so that it outlives us: its own session, no descriptor of ours. The server is later found again
/// by its own postmaster.pid, not through the launcher.
class Launcher {
 public:
  virtual ~Launcher() = default;
  virtual os::ProcessId start(const ServerSpec& spec) = 0;
};

/// Starts plain processes of this machine, without limits.
class ProcessLauncher final : public Launcher {
 public:
  explicit ProcessLauncher(os::ProcessRunner& runner) : runner_(runner) {}
  os::ProcessId start(const ServerSpec& spec) override;

 private:
  os::ProcessRunner& runner_;
};

}  // namespace backstay::postgres

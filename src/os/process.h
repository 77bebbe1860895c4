// Running other programs: to their end, or detached so that they survive us.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace backstay::os {

/// Who a program runs as. Needs root; supplementary groups are dropped.
struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
};

/// A pid that cannot be mistaken for a later process of the same number.
struct ProcessId {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;  // field 22 of /proc/<pid>/stat
  friend bool operator==(const ProcessId&, const ProcessId&) = default;
};

struct Command {
  /// argv[0] is a path; a name without "/" is looked up in /usr/local/bin, /usr/bin, /bin and the sbin ones.
  std::vector<std::string> argv = {};
  /// The whole environment: nothing is inherited. Secrets belong here or into `input`, never into argv.
  std::map<std::string, std::string> environment = {};
  /// Where it runs; empty: "/".
  std::filesystem::path directory = {};
  std::optional<Identity> identity = {};
  /// What it reads from its standard input.
  std::string input = {};
  /// For run(): an open file that is its standard input instead; how far it has read is the descriptor's position,
  /// which it shares. Below 0: none.
  int input_file = -1;
  /// Standard output and standard error are appended to this file instead of being captured. The child opens it (0600)
  /// after it has become `identity`. A detached program without one writes to /dev/null.
  std::optional<std::filesystem::path> output_file = {};
  /// For run(): then the whole process group is killed.
  std::chrono::seconds deadline{60};
  /// cgroup.procs files that the child joins, by writing 0 (itself), before it becomes `identity`.
  std::vector<std::filesystem::path> cgroup_procs = {};
  /// How much of each output stream is kept; of what is longer, the end.
  std::size_t output_limit = 1024 * 1024;
  /// For run(): gets the standard output as it comes, instead of the result. While it works the program waits, and the
  /// deadline goes on. An exception that it throws ends the program and comes out of run().
  std::function<void(std::string_view)> on_output = {};
};

struct CommandResult {
  /// The exit status, or 128 + the signal that ended it.
  int exit_code = 0;
  std::string output = {};
  std::string error = {};
};

/// Safe for any thread.
class ProcessRunner {
 public:
  virtual ~ProcessRunner() = default;
  /// Runs to the end. A non-zero exit is a result, not an error. Throws process_failed if the program cannot be
  /// started, timeout at the deadline, cancelled on `stop`; in these two cases the whole process group has been killed.
  /// The program is killed too when this process dies meanwhile, so that a repeated attempt meets no orphan.
  virtual CommandResult run(const Command& command, std::stop_token stop) = 0;
  /// Starts the program in its own session, as no child of ours, and returns once it has been executed.
  /// `input` and `deadline` are not used. Throws process_failed if it cannot be started.
  virtual ProcessId start_detached(const Command& command) = 0;
};

class SystemProcessRunner final : public ProcessRunner {
 public:
  CommandResult run(const Command& command, std::stop_token stop) override;
  ProcessId start_detached(const Command& command) override;
};

/// run(), and process_failed with the last lines of its output for a non-zero exit.
CommandResult run_checked(ProcessRunner& runner, const Command& command, std::stop_token stop);

/// The process that has this pid now; nothing if there is none or it is a zombie.
std::optional<ProcessId> identify(pid_t pid);
/// False for a zombie and for another process that got the same pid.
bool is_alive(const ProcessId& process);
/// Sends the signal if the process is still alive; false if it is not.
bool signal(const ProcessId& process, int signal_number);
/// The same for its whole process group (a detached program leads its own).
bool signal_group(const ProcessId& process, int signal_number);

}  // namespace backstay::os

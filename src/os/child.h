// Private to os: from fork to exec.
#pragma once

#include "os/file.h"
#include "os/process.h"

namespace backstay::os::detail {

struct Pipe {
  Descriptor read;
  Descriptor write;
};
/// Both ends close on exec and lie above the standard descriptors.
Pipe make_pipe();

/// Everything that the child needs, made before the fork: afterwards it may not allocate.
class PreparedCommand {
 public:
  explicit PreparedCommand(const Command& command);

  /// Becomes the program; for the child after a fork, with async-signal-safe calls only. Standard descriptors below 0
  /// are replaced by /dev/null or the output file. What fails is written to `report`, then the process ends.
  /// `dies_with`: the process whose death kills the program too; 0: it may outlive everybody.
  [[noreturn]] void execute(int input, int output, int error, int report, pid_t dies_with) const;
  /// Reads `report` until the exec closed it; throws process_failed if something came.
  void check_started(const Descriptor& report) const;

 private:
  std::string program_;
  std::vector<std::string> arguments_;
  std::vector<std::string> variables_;
  std::vector<char*> argv_;
  std::vector<char*> envp_;
  std::vector<std::string> cgroup_procs_;
  std::string directory_;
  std::string output_file_;
  std::optional<Identity> identity_;
};

}  // namespace backstay::os::detail

#include "postgres/launcher.h"

namespace backstay::postgres {

os::ProcessId ProcessLauncher::start(const ServerSpec& spec) {
  os::Command command;
  command.argv = spec.arguments;
  command.environment = spec.environment;
  command.directory = spec.directory;
  command.identity = spec.identity;
  command.output_file = spec.log_file;
  return runner_.start_detached(command);
}

}  // namespace backstay::postgres

#include "os/testing/fake_process_runner.h"

#include "core/error.h"

namespace backstay::os::testing {

CommandResult FakeProcessRunner::run(const Command& command, std::stop_token stop) {
  if (stop.stop_requested()) throw core::Error(core::Code::kCancelled, "stopped before it began");
  {
    const core::LockGuard lock(mutex_);
    commands_.push_back(command);
  }
  return handler_(command);
}

ProcessId FakeProcessRunner::start_detached(const Command& command) {
  if (run(command, {}).exit_code != 0) throw core::Error(core::Code::kProcessFailed, "made to fail");
  const core::LockGuard lock(mutex_);
  // Above the kernel's highest pid: never a real process.
  return {static_cast<pid_t>((1 << 22) + commands_.size()), 1};
}

std::vector<Command> FakeProcessRunner::commands() const {
  const core::LockGuard lock(mutex_);
  return commands_;
}

}  // namespace backstay::os::testing

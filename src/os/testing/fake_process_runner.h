// A process runner that starts nothing: it records the commands and answers from a script.
#pragma once

#include <functional>
#include <vector>

#include "core/mutex.h"
#include "os/process.h"

namespace backstay::os::testing {

/// Thread-safe.
class FakeProcessRunner final : public ProcessRunner {
 public:
  using Handler = std::function<CommandResult(const Command&)>;
  explicit FakeProcessRunner(Handler handler) : handler_(std::move(handler)) {}

  CommandResult run(const Command& command, std::stop_token stop) override;
  /// The handler must answer exit code 0; the id is made up.
  ProcessId start_detached(const Command& command) override;
  std::vector<Command> commands() const;

 private:
  Handler handler_;
  mutable core::Mutex mutex_;
  std::vector<Command> commands_ GUARDED_BY(mutex_);
};

}  // namespace backstay::os::testing

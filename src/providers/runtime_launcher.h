// Fits the control plane's Runtime to the Launcher that postgres/ asks for.
#pragma once

#include "control/runtime.h"
#include "postgres/launcher.h"

namespace backstay::providers {

/// For one instance.
class RuntimeLauncher final : public postgres::Launcher {
 public:
  RuntimeLauncher(control::Runtime& runtime, control::InstancePlace place)
      : runtime_(runtime), place_(std::move(place)) {}

  os::ProcessId start(const postgres::ServerSpec& spec) override {
    const auto process = runtime_.start(place_, {spec.arguments, spec.environment, spec.directory, spec.log_file});
    return {process.pid, process.start_ticks};
  }

 private:
  control::Runtime& runtime_;
  control::InstancePlace place_;
};

}  // namespace backstay::providers

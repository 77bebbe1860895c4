// Instances as processes of this machine.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "control/runtime.h"
#include "core/mutex.h"
#include "os/file_system.h"
#include "os/process.h"
#include "runtime/control_groups.h"

namespace backstay::runtime {

struct ProcessRuntimeConfig {
  /// Instances lie in <state_dir>/instances/<instance id>.
  std::filesystem::path state_dir;
  /// Where control groups are mounted; another place in tests.
  std::filesystem::path cgroup_root = "/sys/fs/cgroup";
};

class ProcessRuntime final : public control::Runtime {
 public:
  /// Makes <state_dir>/instances (0711). Says in the log if tenants must trust each other.
  ProcessRuntime(ProcessRuntimeConfig config, os::FileSystem& files, os::ProcessRunner& runner);

  [[nodiscard]] bool isolates() const override;
  [[nodiscard]] std::filesystem::path directory(const std::string& instance_id) const override;
  std::filesystem::path make_directory(const control::InstancePlace& place) override;
  void remove_directory(const std::string& instance_id) override;
  void end_processes(const control::InstancePlace& place, core::Clock& clock, std::stop_token stop) override;
  control::RuntimeProcess start(const control::InstancePlace& place, const control::RunCommand& command) override;
  [[nodiscard]] std::optional<std::string> limits_problem(const std::string& instance_id) const override;
  void set_limits(const control::InstancePlace& place) override;
  [[nodiscard]] bool is_alive(const control::RuntimeProcess& process) const override;

 private:
  void require_passable(const std::filesystem::path& directory) const;
  void set_limits_problem(const std::string& instance_id, std::optional<std::string> problem);

  ProcessRuntimeConfig config_;
  os::FileSystem& files_;
  os::ProcessRunner& runner_;
  ControlGroups groups_;
  mutable core::Mutex mutex_;
  std::map<std::string, std::string> problems_ GUARDED_BY(mutex_);
};

}  // namespace backstay::runtime

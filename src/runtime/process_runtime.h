// Instances as processes of this machine.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "control/runtime.h"
#include "core/mutex.h"
#include "os/file_system.h"
#include "os/process.h"

namespace backstay::runtime {

struct ProcessRuntimeConfig {
  /// Instances lie in <state_dir>/instances/<instance id>.
  std::filesystem::path state_dir;
  /// The first uid of instances, used when we are root.
  uid_t first_uid = 70000;
  /// Where control groups are mounted; another place in tests.
  std::filesystem::path cgroup_root = "/sys/fs/cgroup";
};

class ProcessRuntime final : public control::Runtime {
 public:
  /// Makes <state_dir>/instances (0711). Says in the log if tenants must trust each other.
  ProcessRuntime(ProcessRuntimeConfig config, os::FileSystem& files, os::ProcessRunner& runner);

  [[nodiscard]] bool isolates() const override;
  [[nodiscard]] uid_t uid_for(std::int64_t number) const override;
  [[nodiscard]] control::InstanceDirectories directories(const std::string& instance_id) const override;
  control::InstanceDirectories make_directories(const control::InstancePlace& place) override;
  void remove_directories(const std::string& instance_id) override;
  control::RuntimeProcess start(const control::InstancePlace& place, const control::RunCommand& command) override;
  [[nodiscard]] std::optional<std::string> limits_problem(const std::string& instance_id) const override;
  void set_limits(const control::InstancePlace& place) override;
  [[nodiscard]] bool is_alive(const control::RuntimeProcess& process) const override;

 private:
  std::vector<std::filesystem::path> prepare_groups(const control::InstancePlace& place);
  void set_limits_problem(const std::string& instance_id, std::optional<std::string> problem);

  ProcessRuntimeConfig config_;
  os::FileSystem& files_;
  os::ProcessRunner& runner_;
  mutable core::Mutex mutex_;
  std::map<std::string, std::string> problems_ GUARDED_BY(mutex_);
};

}  // namespace backstay::runtime

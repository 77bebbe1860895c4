#include "runtime/process_runtime.h"

#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/log.h"
#include "os/file.h"
#include "os/user_processes.h"

namespace backstay::runtime {
namespace {

constexpr mode_t kPassable = 0711;
constexpr mode_t kPrivate = 0700;
constexpr mode_t kGroupMayEnter = 0750;
constexpr auto kEndDeadline = std::chrono::seconds(30);

std::string own_groups(os::FileSystem& files) {
  try {
    return std::string(core::as_text(files.read_file("/proc/self/cgroup")));
  } catch (const core::Error&) {
    return {};  // a system without control groups
  }
}

}  // namespace

ProcessRuntime::ProcessRuntime(ProcessRuntimeConfig config, os::FileSystem& files, os::ProcessRunner& runner)
    : config_(std::move(config)),
      files_(files),
      runner_(runner),
      groups_(config_.cgroup_root, own_groups(files), files) {
  files_.make_directories(config_.state_dir, kPassable);
  files_.make_directories(config_.state_dir / "instances", kPassable);
  if (isolates()) {
    // An existing one keeps what it allows.
    for (const auto& directory : {config_.state_dir, config_.state_dir / "instances"}) {
      files_.set_mode(directory, files_.stat(directory).value_or(os::FileInfo{}).mode | kPassable);
    }
  } else {
    core::log_warning("runtime.shared_user",
                      "Backstay does not run as root: all services run under one user, so their owners must trust each "
                      "other");
  }
}

bool ProcessRuntime::isolates() const { return ::geteuid() == 0; }

std::filesystem::path ProcessRuntime::directory(const std::string& instance_id) const {
  return config_.state_dir / "instances" / instance_id;
}

void ProcessRuntime::require_passable(const std::filesystem::path& directory) const {
  for (auto at = directory; !at.empty(); at = at.parent_path()) {
    const auto info = files_.stat(at);
    if (info && info->type == os::FileType::kDirectory && (info->mode & S_IXOTH) == 0) {
      throw core::Error(core::Code::kConfigError,
                        fmt::format("the users of services cannot pass the directory '{}'", at.string()))
          .with_hint(fmt::format("run: chmod o+x '{}'", at.string()));
    }
    if (at == at.parent_path()) return;
  }
}

std::filesystem::path ProcessRuntime::make_directory(const control::InstancePlace& place) {
  const auto made = directory(place.instance_id);
  if (isolates()) require_passable(std::filesystem::absolute(made.parent_path()));
  const mode_t mode = isolates() ? kGroupMayEnter : kPrivate;
  files_.make_directories(made, mode);
  if (isolates()) files_.set_owner(made, ::geteuid(), place.gid);
  files_.set_mode(made, mode);
  return made;
}

void ProcessRuntime::remove_directory(const std::string& instance_id) {
  files_.remove_all(directory(instance_id));
  // What was being made beside it when a process was killed: .<instance id>.<what>
  for (const auto& entry : files_.list(config_.state_dir / "instances")) {
    if (entry.name.starts_with("." + instance_id + "."))
      files_.remove_all(config_.state_dir / "instances" / entry.name);
  }
  groups_.remove(instance_id);
  set_limits_problem(instance_id, std::nullopt);
}

void ProcessRuntime::end_processes(const control::InstancePlace& place, core::Clock& clock, std::stop_token stop) {
  if (isolates() && place.uid != 0) os::end_processes_of(place.uid, clock, kEndDeadline, std::move(stop));
}

void ProcessRuntime::set_limits_problem(const std::string& instance_id, std::optional<std::string> problem) {
  const core::LockGuard lock(mutex_);
  if (problem) {
    problems_[instance_id] = *problem;
  } else {
    problems_.erase(instance_id);
  }
}

void ProcessRuntime::set_limits(const control::InstancePlace& place) {
  set_limits_problem(place.instance_id, groups_.make(place.instance_id, place.limits).problem);
}

control::RuntimeProcess ProcessRuntime::start(const control::InstancePlace& place, const control::RunCommand& command) {
  auto groups = groups_.make(place.instance_id, place.limits);
  if (groups.problem) {
    core::log_warning("runtime.limits_missing", *groups.problem, {{"instance", place.instance_id}});
  }
  set_limits_problem(place.instance_id, groups.problem);
  os::Command wanted;
  wanted.argv = command.argv;
  wanted.environment = command.environment;
  wanted.directory = command.directory;
  wanted.output_file = command.output_file;
  wanted.cgroup_procs = std::move(groups.procs);
  if (isolates()) wanted.identity = os::Identity{place.uid, place.gid};
  const auto process = runner_.start_detached(wanted);
  return {process.pid, process.start_ticks};
}

std::optional<std::string> ProcessRuntime::limits_problem(const std::string& instance_id) const {
  const core::LockGuard lock(mutex_);
  const auto found = problems_.find(instance_id);
  if (found == problems_.end()) return std::nullopt;
  return found->second;
}

bool ProcessRuntime::is_alive(const control::RuntimeProcess& process) const {
  return os::is_alive({process.pid, process.start_ticks});
}

}  // namespace backstay::runtime

#include "runtime/control_groups.h"

#include "core/error.h"
#include "core/text.h"

namespace backstay::runtime {
namespace {

constexpr std::string_view kOurs = "backstay";
/// Microseconds; a tenth of a core is a tenth of this.
constexpr std::int64_t kPeriod = 100000;

}  // namespace

struct ControlGroups::Limit {
  std::string controller;
  std::vector<std::pair<std::string, std::string>> files;
};

ControlGroups::ControlGroups(std::filesystem::path root, const std::string& self, os::FileSystem& files)
    : root_(std::move(root)), files_(files) {
  version_2_ = files_.stat(root_ / "cgroup.controllers").has_value();
  for (const auto& line : core::split(self, '\n')) {
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string path = line.substr(second + 1);
    for (const auto& controller : core::split(line.substr(first + 1, second - first - 1), ',')) {
      if (controller.empty() == version_2_) own_paths_.emplace_back(controller, path);
    }
  }
}

std::filesystem::path ControlGroups::parent_of(const std::string& controller) const {
  const std::filesystem::path base = version_2_ ? root_ : root_ / controller;
  for (const auto& [name, path] : own_paths_) {
    if (name != (version_2_ ? "" : controller)) continue;
    // In a container the path may be the host's and not be there: then what is mounted is ours.
    const auto own = base / std::filesystem::path(path).relative_path();
    return files_.stat(own) ? own : base;
  }
  return base;
}

void ControlGroups::write(const std::filesystem::path& file, const std::string& text) {
  const auto out = files_.open_write(file);
  out->write_at(0, core::as_bytes(text));
  out->close();
}

void ControlGroups::make_one(const Limit& limit, const std::string& instance_id, MadeGroups& made) {
  const auto parent = parent_of(limit.controller);
  const auto group = parent / kOurs / instance_id;
  try {
    if (!files_.stat(parent)) {
      throw core::Error(core::Code::kNotFound, fmt::format("there is no '{}'", parent.string()));
    }
    if (version_2_) {
      files_.make_directories(parent / kOurs, 0755);
      write(parent / "cgroup.subtree_control", "+" + limit.controller);
      write(parent / kOurs / "cgroup.subtree_control", "+" + limit.controller);
    }
    files_.make_directories(group, 0755);
    for (const auto& [file, value] : limit.files) write(group / file, value);
    const auto procs = group / "cgroup.procs";
    if (std::find(made.procs.begin(), made.procs.end(), procs) == made.procs.end()) made.procs.push_back(procs);
  } catch (const core::Error& error) {
    // Limits are a courtesy of the machine: a service runs without them rather than not at all.
    made.problem = fmt::format("no {} limit: {}", limit.controller, error.message());
  }
}

MadeGroups ControlGroups::make(const std::string& instance_id, const control::ResourceLimits& limits) {
  MadeGroups made;
  if (limits.cpu_tenths > 0) {
    const auto quota = std::to_string(limits.cpu_tenths * kPeriod / 10);
    const auto period = std::to_string(kPeriod);
    make_one(version_2_ ? Limit{"cpu", {{"cpu.max", quota + " " + period}}}
                        : Limit{"cpu", {{"cpu.cfs_period_us", period}, {"cpu.cfs_quota_us", quota}}},
             instance_id, made);
  }
  if (limits.memory_mib > 0) {
    const auto bytes = std::to_string(limits.memory_mib << 20);
    make_one(Limit{"memory", {{version_2_ ? "memory.max" : "memory.limit_in_bytes", bytes}}}, instance_id, made);
  }
  return made;
}

void ControlGroups::remove(const std::string& instance_id) {
  for (const std::string controller : {"cpu", "memory"}) {
    const auto group = parent_of(controller) / kOurs / instance_id;
    try {
      if (files_.stat(group)) files_.remove(group);
    } catch (const core::Error&) {
      // A process that is still ending keeps its group; an empty group costs nothing and is reused.
      continue;
    }
  }
}

}  // namespace backstay::runtime

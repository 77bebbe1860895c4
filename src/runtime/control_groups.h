// Control groups of this machine, version 1 or 2, for limits on cpu and memory.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "control/runtime.h"
#include "os/file_system.h"

namespace backstay::runtime {

/// The groups that were made for an instance, and why not all were, if not.
struct MadeGroups {
  /// Write a pid there to put it into the group.
  std::vector<std::filesystem::path> procs;
  std::optional<std::string> problem;
};

/// Groups lie below our own: <root>/<controller>/<own path>/backstay/<instance>, or <root>/<own path>/backstay/… in
/// version 2. Never throws for a machine that does not allow it.
class ControlGroups {
 public:
  /// `self` is the content of /proc/self/cgroup.
  ControlGroups(std::filesystem::path root, const std::string& self, os::FileSystem& files);

  MadeGroups make(const std::string& instance_id, const control::ResourceLimits& limits);
  /// Only groups without processes can go.
  void remove(const std::string& instance_id);

 private:
  struct Limit;
  void make_one(const Limit& limit, const std::string& instance_id, MadeGroups& made);
  [[nodiscard]] std::filesystem::path parent_of(const std::string& controller) const;
  void write(const std::filesystem::path& file, const std::string& text);

  std::filesystem::path root_;
  /// Version 1: by controller. Version 2: one, without a name.
  std::vector<std::pair<std::string, std::string>> own_paths_;
  bool version_2_ = false;
  os::FileSystem& files_;
};

}  // namespace backstay::runtime

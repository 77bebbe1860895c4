#include "postgres/replay_activity.h"

#include <filesystem>
#include <string>

#include <fmt/format.h>

#include "core/bytes.h"
#include "core/error.h"
#include "core/text.h"
#include "os/file_system.h"

namespace backstay::postgres {
namespace {

// Of /proc/<pid>/stat, counted from what follows the program's name.
constexpr std::size_t kParentField = 2;
constexpr std::size_t kUserField = 12;
constexpr std::size_t kSystemField = 13;

/// Empty if the process is gone.
std::string read_process_file(std::string_view pid, std::string_view name) {
  os::RealFileSystem files;
  try {
    const auto bytes = files.read_file(fmt::format("/proc/{}/{}", pid, name));
    return std::string(core::as_text(bytes));
  } catch (const core::Error&) {
    return "";
  }
}

}  // namespace

std::optional<std::uint64_t> replay_ticks(pid_t postmaster) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string pid = entry.path().filename().string();
    if (!core::parse_int(pid)) continue;
    const std::string stat = read_process_file(pid, "stat");
    const auto fields = core::split(std::string_view(stat).substr(stat.rfind(')') + 1), ' ');
    if (fields.size() <= kSystemField || core::parse_int(fields[kParentField]) != postmaster) continue;
    if (!read_process_file(pid, "cmdline").starts_with("postgres: startup")) continue;
    return static_cast<std::uint64_t>(core::parse_int(fields[kUserField]).value_or(0) +
                                      core::parse_int(fields[kSystemField]).value_or(0));
  }
  return std::nullopt;
}

}  // namespace backstay::postgres

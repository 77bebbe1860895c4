#include "postgres/postmaster_file.h"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/bytes.h"
#include "core/error.h"
#include "core/text.h"
#include "os/untrusted_directory.h"

namespace backstay::postgres {
namespace {

namespace fs = std::filesystem;

// Lines of the file, counted from 0.
constexpr std::size_t kPidLine = 0;
constexpr std::size_t kStatusLine = 7;
constexpr std::size_t kFileLimit = 8192;

fs::path process_link(pid_t pid, std::string_view name) {
  std::error_code ignored;
  return fs::read_symlink(fmt::format("/proc/{}/{}", pid, name), ignored);
}

bool works_in(pid_t pid, const fs::path& directory) {
  const auto link = process_link(pid, "cwd");
  std::error_code ignored;
  return !link.empty() && fs::equivalent(link, directory, ignored);
}

/// Field 4 of /proc/<pid>/stat; 0 if the process is gone.
pid_t parent_of(pid_t pid) {
  os::RealFileSystem files;
  try {
    const auto bytes = files.read_file(fmt::format("/proc/{}/stat", pid));
    const auto text = core::as_text(bytes);
    const auto fields = core::split(text.substr(text.rfind(')') + 1), ' ');
    return fields.size() > 2 ? static_cast<pid_t>(core::parse_int(fields[2]).value_or(0)) : 0;
  } catch (const core::Error&) {
    return 0;
  }
}

std::vector<pid_t> processes() {
  std::vector<pid_t> all;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    if (const auto pid = core::parse_int(entry.path().filename().string())) all.push_back(static_cast<pid_t>(*pid));
  }
  return all;
}

std::optional<os::ProcessId> postmaster_with(pid_t pid, const fs::path& data_directory) {
  const auto process = os::identify(pid);
  if (!process) return std::nullopt;
  auto program = process_link(pid, "exe").filename().string();
  // The program's file was replaced by an upgrade.
  if (const auto at = program.find(" (deleted)"); at != std::string::npos) program.resize(at);
  if (program != "postgres" || !works_in(pid, data_directory)) return std::nullopt;
  const auto parent = parent_of(pid);
  if (parent > 1 && process_link(parent, "exe").filename() == "postgres" && works_in(parent, data_directory)) {
    return std::nullopt;
  }
  // The number may have changed hands while we looked.
  return os::is_alive(*process) ? process : std::nullopt;
}

}  // namespace

std::optional<PostmasterFile> read_postmaster_file(const fs::path& data_directory) {
  core::Bytes bytes;
  try {
    bytes = os::UntrustedDirectory(data_directory).read_file(std::string(kPostmasterFile), kFileLimit);
  } catch (const core::Error& e) {
    if (e.code() == core::Code::kNotFound || e.code() == core::Code::kPathNotAllowed) return std::nullopt;
    throw;
  }
  const auto lines = core::split(core::as_text(bytes), '\n');
  const auto pid = core::parse_int(core::trim(lines.at(kPidLine)));
  if (!pid || *pid <= 1) return std::nullopt;
  PostmasterFile file{static_cast<pid_t>(*pid), false};
  if (lines.size() > kStatusLine) {
    const auto status = core::trim(lines[kStatusLine]);
    // With hot_standby off, "standby" says only that recovery goes on.
    file.ready = status == "ready";
  }
  return file;
}

std::optional<os::ProcessId> find_postmaster(const PostmasterFile& file, const fs::path& data_directory) {
  return postmaster_with(file.pid, data_directory);
}

std::optional<os::ProcessId> find_postmaster_without_file(const fs::path& data_directory) {
  for (const pid_t pid : processes()) {
    if (const auto found = postmaster_with(pid, data_directory)) return found;
  }
  return std::nullopt;
}

bool any_process_in(const fs::path& data_directory) {
  return std::ranges::any_of(processes(), [&](pid_t pid) { return works_in(pid, data_directory); });
}

}  // namespace backstay::postgres

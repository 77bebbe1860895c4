#include "os/process.h"

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"
#include "os/file.h"

namespace backstay::os {
namespace {

struct Stat {
  char state = '?';
  std::uint64_t start_ticks = 0;
};

/// Of /proc/<pid>/stat; nothing if there is no such process.
std::optional<Stat> read_stat(pid_t pid) {
  std::array<std::byte, 2048> buffer{};
  std::size_t size = 0;
  try {
    const Descriptor file = open_file(fmt::format("/proc/{}/stat", pid), O_RDONLY);
    size = read_at(file.get(), 0, buffer);
  } catch (const core::Error&) {
    return std::nullopt;  // It ended before or while we looked.
  }
  std::string_view text = core::as_text(core::ByteSpan(buffer).first(size));
  // The name in parentheses may hold anything, parentheses too.
  const auto name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  const std::vector<std::string> fields = core::split(core::trim(text.substr(name_end + 1)), ' ');
  constexpr std::size_t kState = 0;
  constexpr std::size_t kStartTime = 19;
  if (fields.size() <= kStartTime || fields[kState].empty()) return std::nullopt;
  const auto ticks = core::parse_int(fields[kStartTime]);
  if (!ticks) return std::nullopt;
  return Stat{fields[kState][0], static_cast<std::uint64_t>(*ticks)};
}

bool send(const ProcessId& process, pid_t target, int signal_number) {
  if (!is_alive(process)) return false;
  if (::kill(target, signal_number) == 0) return true;
  if (errno == ESRCH) return false;
  throw core::system_error(fmt::format("cannot signal process {}", process.pid), errno, core::Code::kProcessFailed);
}

std::string last_lines(const CommandResult& result) {
  constexpr std::size_t kLimit = 2000;
  std::string_view text = core::trim(result.error.empty() ? result.output : result.error);
  if (text.size() > kLimit) text = text.substr(text.size() - kLimit);
  return std::string(text);
}

}  // namespace

std::optional<ProcessId> identify(pid_t pid) {
  const auto stat = read_stat(pid);
  if (!stat || stat->state == 'Z' || stat->state == 'X') return std::nullopt;
  return ProcessId{pid, stat->start_ticks};
}

bool is_alive(const ProcessId& process) { return process.pid > 0 && identify(process.pid) == process; }

bool signal(const ProcessId& process, int signal_number) { return send(process, process.pid, signal_number); }

bool signal_group(const ProcessId& process, int signal_number) { return send(process, -process.pid, signal_number); }

CommandResult run_checked(ProcessRunner& runner, const Command& command, std::stop_token stop) {
  CommandResult result = runner.run(command, std::move(stop));
  if (result.exit_code == 0) return result;
  throw core::Error(core::Code::kProcessFailed,
                    fmt::format("'{}' ended with {}: {}", command.argv.at(0), result.exit_code, last_lines(result)));
}

}  // namespace backstay::os

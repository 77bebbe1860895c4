#include "os/user_processes.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string>

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "core/text.h"
#include "os/file_system.h"

namespace backstay::os {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(10);
/// The one that signals belongs to the user for a moment and could be stopped by it.
constexpr auto kSignallerDeadline = std::chrono::seconds(1);

/// By /proc/<pid>/status: real, effective, saved or file system user.
bool runs_as(RealFileSystem& files, const std::string& pid, uid_t user) {
  core::Bytes status;
  try {
    status = files.read_file("/proc/" + pid + "/status");
  } catch (const core::Error&) {
    return false;  // it ended
  }
  bool ended = false;
  bool ours = false;
  for (const auto& line : core::split(core::as_text(status), '\n')) {
    if (line.starts_with("State:\tZ") || line.starts_with("State:\tX")) ended = true;
    if (!line.starts_with("Uid:")) continue;
    const auto users = core::split(line, '\t');
    ours = std::find(users.begin() + 1, users.end(), std::to_string(user)) != users.end();
  }
  return ours && !ended;
}

/// Becomes the user, so that the kernel signals its processes and no others. Only system calls: it is a forked child.
[[noreturn]] void signal_all(uid_t user) {
  const bool became = ::prctl(PR_SET_DUMPABLE, 0) == 0 && ::syscall(SYS_setgroups, 0, nullptr) == 0 &&
                      ::syscall(SYS_setresgid, user, user, user) == 0 &&
                      ::syscall(SYS_setresuid, user, user, user) == 0;
  if (became) ::kill(-1, SIGKILL);
  ::_exit(became ? 0 : 1);
}

/// False if it did not come to its end.
bool run_signaller(uid_t user, core::Clock& clock) {
  const pid_t child = ::fork();
  if (child < 0) throw core::system_error("cannot fork", errno, core::Code::kProcessFailed);
  if (child == 0) signal_all(user);
  const auto end = clock.steady_now() + kSignallerDeadline;
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (clock.steady_now() > end) ::kill(child, SIGKILL);
    clock.wait({}, std::chrono::milliseconds(1));
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

bool any_process_of(uid_t user) {
  RealFileSystem files;
  const auto entries = files.list("/proc");
  return std::ranges::any_of(
      entries, [&](const auto& entry) { return core::parse_int(entry.name) && runs_as(files, entry.name, user); });
}

void end_processes_of(uid_t user, core::Clock& clock, core::Duration deadline, std::stop_token stop) {
  if (user == 0 || user == ::geteuid() || user == ::getuid()) {
    throw core::Error(core::Code::kInternal, "these processes are not a service's");
  }
  const auto end = clock.steady_now() + deadline;
  while (!run_signaller(user, clock) || any_process_of(user)) {
    if (clock.steady_now() > end) {
      throw core::Error(core::Code::kTimeout, fmt::format("processes of the user {} do not end", user))
          .with_hint("look for processes that wait for a disk or a device: ps -U " + std::to_string(user));
    }
    if (!clock.wait(stop, kPoll)) throw core::Error(core::Code::kCancelled, "ending a user's processes was cancelled");
  }
}

}  // namespace backstay::os

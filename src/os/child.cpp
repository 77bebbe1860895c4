#include "os/child.h"

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/close_range.h>

#include "core/error.h"

namespace backstay::os::detail {
namespace {

enum Step : int { kSession, kStandardFiles, kCgroup, kIdentity, kOutputFile, kDirectory, kExecute };

constexpr std::array<const char*, 7> kStepNames = {
    "start a session",  "set up its standard files", "join its control group",
    "take on its user", "open its output file",      "enter its directory",
    "execute it"};

struct Report {
  Step step;
  int error;
};

[[noreturn]] void give_up(int report, Step step) {
  const Report content{step, errno};
  // Nothing is left to do if even this fails: the parent sees the exit code.
  [[maybe_unused]] const ssize_t written = ::write(report, &content, sizeof content);
  ::_exit(127);
}

void reset_signals() {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &action, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// We may have been started without standard files: what we open must not be taken for one of them.
int open_above_standard(const char* path, int flags) {
  const int fd = ::open(path, flags | O_CLOEXEC, 0600);
  return fd < 0 || fd > 2 ? fd : ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

bool join_cgroup(const std::string& procs) {
  const int fd = ::open(procs.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool joined = ::write(fd, "0\n", 2) == 2;
  ::close(fd);
  return joined;
}

bool become(const Identity& identity) {
  // The plain system calls: the library's functions would look for other threads, which a forked child has not.
  return ::syscall(SYS_setgroups, 0, nullptr) == 0 &&
         ::syscall(SYS_setresgid, identity.gid, identity.gid, identity.gid) == 0 &&
         ::syscall(SYS_setresuid, identity.uid, identity.uid, identity.uid) == 0;
}

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  for (const char* directory : {"/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"}) {
    std::string path = fmt::format("{}/{}", directory, name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  throw core::Error(core::Code::kProcessFailed, fmt::format("there is no program '{}' on this machine", name));
}

Descriptor above_standard(int fd) {
  Descriptor owned(fd);
  if (fd > 2) return owned;
  const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (moved < 0) throw core::system_error("cannot move a descriptor", errno);
  return Descriptor(moved);
}

}  // namespace

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw core::system_error("cannot make a pipe", errno);
  Descriptor read(ends[0]);
  Descriptor write(ends[1]);
  return {above_standard(read.release()), above_standard(write.release())};
}

PreparedCommand::PreparedCommand(const Command& command)
    : program_(find_program(command.argv.at(0))),
      arguments_(command.argv),
      directory_(command.directory.empty() ? "/" : command.directory.native()),
      output_file_(command.output_file ? command.output_file->native() : ""),
      identity_(command.identity) {
  for (const auto& [name, value] : command.environment) variables_.push_back(name + "=" + value);
  for (std::string& argument : arguments_) argv_.push_back(argument.data());
  for (std::string& variable : variables_) envp_.push_back(variable.data());
  argv_.push_back(nullptr);
  envp_.push_back(nullptr);
  for (const auto& path : command.cgroup_procs) cgroup_procs_.push_back(path.native());
}

void PreparedCommand::execute(int input, int output, int error, int report, pid_t dies_with) const {
  if (::setsid() < 0) give_up(report, kSession);
  reset_signals();
  for (const std::string& procs : cgroup_procs_) {
    if (!join_cgroup(procs)) give_up(report, kCgroup);
  }
  if (identity_ && !become(*identity_)) give_up(report, kIdentity);
  // After the change of identity, which clears it.
  if (dies_with != 0 && (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != dies_with)) {
    give_up(report, kSession);
  }
  if (!output_file_.empty()) {
    output = open_above_standard(output_file_.c_str(), O_WRONLY | O_CREAT | O_APPEND);
    if (output < 0) give_up(report, kOutputFile);
    error = output;
  }
  const int null = open_above_standard("/dev/null", O_RDWR);
  if (null < 0 || ::dup2(input < 0 ? null : input, 0) < 0 || ::dup2(output < 0 ? null : output, 1) < 0 ||
      ::dup2(error < 0 ? null : error, 2) < 0) {
    give_up(report, kStandardFiles);
  }
  if (::chdir(directory_.c_str()) != 0) give_up(report, kDirectory);
  if (::syscall(SYS_close_range, 3U, UINT_MAX, CLOSE_RANGE_CLOEXEC) != 0) give_up(report, kStandardFiles);
  ::execve(program_.c_str(), argv_.data(), envp_.data());
  give_up(report, kExecute);
}

void PreparedCommand::check_started(const Descriptor& report) const {
  Report content{};
  ssize_t got = 0;
  do {
    got = ::read(report.get(), &content, sizeof content);
  } while (got < 0 && errno == EINTR);
  if (got == 0) return;
  if (got != sizeof content) throw core::Error(core::Code::kInternal, "a child's report is broken");
  throw core::system_error(
      fmt::format("cannot run '{}': cannot {}", program_, kStepNames.at(static_cast<std::size_t>(content.step))),
      content.error, core::Code::kProcessFailed);
}

}  // namespace backstay::os::detail

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "core/time.h"
#include "os/child.h"
#include "os/process.h"

namespace backstay::os {
namespace {

using detail::make_pipe;
using detail::Pipe;
using detail::PreparedCommand;

pid_t fork_or_throw() {
  const pid_t pid = ::fork();
  if (pid < 0) throw core::system_error("cannot fork", errno, core::Code::kProcessFailed);
  return pid;
}

void set_nonblocking(const Descriptor& fd) {
  if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) throw core::system_error("cannot set up a pipe", errno);
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) throw core::system_error("cannot wait for a child", errno, core::Code::kProcessFailed);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// A child until it has been waited for: whatever happens, its group is killed and no zombie stays.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);  // It may not lead its group yet.
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  [[nodiscard]] pid_t pid() const { return pid_; }
  int wait() { return wait_for(std::exchange(pid_, 0)); }

 private:
  pid_t pid_;
};

/// Keeps the last `limit` bytes of a stream, or passes all of it on.
class Capture {
 public:
  using Sink = std::function<void(std::string_view)>;
  Capture(Descriptor fd, std::size_t limit, Sink sink = {})
      : fd_(std::move(fd)), limit_(limit), sink_(std::move(sink)) {}

  [[nodiscard]] int fd() const { return fd_.get(); }
  /// Reads what is there.
  void drain() {
    std::array<char, 65536> buffer;
    while (fd_.valid()) {
      const ssize_t got = ::read(fd_.get(), buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0) return fd_.close();
      const std::string_view read(buffer.data(), static_cast<std::size_t>(got));
      if (sink_) {
        sink_(read);
        continue;
      }
      text_.append(read);
      if (text_.size() > 2 * limit_) text_.erase(0, text_.size() - limit_);
    }
  }
  std::string take() {
    if (text_.size() > limit_) text_.erase(0, text_.size() - limit_);
    return std::move(text_);
  }

 private:
  Descriptor fd_;
  std::size_t limit_;
  Sink sink_;
  std::string text_;
};

/// What is still to be written to the child's standard input.
class Feed {
 public:
  Feed(Descriptor fd, std::string_view text) : fd_(std::move(fd)), rest_(text) { go_on(); }

  [[nodiscard]] int fd() const { return fd_.get(); }
  void go_on() {
    while (fd_.valid() && !rest_.empty()) {
      const ssize_t put = ::write(fd_.get(), rest_.data(), rest_.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0 && errno == EAGAIN) return;
      if (put < 0) break;  // It does not want to read any more.
      rest_.remove_prefix(static_cast<std::size_t>(put));
    }
    fd_.close();
  }

 private:
  Descriptor fd_;
  std::string_view rest_;
};

/// A write to a pipe that nobody reads must be an error here, not a signal to the whole program.
class IgnorePipeSignal {
 public:
  IgnorePipeSignal() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~IgnorePipeSignal() {
    const timespec none{};
    while (::sigtimedwait(&pipe_, nullptr, &none) < 0 && errno == EINTR) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  IgnorePipeSignal(const IgnorePipeSignal&) = delete;
  IgnorePipeSignal& operator=(const IgnorePipeSignal&) = delete;

 private:
  sigset_t pipe_{};
  sigset_t before_{};
};

Descriptor open_pidfd(pid_t pid) {
  const long fd = ::syscall(SYS_pidfd_open, pid, 0);
  if (fd < 0) throw core::system_error("cannot watch a child", errno, core::Code::kProcessFailed);
  return Descriptor(static_cast<int>(fd));
}

/// Moves data until the child has ended. Throws timeout or cancelled.
void pump(const Command& command, const Descriptor& ended, const Descriptor& stopped, const std::stop_token& stop,
          Feed& input, Capture& output, Capture& error) {
  core::SystemClock clock;
  const auto deadline = clock.steady_now() + command.deadline;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock.steady_now()).count();
    if (left <= 0) {
      throw core::Error(core::Code::kTimeout,
                        fmt::format("'{}' did not end within {} s", command.argv.at(0), command.deadline.count()));
    }
    // poll passes over descriptors below 0.
    std::array<pollfd, 5> watched{{{ended.get(), POLLIN, 0},
                                   {stopped.get(), POLLIN, 0},
                                   {input.fd(), POLLOUT, 0},
                                   {output.fd(), POLLIN, 0},
                                   {error.fd(), POLLIN, 0}}};
    const int count = ::poll(watched.data(), watched.size(), static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (count < 0 && errno != EINTR) throw core::system_error("cannot wait for a child", errno);
    if (stop.stop_requested()) {
      throw core::Error(core::Code::kCancelled, fmt::format("'{}' was stopped", command.argv.at(0)));
    }
    if (count <= 0) continue;
    input.go_on();
    output.drain();
    error.drain();
    if (watched[0].revents != 0) break;
  }
  // What the child wrote before it ended; a grandchild that keeps the pipe open does not hold us up.
  output.drain();
  error.drain();
}

}  // namespace

CommandResult SystemProcessRunner::run(const Command& command, std::stop_token stop) {
  const PreparedCommand prepared(command);
  Pipe input = make_pipe();
  Pipe output = make_pipe();
  Pipe error = make_pipe();
  Pipe report = make_pipe();
  const Descriptor stopped(::eventfd(0, EFD_CLOEXEC));
  if (!stopped.valid()) throw core::system_error("cannot make an event", errno);

  const IgnorePipeSignal ignore;
  const pid_t us = ::getpid();
  Child child(fork_or_throw());
  if (child.pid() == 0) {
    const int in = command.input_file < 0 ? input.read.get() : command.input_file;
    prepared.execute(in, output.write.get(), error.write.get(), report.write.get(), us);
  }
  for (Descriptor* const theirs : {&input.read, &output.write, &error.write, &report.write}) theirs->close();
  prepared.check_started(report.read);
  for (const Descriptor* const ours : {&input.write, &output.read, &error.read}) set_nonblocking(*ours);

  const Descriptor ended = open_pidfd(child.pid());
  const std::stop_callback on_stop(stop, [&] { ::eventfd_write(stopped.get(), 1); });
  Feed feed(std::move(input.write), command.input);
  Capture captured_output(std::move(output.read), command.output_limit, command.on_output);
  Capture captured_error(std::move(error.read), command.output_limit);
  pump(command, ended, stopped, stop, feed, captured_output, captured_error);
  return {.exit_code = child.wait(), .output = captured_output.take(), .error = captured_error.take()};
}

ProcessId SystemProcessRunner::start_detached(const Command& command) {
  const PreparedCommand prepared(command);
  Pipe report = make_pipe();
  Pipe number = make_pipe();
  Pipe go = make_pipe();

  const pid_t between = fork_or_throw();
  if (between == 0) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      // Until we know which process it is, it must not end: its number could be another's by then.
      char ready = 0;
      ::close(go.write.get());
      if (::read(go.read.get(), &ready, 1) != 1) ::_exit(127);
      prepared.execute(-1, -1, -1, report.write.get(), 0);
    }
    [[maybe_unused]] const ssize_t written = ::write(number.write.get(), &pid, sizeof pid);
    ::_exit(0);
  }
  wait_for(between);
  number.write.close();
  report.write.close();
  go.read.close();
  pid_t pid = -1;
  if (::read(number.read.get(), &pid, sizeof pid) != sizeof pid || pid < 0) {
    throw core::Error(core::Code::kProcessFailed, fmt::format("cannot fork for '{}'", command.argv.at(0)));
  }
  const auto process = identify(pid);
  if (!process || ::write(go.write.get(), "g", 1) != 1) {
    throw core::Error(core::Code::kProcessFailed, fmt::format("'{}' was killed at its start", command.argv.at(0)));
  }
  prepared.check_started(report.read);
  return *process;
}

}  // namespace backstay::os

#include "postgres/server.h"

#include <algorithm>
#include <csignal>

#include <fmt/format.h>

#include "core/bytes.h"
#include "core/error.h"
#include "core/text.h"
#include "postgres/postmaster_file.h"

namespace backstay::postgres {
namespace {

namespace fs = std::filesystem;
using core::Code;
using core::Error;

/// Between them it is a small part of what was waited for already: whoever waits is to lose no more.
constexpr core::Duration kShortestPoll = std::chrono::milliseconds(2);
constexpr core::Duration kLongestPoll = std::chrono::milliseconds(20);
constexpr int kPollPart = 16;
constexpr auto kImmediateDeadline = std::chrono::seconds(30);
constexpr std::uint64_t kLogTailBytes = 16384;
constexpr std::uint64_t kKeptOfLog = 1 << 20;

core::Duration pause_after(core::SteadyTime begin, core::Clock& clock) {
  const auto waited = std::chrono::duration_cast<core::Duration>(clock.steady_now() - begin);
  return std::clamp(waited / kPollPart, kShortestPoll, kLongestPoll);
}

fs::path log_before(const fs::path& log) { return log.string() + ".before"; }

}  // namespace

Server::Server(ServerDescription description, os::FileSystem& files, core::Clock& clock)
    : description_(std::move(description)), files_(files), clock_(clock) {}

std::optional<os::ProcessId> Server::find() const {
  const auto file = read_postmaster_file(description_.paths.data());
  if (!file) return std::nullopt;
  return find_postmaster(*file, description_.paths.data());
}

os::ProcessId Server::start(Launcher& launcher) {
  if (const auto running = find()) return *running;
  const auto data = description_.paths.data();
  if (any_process_in(data)) {
    throw Error(Code::kDatabaseUnavailable,
                fmt::format("processes of an earlier server still work in '{}'", data.string()));
  }
  // The number in a file left behind may belong to another process of this user by now, and then PostgreSQL would not
  // start. Without a process that works in the directory the file means nothing.
  if (files_.stat(data / kPostmasterFile)) files_.remove(data / kPostmasterFile);
  // What an earlier server wrote would explain nothing of this one. The server may write its log but not put something
  // else in its place.
  const auto log = description_.paths.log_file();
  if (files_.stat(log)) files_.rename(log, log_before(log));
  files_.create(log, 0600)->close();
  give_to(files_, log, description_.identity);
  ServerSpec spec;
  spec.name = description_.name;
  const auto config = description_.paths.config();
  spec.arguments = {description_.installation.program("postgres").string(), "-D", data.string()};
  for (const auto& [setting, file] :
       {std::pair("config_file", "postgresql.conf"), {"hba_file", "pg_hba.conf"}, {"ident_file", "pg_ident.conf"}}) {
    spec.arguments.insert(spec.arguments.end(), {"-c", fmt::format("{}={}", setting, (config / file).string())});
  }
  spec.directory = data;
  spec.environment = {{"PATH", "/usr/bin:/bin"}, {"LANG", "C.UTF-8"}, {"TZ", "UTC"}};
  spec.identity = description_.identity;
  spec.log_file = log;
  spec.hints = description_.hints;
  return launcher.start(spec);
}

void Server::wait_until_ready(os::ProcessId process, std::chrono::milliseconds deadline, std::stop_token stop) {
  const auto begin = clock_.steady_now();
  const auto end = begin + deadline;
  while (true) {
    const auto file = read_postmaster_file(description_.paths.data());
    if (file && file->pid == process.pid && file->ready) return;
    if (!os::is_alive(process)) {
      throw Error(Code::kDatabaseUnavailable,
                  fmt::format("the server of '{}' ended before it accepted connections; its log ends with: {}",
                              description_.name, log_tail()));
    }
    if (clock_.steady_now() >= end) {
      throw Error(Code::kTimeout, fmt::format("the server of '{}' did not accept connections within {}; its log ends "
                                              "with: {}",
                                              description_.name, core::format_duration(deadline), log_tail()));
    }
    if (!clock_.wait(stop, pause_after(begin, clock_))) {
      throw Error(Code::kCancelled, fmt::format("waiting for the server of '{}' was cancelled", description_.name));
    }
  }
}

void Server::stop(StopMode mode, std::chrono::milliseconds deadline, std::stop_token stop) {
  auto process = find();
  if (!process) process = find_postmaster_without_file(description_.paths.data());
  if (!process) return;
  os::signal(*process, mode == StopMode::kFast ? SIGINT : SIGQUIT);
  const auto begin = clock_.steady_now();
  auto end = begin + deadline;
  bool immediate = mode == StopMode::kImmediate;
  while (os::is_alive(*process)) {
    if (clock_.steady_now() >= end) {
      if (immediate) {
        throw Error(Code::kTimeout,
                    fmt::format("the server of '{}' (process {}) does not stop", description_.name, process->pid));
      }
      immediate = true;
      os::signal(*process, SIGQUIT);
      end = clock_.steady_now() + kImmediateDeadline;
    }
    if (!clock_.wait(stop, pause_after(begin, clock_))) {
      throw Error(Code::kCancelled, fmt::format("stopping the server of '{}' was cancelled", description_.name));
    }
  }
}

void Server::reload() {
  const auto process = find();
  if (!process || !os::signal(*process, SIGHUP)) {
    throw Error(Code::kDatabaseUnavailable, fmt::format("the server of '{}' does not run", description_.name));
  }
}

ConnectionTarget Server::management_target(const std::string& database) const {
  ConnectionTarget target;
  target.socket_directory = description_.paths.socket();
  target.port = description_.port;
  target.user = description_.management_role;
  target.password = description_.management_password;
  target.database = database;
  target.options = kManagementOptions;
  if (description_.identity) target.server_user = description_.identity->uid;
  return target;
}

Connection Server::connect(const std::string& database, std::stop_token stop) const {
  return Connection(management_target(database), std::move(stop));
}

void Server::bound_log(std::uint64_t limit) {
  const auto log = description_.paths.log_file();
  // Programs of an earlier server may still write to its log.
  for (const auto& path : {log_before(log), log}) {
    const auto info = files_.stat(path);
    if (!info || info->size <= limit) continue;
    core::Bytes end(std::min(info->size, kKeptOfLog));
    end.resize(files_.open_read(path)->read_at(info->size - end.size(), end));
    const auto file = files_.open_write(path);
    file->truncate(0);
    file->close();
    if (path != log) continue;
    const auto before = files_.create(log_before(log), 0600);
    before->append(end);
    before->close();
  }
}

std::string Server::log_tail(std::size_t lines) const {
  const auto path = description_.paths.log_file();
  if (!files_.stat(path)) return "(no log)";
  const auto file = files_.open_read(path);
  const auto size = file->size();
  const auto from = size > kLogTailBytes ? size - kLogTailBytes : 0;
  core::Bytes bytes(static_cast<std::size_t>(size - from));
  bytes.resize(file->read_at(from, bytes));
  auto all = core::split(core::trim(core::as_text(bytes)), '\n');
  if (all.size() > lines) all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(lines));
  std::string result;
  for (const auto& line : all) result += (result.empty() ? "" : "\n") + line;
  return result;
}

}  // namespace backstay::postgres

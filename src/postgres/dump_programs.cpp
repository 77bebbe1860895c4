#include "postgres/dump_programs.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "core/text.h"
#include "postgres/dump_contents.h"

namespace backstay::postgres {
namespace {

/// Longer than any work that may end well.
constexpr std::chrono::seconds kDeadline = std::chrono::days(7);
constexpr int kLockPatienceMs = 120'000;

/// Sockets are named by at most 107 bytes, wherever the directory lies; each program finds it as its own.
constexpr const char* kSocketHost = "/proc/self/cwd";

/// Otherwise what the server, the database or the role has set shows in how values are written.
constexpr std::string_view kSameTextEverywhere = " -c timezone=UTC -c bytea_output=hex";
constexpr int kSignalled = 128;

std::string quoted_for_conninfo(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

os::Command offline_command(const DumpTask& task, const char* program) {
  os::Command command;
  command.argv = {task.installation.program(program).string()};
  command.environment = {{"PATH", "/usr/bin:/bin"}, {"LC_ALL", "C.UTF-8"}, {"TZ", "UTC"}};
  command.identity = task.identity;
  command.deadline = kDeadline;
  return command;
}

os::Command connected_command(const DumpTask& task, const char* program) {
  os::Command command = offline_command(task, program);
  const ConnectionTarget& target = task.connection;
  command.directory = target.socket_directory;
  command.environment.insert({{"PGHOST", kSocketHost},
                              {"PGPORT", std::to_string(target.port)},
                              {"PGUSER", target.user},
                              {"PGAPPNAME", target.application_name},
                              {"PGCONNECT_TIMEOUT", "10"}});
  if (!target.password.empty()) command.environment["PGPASSWORD"] = target.password.reveal();
  if (!target.options.empty()) command.environment["PGOPTIONS"] = target.options;
  command.argv.push_back("--dbname=dbname=" + quoted_for_conninfo(target.database));
  command.argv.push_back(fmt::format("--jobs={}", std::max(task.jobs, 1U)));
  command.argv.emplace_back("--no-password");
  return command;
}

/// Of the service's role it all becomes; subscriptions would take what is meant for their source.
void add_owner_rules(os::Command& command) {
  for (const char* option : {"--no-owner", "--no-privileges", "--no-tablespaces", "--no-subscriptions"}) {
    command.argv.emplace_back(option);
  }
}

/// The entry's owner comes last, if it has one.
bool names(std::string_view entry, std::string_view kind, const std::string& name) {
  if (!entry.starts_with(kind)) return false;
  entry.remove_prefix(kind.size());
  return entry.substr(0, entry.rfind(' ')) == name;
}

constexpr std::string_view kEntryMark = "pg_restore: from TOC entry ";

/// "pg_restore: from TOC entry 215; 1255 16390 FUNCTION f(integer) app" -> "FUNCTION f(integer)".
std::string concerned(std::string_view line) {
  const std::string_view entry = listed_entry(line.substr(kEntryMark.size()));
  return std::string(entry.substr(0, entry.rfind(' ')));
}

/// What follows "pg_dump: error: "; nothing for another kind of line.
std::optional<std::string> said(const std::string& line, std::string_view kind) {
  for (const std::string_view program : {"pg_dump: ", "pg_restore: "}) {
    if (!line.starts_with(program) || !std::string_view(line).substr(program.size()).starts_with(kind)) continue;
    return std::string(core::trim(std::string_view(line).substr(program.size() + kind.size())));
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> dump_problem(const Installation& installation) {
  for (const char* name : {"pg_dump", "pg_restore"}) {
    std::error_code ignored;
    const auto program = installation.program(name);
    if (std::filesystem::is_regular_file(program, ignored)) continue;
    return fmt::format("there is no {} of PostgreSQL {} on this machine ('{}')", name, installation.major,
                       program.string());
  }
  return std::nullopt;
}

os::Command dump_command(const DumpTask& task) {
  os::Command command = connected_command(task, "pg_dump");
  command.environment["PGOPTIONS"] += kSameTextEverywhere;
  command.argv.insert(command.argv.end(),
                      {"--format=directory", "--compress=0", "--no-sync",
                       fmt::format("--lock-wait-timeout={}", kLockPatienceMs), "--file=" + task.directory.string()});
  return command;
}

os::Command contents_command(const DumpTask& task) {
  os::Command command = offline_command(task, "pg_restore");
  command.argv.emplace_back("--list");
  command.argv.push_back(task.directory.string());
  command.output_limit = kMostContents;
  return command;
}

std::string whole_contents(os::CommandResult listed, std::size_t limit) {
  if (listed.exit_code != 0) throw dump_error(listed, core::Code::kRecoveryFailed);
  if (listed.output.size() < limit) return std::move(listed.output);
  throw core::Error(core::Code::kRecoveryFailed,
                    fmt::format("the dump's table of contents has {} or more", core::format_bytes(limit)));
}

os::Command restore_command(const DumpTask& task, const std::filesystem::path& contents) {
  os::Command command = connected_command(task, "pg_restore");
  add_owner_rules(command);
  command.argv.insert(command.argv.end(),
                      {"--exit-on-error", "--verbose", "--use-list=" + contents.string(), task.directory.string()});
  return command;
}

os::Command script_command(const DumpTask& task) {
  os::Command command = offline_command(task, "pg_restore");
  add_owner_rules(command);
  command.argv.insert(command.argv.end(), {"--file=-", task.directory.string()});
  return command;
}

std::string without_made(std::string_view contents, std::span<const std::string> extensions,
                         std::span<const std::string> schemas) {
  std::string kept;
  for (const std::string& line : core::split(contents, '\n')) {
    const std::string_view entry = listed_entry(line);
    const auto is_extension = [&](const std::string& name) {
      return names(entry, "EXTENSION - ", name) || names(entry, "COMMENT - EXTENSION ", name);
    };
    if (std::ranges::any_of(extensions, is_extension)) continue;
    if (std::ranges::any_of(schemas, [&](const auto& name) { return names(entry, "SCHEMA - ", name); })) continue;
    kept.append(line).push_back('\n');
  }
  return kept;
}

core::Error dump_error(const os::CommandResult& result, core::Code code) {
  const std::string_view standard_error = result.error;
  std::string object;
  std::string message;
  for (const std::string& line : core::split(standard_error, '\n')) {
    if (message.empty() && line.starts_with(kEntryMark)) object = concerned(line);
    if (const auto error = said(line, "error: "); error && message.empty()) message = *error;
    if (const auto detail = said(line, "detail: "); detail && !message.empty()) {
      message += "; " + *detail;
      break;
    }
  }
  if (message.empty() && result.exit_code > kSignalled) {
    return {core::Code::kUnavailable, fmt::format("the program was ended by signal {}", result.exit_code - kSignalled)};
  }
  if (message.empty()) message = core::trim(standard_error.substr(0, standard_error.find('\n')));
  if (standard_error.find("No space left on device") != std::string_view::npos) code = core::Code::kDiskFull;
  return {code, object.empty() ? message : object + ": " + message};
}

}  // namespace backstay::postgres

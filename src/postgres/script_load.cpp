#include "postgres/script_load.h"

#include <array>

#include <fmt/format.h>

#include "core/text.h"

namespace backstay::postgres {
namespace {

using core::Code;
using core::Error;

/// Longer than any work that may end well.
constexpr std::chrono::seconds kDeadline = std::chrono::days(7);
constexpr auto kSettleDeadline = std::chrono::seconds(60);
constexpr auto kPoll = std::chrono::milliseconds(50);
/// The advisory locks of one load: psql waits for the first, and goes on only while we hold the second.
constexpr int kGate = 1;
constexpr int kGoAhead = 2;
/// psql's status for a script that failed, as opposed to a connection that did.
constexpr int kScriptFailed = 3;
constexpr std::string_view kPlace = "psql:<stdin>:";
/// The message is in the log: its number is never given again once that is flushed.
constexpr std::string_view kTellTransaction =
    "--command=SELECT pg_catalog.txid_current() FROM pg_catalog.pg_logical_emit_message(true, 'backstay', 'import')";

/// The first minor release of each major whose psql has \restrict.
constexpr std::array<std::pair<int, int>, 5> kRestricting{{{13, 22}, {14, 19}, {15, 14}, {16, 10}, {17, 6}}};

bool knows_restrict(const Installation& installation) {
  if (installation.major > kRestricting.back().first) return true;
  const auto dot = installation.version.find('.');
  const auto minor = dot == std::string::npos ? std::nullopt : core::parse_int(installation.version.substr(dot + 1));
  return std::ranges::any_of(kRestricting, [&](const auto& release) {
    return release.first == installation.major && minor && *minor >= release.second;
  });
}

void set_connection(os::Command& command, const ScriptLoad& load) {
  const ConnectionTarget& target = load.connection;
  command.environment = {{"PATH", "/usr/bin:/bin"},
                         {"LC_ALL", "C.UTF-8"},
                         {"TZ", "UTC"},
                         {"PGPORT", std::to_string(target.port)},
                         {"PGUSER", target.user},
                         {"PGDATABASE", target.database},
                         {"PGPASSWORD", target.password.reveal()},
                         {"PGAPPNAME", load.name},
                         {"PGCONNECT_TIMEOUT", "10"},
                         {"PGCLIENTENCODING", "UTF8"},
                         {"PGPASSFILE", "/dev/null"},
                         {"PGOPTIONS",
                          "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 "
                          "-c client_min_messages=warning"}};
  if (!target.socket_directory.empty()) {
    // Sockets are named by at most 107 bytes, wherever the directory lies; psql finds it as its own.
    command.directory = target.socket_directory;
    command.environment["PGHOST"] = "/proc/self/cwd";
    return;
  }
  command.environment["PGHOST"] = target.host;
  if (target.ssl_mode.empty() || target.ssl_mode == "require") {
    command.environment["PGSSLMODE"] = "require";
    // Whoever listens there must know the role's verifier: another program learns nothing.
    command.environment["PGCHANNELBINDING"] = "require";
  } else {
    command.environment["PGSSLMODE"] = target.ssl_mode;
  }
}

os::Command psql_command(const ScriptLoad& load, int key, const std::string& restrict_key) {
  os::Command command;
  command.argv = {load.installation.program("psql").string(),
                  "--no-psqlrc",
                  "--no-password",
                  "--quiet",
                  "--tuples-only",
                  "--no-align",
                  "--set=ON_ERROR_STOP=1",
                  "--single-transaction",
                  std::string(kTellTransaction),
                  fmt::format("--command=SELECT pg_catalog.pg_advisory_xact_lock_shared({}, {})", key, kGate),
                  fmt::format("--command=SELECT 1 / pg_catalog.count(*) FROM pg_catalog.pg_locks WHERE locktype = "
                              "'advisory' AND classid = {} AND objid = {} AND objsubid = 2 AND granted",
                              key, kGoAhead)};
  // What a name holds must not become part of the script.
  for (const char* variable : {"DBNAME", "USER", "HOST", "PORT"}) {
    command.argv.push_back(fmt::format("--command=\\unset {}", variable));
  }
  command.argv.push_back("--command=\\restrict " + restrict_key);
  command.argv.emplace_back("--file=-");
  set_connection(command, load);
  command.identity = load.identity;
  command.deadline = kDeadline;
  command.input_file = load.script;
  return command;
}

/// The server's word on a transaction. Its session may not have noticed yet that psql is dead: it is ended.
bool is_committed(core::Clock& clock, const ScriptLoad& load, const std::string& transaction,
                  const std::stop_token& stop) {
  const auto deadline = clock.steady_now() + kSettleDeadline;
  auto connection = load.connect_as_superuser(load.connection.database);
  for (;;) {
    connection.query(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE "
        "application_name = $1 AND usename = $2",
        {load.name, load.connection.user});
    const auto rows = connection.query("SELECT pg_catalog.txid_status($1::bigint)", {transaction});
    if (!rows.is_null(0, 0) && rows.text(0, 0) == "committed") return true;
    if (rows.is_null(0, 0) || rows.text(0, 0) == "aborted") return false;
    if (clock.steady_now() > deadline || !clock.wait(stop, kPoll)) {
      throw Error(Code::kDatabaseUnavailable, "the server does not say yet whether the import was committed");
    }
  }
}

/// Opens the gate once the number of the script's transaction is noted. On the thread that reads psql's output.
class Gate {
 public:
  Gate(const ScriptLoad& load, int key)
      : load_(load), key_(key), connection_(load.connect_as_superuser(load.connection.database)) {
    connection_.query("SET synchronous_commit = local");
    connection_.query(fmt::format("SELECT pg_catalog.pg_advisory_lock({}, {})", key_, kGate));
  }

  /// The first line is the number; what else the script's queries answer is of no interest.
  void read(std::string_view output) {
    if (!transaction_.empty()) return;
    first_line_ += output;
    const auto end = first_line_.find('\n');
    if (end == std::string::npos) return;
    const auto number = core::parse_int(first_line_.substr(0, end));
    if (!number) throw Error(Code::kInternal, fmt::format("psql answered '{}' for a number", first_line_));
    // A commit after it flushes it: a server that dies does not give the number to somebody else.
    connection_.query("SELECT pg_catalog.pg_logical_emit_message(true, 'backstay', 'import')");
    load_.note(std::to_string(*number));
    transaction_ = std::to_string(*number);
    connection_.query(fmt::format("SELECT pg_catalog.pg_advisory_lock({}, {})", key_, kGoAhead));
    connection_.query(fmt::format("SELECT pg_catalog.pg_advisory_unlock({}, {})", key_, kGate));
  }
  /// Empty: nothing of the script ran.
  [[nodiscard]] const std::string& transaction() const { return transaction_; }

 private:
  const ScriptLoad& load_;
  const int key_;
  Connection connection_;
  std::string first_line_;
  std::string transaction_;
};

Error failure_of(const os::CommandResult& result) {
  if (result.exit_code == kScriptFailed) return script_error(result.error);
  const auto words = core::trim(result.error);
  if (words.find("password authentication failed") != std::string_view::npos) {
    return Error(Code::kImportRefused, fmt::format("the service's own role cannot log in: {}", words))
        .with_hint("set the role's password through the service's secrets, then import again");
  }
  return {Code::kDatabaseUnavailable, fmt::format("psql lost the server: {}", words)};
}

}  // namespace

std::optional<std::string> load_problem(const Installation& installation) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(installation.program("psql"), ignored)) {
    return fmt::format("there is no psql of PostgreSQL {} on this machine", installation.major);
  }
  if (!knows_restrict(installation)) {
    return fmt::format("the psql of PostgreSQL {} cannot be kept from commands in a script; update it",
                       installation.version);
  }
  return std::nullopt;
}

Error script_error(std::string_view standard_error) {
  std::string message;
  for (const std::string& line : core::split(core::trim(standard_error), '\n')) {
    // What came before the error were warnings.
    const auto place = line.starts_with(kPlace) ? line.substr(kPlace.size()) : std::string();
    const auto colon = place.find(": ");
    const bool fatal = place.find("ERROR:") != std::string::npos || place.find("FATAL:") != std::string::npos ||
                       place.find(": error:") != std::string::npos;
    if (colon != std::string::npos && fatal) {
      message = fmt::format("line {}: {}", place.substr(0, colon), core::trim(place.substr(colon + 2)));
    } else if (!message.empty()) {
      message += "\n" + line;
    }
  }
  if (message.empty()) message = core::trim(standard_error);
  const bool full = message.find("No space left on device") != std::string::npos;
  return Error(full ? Code::kDiskFull : Code::kImportRefused, message)
      .with_hint(
          "nothing of the dump is in the database; the service's own role, which is no superuser, must be able "
          "to do what the line says");
}

bool was_loaded(core::Clock& clock, const ScriptLoad& load, const std::stop_token& stop) {
  return !load.mark.empty() && is_committed(clock, load, load.mark, stop);
}

LoadOutcome load_script(os::ProcessRunner& processes, core::Clock& clock, core::Random& random, const ScriptLoad& load,
                        std::stop_token stop) {
  if (was_loaded(clock, load, stop)) return LoadOutcome::kLoadedBefore;
  const int key = static_cast<int>(random.below(std::uint64_t{1} << 30));
  Gate gate(load, key);
  os::Command command = psql_command(load, key, random.token(32));
  command.on_output = [&](std::string_view output) { gate.read(output); };
  std::optional<Error> failure;
  try {
    const auto result = processes.run(command, stop);
    if (result.exit_code == 0) return LoadOutcome::kLoaded;
    failure = failure_of(result);
  } catch (const Error& error) {
    failure = error;
  }
  // It may have been killed, or cut off, after its last word.
  if (!gate.transaction().empty() && is_committed(clock, load, gate.transaction(), {})) return LoadOutcome::kLoaded;
  throw *std::move(failure);
}

}  // namespace backstay::postgres

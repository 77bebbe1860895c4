// An SQL script taken into a running server by psql: in one transaction, and once however often it is tried.
//
// The script's transaction is known by its number before its first statement runs, so that after any death of ours the
// server itself says whether it was committed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "core/error.h"
#include "core/random.h"
#include "core/time.h"
#include "os/process.h"
#include "postgres/connection.h"
#include "postgres/installation.h"
#include "postgres/roles.h"

namespace backstay::postgres {

/// Why the installation cannot load scripts, in words; nothing if it can. A psql that cannot be told to take no
/// commands from a script must not read a stranger's.
std::optional<std::string> load_problem(const Installation& installation);

struct ScriptLoad {
  const Installation& installation;
  /// Who psql runs as; the caller itself if absent.
  std::optional<os::Identity> identity = {};
  /// The role that the script runs as. Whoever answers in the server's place does not learn its password.
  ConnectionTarget connection = {};
  /// Connects a superuser, who looks after the transaction.
  ConnectTo connect_as_superuser = {};
  /// An open file at its beginning: what ScriptFilter made. How far psql is, its position says.
  int script = -1;
  /// The same for each attempt, and no other script's.
  std::string name;
  /// What an earlier attempt noted; empty: none.
  std::string mark = {};
  /// Notes the transaction; durable when it returns.
  std::function<void(const std::string& mark)> note = {};
};

enum class LoadOutcome { kLoaded, kLoadedBefore };

/// Throws Error(import_refused) with the script's line and PostgreSQL's words, database_unavailable (retryable),
/// timeout and cancelled; after any of them nothing of the script is in the database, except that database_unavailable
/// may leave it open: the mark tells the next attempt.
LoadOutcome load_script(os::ProcessRunner& processes, core::Clock& clock, core::Random& random, const ScriptLoad& load,
                        std::stop_token stop);

/// True if the mark is that of a transaction that was committed.
bool was_loaded(core::Clock& clock, const ScriptLoad& load, const std::stop_token& stop);

/// "line 12: ERROR:  …" of what psql wrote when it failed, with the lines that explain it.
core::Error script_error(std::string_view standard_error);

}  // namespace backstay::postgres

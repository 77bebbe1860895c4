#include "backup/dump_restore.h"

#include <utility>

#include <fmt/format.h>

#include "backup/laid_dump.h"
#include "core/error.h"
#include "core/json.h"
#include "core/text.h"
#include "postgres/dump_programs.h"

namespace backstay::backup {
namespace {

/// What the application's role could not make itself, made for it.
struct Prepared {
  std::vector<std::string> extensions;
  std::vector<std::string> schemas;
};

/// Nothing if the role may make it itself.
bool needs_superuser(postgres::Connection& connection, const std::string& name) {
  const auto rows = connection.query(
      "SELECT v.trusted FROM pg_catalog.pg_available_extensions e JOIN pg_catalog.pg_available_extension_versions v "
      "ON v.name = e.name AND v.version = e.default_version WHERE e.name = $1",
      {name});
  if (!rows.empty()) return !rows.truth(0, 0);
  throw core::Error(core::Code::kRecoveryFailed,
                    fmt::format("the dump uses the extension '{}', which this machine does not have for PostgreSQL {}",
                                name, connection.server_version() / 10'000))
      .with_hint("install the package with that extension for that version, then try again");
}

Prepared prepare_extensions(const DumpRestoreRequest& request, const repository::BackupRecord& record) {
  Prepared prepared;
  const auto* const extensions = core::find_array(record.details, "extensions");
  if (extensions == nullptr || extensions->empty()) return prepared;
  auto connection = request.connect_as_superuser(request.connection.database);
  const std::string owner = postgres::quote_identifier(request.connection.user);
  for (const auto& value : *extensions) {
    const auto& extension = core::as_object(value);
    const std::string name = core::require_string(extension, "name");
    const std::string schema = core::require_string(extension, "schema");
    if (!needs_superuser(connection, name)) continue;
    const auto there = connection.query("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", {schema});
    if (there.empty()) {
      connection.query(fmt::format("CREATE SCHEMA {} AUTHORIZATION {}", postgres::quote_identifier(schema), owner));
      prepared.schemas.push_back(schema);
    }
    connection.query(fmt::format("CREATE EXTENSION IF NOT EXISTS {} WITH SCHEMA {} CASCADE",
                                 postgres::quote_identifier(name), postgres::quote_identifier(schema)));
    prepared.extensions.push_back(name);
  }
  return prepared;
}

}  // namespace

int dump_major(const repository::BackupRecord& record) {
  const auto& version = record.postgres_version;
  return static_cast<int>(core::parse_int(version.substr(0, version.find('.'))).value_or(0));
}

repository::BackupRecord require_dump(repository::Repository& repository, const std::string& instance,
                                      const std::string& backup, int major) {
  auto record = repository.backup(instance, backup);
  if (!record || repository.store().head(repository::condemned_name(instance, backup).key)) {
    throw core::Error(core::Code::kRecoveryOutOfReach, fmt::format("no backup '{}' is stored", backup));
  }
  if (record->mechanism != "logical") {
    throw core::Error(core::Code::kInvalidArgument,
                      fmt::format("the backup '{}' is physical: it holds files of a server, not SQL", backup))
        .with_hint("recover it into a service, or take a logical backup");
  }
  const int dumped = dump_major(*record);
  if (dumped > major) {
    throw core::Error(core::Code::kInvalidArgument,
                      fmt::format("the dump is of PostgreSQL {}, and cannot go back to {}", dumped, major))
        .with_hint(fmt::format("choose PostgreSQL {} or later", dumped));
  }
  return *std::move(record);
}

void load_laid_dump(const Environment& environment, const LaidDump& dump, const DumpRestoreRequest& request,
                    std::stop_token stop) {
  const Prepared prepared = prepare_extensions(request, dump.record());
  postgres::DumpTask task = dump.task();
  task.connection = request.connection;
  task.jobs = request.workers;
  const auto contents = dump.put_contents(prepared.extensions, prepared.schemas, stop);
  const auto result = environment.processes.run(postgres::restore_command(task, contents), stop);
  if (result.exit_code == 0) return;
  throw postgres::dump_error(result, core::Code::kRecoveryFailed)
      .with_hint(
          "a role that is no superuser restores the dump: what needs more must be left out at the source, "
          "or recovered from a physical backup");
}

void restore_dump(const Environment& environment, const DumpRestoreRequest& request, const ProgressCallback& progress,
                  std::stop_token stop) {
  try {
    LaidDump dump(environment, request.from);
    dump.lay(progress, stop);
    if (progress) progress({.phase = "load", .done = 0, .total = dump.record().data_size});
    load_laid_dump(environment, dump, request, stop);
  } catch (core::Error& e) {
    throw std::move(e).add_context(fmt::format("restoring the logical backup '{}'", request.from.backup_id));
  }
}

void write_dump_as_sql(const Environment& environment, const StoredDump& from, const SqlSink& sink,
                       std::stop_token stop) {
  try {
    LaidDump dump(environment, from);
    dump.lay(nullptr, stop);
    os::Command command = postgres::script_command(dump.task());
    command.on_output = sink;
    const auto result = environment.processes.run(command, stop);
    if (result.exit_code != 0) throw postgres::dump_error(result, core::Code::kRecoveryFailed);
  } catch (core::Error& e) {
    throw std::move(e).add_context(fmt::format("writing the logical backup '{}' as SQL", from.backup_id));
  }
}

}  // namespace backstay::backup

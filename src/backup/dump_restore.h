// What becomes of a logical backup: a database, or SQL.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "backup/environment.h"
#include "backup/scratch.h"
#include "postgres/connection.h"
#include "postgres/installation.h"
#include "postgres/roles.h"
#include "repository/repository.h"

namespace backstay::backup {

/// The record of a logical backup that can be restored by `major`. Throws recovery_out_of_reach if none of that id is
/// stored, and invalid_argument for a physical one or a dump of a later version.
repository::BackupRecord require_dump(repository::Repository& repository, const std::string& instance,
                                      const std::string& backup, int major);

/// Of the server that was dumped; 0 where the record does not say.
int dump_major(const repository::BackupRecord& record);

/// Where a dump comes from, and who reads it.
struct StoredDump {
  repository::Repository& repository;
  std::string instance = {};
  std::string backup_id = {};
  /// Of the same major version as the dump's server, or a later one.
  const postgres::Installation& installation;
  /// Who pg_restore runs as; the caller itself if absent.
  std::optional<os::Identity> identity = {};
  ScratchSpace scratch = {};
};

struct DumpRestoreRequest {
  StoredDump from;
  /// The application's role on a server that it reaches through a socket directory, and its database, which is empty.
  postgres::ConnectionTarget connection = {};
  /// Of a superuser, for the extensions that the role may not make itself.
  postgres::ConnectTo connect_as_superuser = {};
  unsigned workers = 2;
};

/// Restores with no more rights than the role has: nothing that a dump says can reach further. Everything is owned by
/// the role; privileges of other roles, tablespaces and subscriptions stay behind. Extensions that only a superuser may
/// make are made before, if the server has them.
///
/// Throws Error: disk_full if the scratch space has no room for the dump; recovery_failed with the object that
/// PostgreSQL refused and its words; what require_dump throws; the store's errors; cancelled on stop. The database is
/// then to be dropped.
void restore_dump(const Environment& environment, const DumpRestoreRequest& request, const ProgressCallback& progress,
                  std::stop_token stop);

class LaidDump;
/// The same with a dump that lies there, whole, already (laid_dump.h); `request.from` plays no part.
void load_laid_dump(const Environment& environment, const LaidDump& dump, const DumpRestoreRequest& request,
                    std::stop_token stop);

/// Gets the SQL piece by piece; an exception ends the work and comes out of it.
using SqlSink = std::function<void(std::string_view)>;

/// The dump as SQL for psql, in any later major version too; what it makes belongs to whoever runs it.
void write_dump_as_sql(const Environment& environment, const StoredDump& from, const SqlSink& sink,
                       std::stop_token stop);

}  // namespace backstay::backup

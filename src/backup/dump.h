// A logical backup: what pg_dump says of one database, in the store. It stands alone, without WAL, and becomes a
// database of the same or any later major version.
#pragma once

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>

#include "backup/environment.h"
#include "backup/scratch.h"
#include "codec/compression.h"
#include "postgres/connection.h"
#include "postgres/installation.h"
#include "repository/records.h"
#include "repository/repository.h"

namespace backstay::backup {

struct DumpRequest {
  repository::Repository& repository;
  /// The instance whose record is already in the repository.
  std::string instance = {};
  /// A fresh UUID, or that of an attempt that ended without a record.
  std::string backup_id = {};
  /// Over a socket directory, as a role that may read all of connection.database.
  postgres::ConnectionTarget connection = {};
  /// Of the server's major version.
  const postgres::Installation& installation;
  /// Who pg_dump runs as; the caller itself if absent.
  std::optional<os::Identity> identity = {};
  ScratchSpace scratch = {};
  std::string label = {};
  /// "scheduled", "manual", "final" or "safety".
  std::string origin = "manual";
  unsigned workers = 2;
  codec::Compression compression = codec::Compression::kZstd;
};

/// Takes the backup and returns when it is *stored*; *taken* is when its snapshot was. Each file of the dump goes into
/// the repository when pg_dump has closed it and is then removed. What the instance's last logical backup holds already
/// is not stored again, provided that backup was confirmed and is not damaged. Ended in any other way no backup exists.
///
/// Throws Error: disk_full if the scratch space has no room for the tables, or runs out of it; not_supported if the
/// installation has no pg_dump; cancelled on stop; database_error and database_unavailable; the store's errors.
repository::BackupRecord take_dump(const Environment& environment, const DumpRequest& request,
                                   const ProgressCallback& progress, std::stop_token stop);

}  // namespace backstay::backup

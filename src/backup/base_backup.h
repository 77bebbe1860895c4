// A base backup: a consistent copy of a running server's files, in the store, with the WAL that makes it consistent.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

#include "backup/base_choice.h"
#include "backup/change_collector.h"
#include "backup/environment.h"
#include "codec/compression.h"
#include "postgres/connection.h"
#include "repository/records.h"
#include "repository/repository.h"

namespace backstay::backup {

class WalReceiver;

/// What the WAL between two points changed.
using ChangeSource = std::function<CollectedChanges(const ChangesRequest&, std::stop_token)>;

struct BaseBackupRequest {
  repository::Repository& repository;
  /// The instance whose record is already in the repository.
  std::string instance = {};
  /// A fresh UUID; a repeated attempt takes a new one.
  std::string backup_id = {};
  std::filesystem::path data_directory = {};
  /// A superuser, or a role with REPLICATION that may call pg_backup_start; on the server's own machine.
  postgres::ConnectionTarget connection = {};
  /// The receiver that archives this instance in this process. Without one the backup streams the WAL from its start to
  /// its stop itself, over a slot that lives as long as the backup.
  WalReceiver* receiver = nullptr;
  /// Where the backup's own WAL stream puts segments together; needed only without a receiver.
  std::filesystem::path spool_directory = {};
  /// Where the lists of the files lie meanwhile if there are very many: at most some ten bytes of disk a file; the
  /// machine's directory for temporary files if it is empty.
  std::filesystem::path scratch_directory = {};
  /// In the names of the objects that this stream writes.
  std::uint64_t epoch = 0;
  std::string label = {};
  /// "scheduled", "manual", "final" or "safety".
  std::string origin = "manual";
  unsigned workers = 2;
  codec::Compression compression = codec::Compression::kZstd;
  /// A checkpoint at once instead of one spread over checkpoint_completion_target.
  bool fast_checkpoint = true;
  /// Everything is read and stored anew, whatever earlier backups hold.
  bool full = false;
  BaseRules base_rules = {};
  /// Empty: collect_page_changes.
  ChangeSource changes = {};
  /// How long the WAL up to the backup's end may take to reach the store.
  std::chrono::seconds wal_deadline{600};
};

/// Pages that the WAL proves unchanged since an earlier backup of the instance in the same repository are not read: the
/// new manifest refers to the bytes that lie in the store for that one (docs/format/repository.md has the rules). Where
/// nothing is proven everything is read; facts_of(record) says which it was, and why.
///
/// Takes the backup and returns when it is *stored*: all files and the WAL from start to stop are in the store, and the
/// record, written last, says so. Ended in any other way (an exception, a stop, a crash) no backup exists; packs that
/// were uploaded stay unreferenced until they are pruned.
///
/// Pages that fail their checksum after several reads, and are older than the start, do not end the backup: they are in
/// the record's details ("damagedPages") with file and block, and counted in pages_failed.
///
/// Throws Error: cancelled on stop, database_error and database_unavailable from the server, the store's errors, and
/// timeout if the WAL does not arrive in time.
repository::BackupRecord take_base_backup(const Environment& environment, const BaseBackupRequest& request,
                                          const ProgressCallback& progress, std::stop_token stop);

}  // namespace backstay::backup

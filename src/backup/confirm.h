// Confirming a backup: it is read back from the store in full, and its record says when.
#pragma once

#include <stop_token>
#include <string>

#include "backup/environment.h"
#include "repository/repository.h"
#include "repository/verify.h"

namespace backstay::backup {

enum class ReadBack {
  kEverything,
  /// What the backup wrote itself. Packs that it shares with its base were read back when that one was confirmed: of
  /// them only the group tables are read. Without a base that was confirmed, is not condemned and not doubtful
  /// (known_damage.h), before and after the reading, the same as kEverything.
  kOwn,
};

/// Reads back and authenticates what the backup needs: its files, and the WAL from its start to its stop.
/// If the report is clean, the record's *confirmed* fact is set; if not, the record says what the first problem is, and
/// a fact of an earlier reading stays, and so do those of all backups of the instance that need a pack which was found
/// damaged. What others find meanwhile is not forgotten: it is read once more. Progress counts objects. Throws Error:
/// not_found, conflict if it was removed or taken once more while it was read, cancelled, the store's errors.
repository::VerifyReport confirm_backup(const Environment& environment, repository::Repository& repository,
                                        const std::string& instance, const std::string& backup_id,
                                        const ProgressCallback& progress, std::stop_token stop, unsigned threads = 2,
                                        ReadBack what = ReadBack::kEverything);

}  // namespace backstay::backup

// Confirming a backup: it is read back from the store in full, and its record says when.
#pragma once

#include <stop_token>
#include <string>

#include "backup/environment.h"
#include "repository/repository.h"
#include "repository/verify.h"

namespace backstay::backup {

/// Reads back and authenticates everything that the backup needs: its files, and the WAL from its start to its stop.
/// If the report is clean, the record's *confirmed* fact is set; if not, the record says what the first problem is, and
/// a fact of an earlier reading stays. Progress counts objects. Throws Error: not_found, cancelled, the store's errors.
repository::VerifyReport confirm_backup(const Environment& environment, repository::Repository& repository,
                                        const std::string& instance, const std::string& backup_id,
                                        const ProgressCallback& progress, std::stop_token stop, unsigned threads = 2);

}  // namespace backstay::backup

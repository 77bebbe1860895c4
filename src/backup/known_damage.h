// Damage that was found in the store, and whom it concerns: backups share what lies there.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/error.h"
#include "repository/repository.h"

namespace backstay::backup {

/// True if an error with this code says that an object in the store is gone, or not what was written.
bool is_store_damage(core::Code code);

/// True if a reading or a restore has found something against the backup, or against one of those that were taken upon
/// the same full one, all of which may share what was found to be damaged. `records` are those of its instance.
bool is_doubtful(const std::vector<repository::BackupRecord>& records, const repository::BackupRecord& backup);

/// Writes the problem into the backup's record, unless the backup is condemned or has a problem already, or another
/// attempt at it counts by now. Throws the store's errors.
void note_problem(repository::Repository& repository, const repository::BackupRecord& backup,
                  const std::string& problem);

/// The same for every backup of the instance whose manifest has one of the packs; `problems` are by the packs' keys. A
/// manifest that cannot be read is passed over. Throws the store's errors.
void note_damaged_packs(repository::Repository& repository, const std::string& instance,
                        const std::map<std::string, std::string>& problems);

}  // namespace backstay::backup

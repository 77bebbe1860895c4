// Private to repository: WAL that no backup can be brought forward with.
#pragma once

#include <vector>

#include "repository/prune_survey.h"

namespace backstay::repository::detail {

/// `backups` were listed after `writing` was asked: whether a backup of the instance is being written, or may still
/// become stored, which may need any of its WAL.
void prune_wal(PruneWorld& world, const UnwantedWal& unwanted, const std::vector<BackupObjects>& backups, bool writing);

}  // namespace backstay::repository::detail

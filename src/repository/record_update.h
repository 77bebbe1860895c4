// Writing down what was learnt about a backup that is stored.
#pragma once

#include <functional>

#include "repository/repository.h"

namespace backstay::repository {

/// Reads the record of the attempt anew, since others may have learnt something too, and writes what `change` makes of
/// it. Nothing is written if another attempt at the backup counts by now, since that is not what was looked at, if the
/// backup or the attempt is condemned or gone, since what is being removed must not come back, or if `change` says
/// false. True if it was written. Throws the store's errors, and what put_backup throws.
bool update_backup(Repository& repository, const BackupRecord& seen, const std::function<bool(BackupRecord&)>& change);

}  // namespace backstay::repository

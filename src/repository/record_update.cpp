#include "repository/record_update.h"

namespace backstay::repository {

bool update_backup(Repository& repository, const BackupRecord& seen, const std::function<bool(BackupRecord&)>& change) {
  auto record = repository.backup(seen.instance, seen.backup);
  if (!record || record->attempt != seen.attempt || !change(*record)) return false;
  // As late as can be: a mark is a grace old before the record is removed, so that only one request may be too late.
  if (repository.is_condemned(seen.instance, seen.backup, seen.attempt)) return false;
  repository.put_backup(*record);
  return true;
}

}  // namespace backstay::repository

#include "backup/wanted_backup.h"

#include <algorithm>

namespace backstay::backup {

void WantedBackup::want(const std::string& reason, std::optional<postgres::Lsn> at) {
  const postgres::Lsn lsn = at.value_or(newest_backup_ + 1);
  if (lsn <= newest_backup_) return;
  wanted_for_ = std::max(wanted_for_, lsn);
  reason_ = reason;
}

void WantedBackup::note_tablespace(postgres::Lsn lsn) {
  newest_tablespace_ = std::max(newest_tablespace_, lsn);
  want_for_tablespace();
}

void WantedBackup::note_base_backup(postgres::Lsn start) {
  newest_backup_ = std::max(newest_backup_, start);
  if (newest_backup_ >= wanted_for_) reason_.clear();
  want_for_tablespace();
}

/// Without a backup there is no window that could close; but one that began before may be told of later.
void WantedBackup::want_for_tablespace() {
  if (newest_backup_ == postgres::Lsn{} || newest_tablespace_ <= wanted_for_) return;
  want("a tablespace was created, whose creation cannot be replayed", newest_tablespace_);
}

}  // namespace backstay::backup

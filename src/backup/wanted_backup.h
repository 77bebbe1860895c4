// Why the recovery window of an instance is closed until another base backup begins. No I/O.
#pragma once

#include <optional>
#include <string>

#include "postgres/lsn.h"

namespace backstay::backup {

/// A reason holds until a base backup is stored that began at or after what it is about, in whatever order both are
/// told. Not thread-safe.
class WantedBackup {
 public:
  /// For what happened before `at`; without it, for all that came before the next one.
  void want(const std::string& reason, std::optional<postgres::Lsn> at);
  /// What created a tablespace ends at `lsn`: its creation cannot be replayed elsewhere.
  void note_tablespace(postgres::Lsn lsn);
  /// A base backup that begins at `start` is stored.
  void note_base_backup(postgres::Lsn start);

  /// Empty if none is wanted.
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

 private:
  void want_for_tablespace();

  std::string reason_;
  postgres::Lsn wanted_for_;
  postgres::Lsn newest_backup_;
  postgres::Lsn newest_tablespace_;
};

}  // namespace backstay::backup

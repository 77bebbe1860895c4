// Whether a replication slot lets its server's WAL through to the store. No I/O.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "core/time.h"
#include "postgres/lsn.h"
#include "postgres/replication_connection.h"

namespace backstay::backup {

/// Judges a slot from what is seen of it now and then. Not thread-safe.
class SlotWatch {
 public:
  /// What was written `patience` ago should have been released by the slot.
  explicit SlotWatch(core::Duration patience) : patience_(patience) {}

  /// What is wrong, in words; nothing if all is well or it cannot be said yet. `slot`: nothing if there is none;
  /// `server_end`: how far the server had written when the slot was looked at.
  std::optional<std::string> see(const std::optional<postgres::SlotState>& slot, postgres::Lsn server_end,
                                 core::SteadyTime now);

 private:
  struct Written {
    core::SteadyTime at;
    postgres::Lsn end;
  };
  const core::Duration patience_;
  std::deque<Written> written_;
};

}  // namespace backstay::backup

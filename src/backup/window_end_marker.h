// The small object that tells a store how far the archive of an instance is complete while no WAL is written.
#pragma once

#include <string>

#include "backup/recovery_window.h"
#include "core/time.h"
#include "postgres/lsn.h"
#include "repository/wal_store.h"

namespace backstay::backup {

struct WindowEndMarkerConfig {
  /// In what is logged.
  std::string instance = {};
  /// How often it is written while nothing changes.
  core::Duration interval{};
  /// How long after the last bytes of a busy time it is written at once.
  core::Duration settled_after{};
  /// How long a store that refused it is left alone.
  core::Duration retry{};
};

/// Used by one thread.
class WindowEndMarker {
 public:
  explicit WindowEndMarker(WindowEndMarkerConfig config) : config_(std::move(config)) {}

  /// Writes it if that is due, or in any case if `at_once`. `received`: the end of what the server has sent;
  /// `last_bytes`: when. A store that takes nothing is logged, and asked again later.
  void look(repository::WalStore& wal, const ArchiveEnd& end, postgres::Lsn received, core::SteadyTime last_bytes,
            core::SteadyTime now, bool at_once);

 private:
  const WindowEndMarkerConfig config_;
  core::SteadyTime written_;
  postgres::Lsn lsn_;
  core::SteadyTime retry_at_;
};

}  // namespace backstay::backup

// What must not be lost of WAL that is let go: where that began, how far it was acknowledged, and what it changed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "backup/change_keeper.h"
#include "backup/environment.h"
#include "core/mutex.h"
#include "core/time.h"
#include "postgres/lsn.h"

namespace backstay::backup {

/// What a receiver finds that follows one that was killed.
struct GapRecord {
  std::uint64_t system_identifier = 0;
  postgres::TimelineId timeline = {};
  /// What is not in the store: from here on.
  postgres::Lsn from = {};
  core::Timestamp since = {};
  /// The server may have removed what lies before; the map has every record that begins before.
  postgres::Lsn acknowledged = {};
  /// What the store does not have of the map.
  std::vector<ChangedStretch> changes = {};
};

/// One file on this disk, written anew each time: docs/format/gap.md. The thread that receives calls keep() and load(),
/// any other may look().
class GapMap {
 public:
  GapMap(const Environment& environment, std::filesystem::path directory);

  /// Empties the directory but for the file.
  void clean_directory();
  /// Nothing if there is none, or if it is damaged: then a full backup is what helps. Throws the errors of the disk, of
  /// which the next time may know nothing.
  std::optional<GapRecord> load();

  /// True if it is time for the next keep(): often, but for no more than a part of the time, half of it where what is
  /// acknowledged is far behind.
  [[nodiscard]] bool is_due(bool far_behind) const;
  /// All that the keeper has is on the disk afterwards. What may be acknowledged: not past `received`. Throws the
  /// errors of the disk.
  postgres::Lsn keep(GapRecord head, ChangeKeeper& changes, postgres::Lsn received);
  /// The gap is over: the file goes as soon as the store has the map of what lies before.
  void close(postgres::Lsn end);
  /// Removes the file if its time has come. A disk that refuses is logged, and asked again later.
  void look(const ChangeKeeper& changes);

 private:
  const Environment environment_;
  const std::filesystem::path directory_;
  core::SteadyTime due_;
  core::SteadyTime soonest_;
  /// Guards the file, and what follows.
  core::Mutex file_mutex_;
  std::optional<postgres::Lsn> closed_at_ GUARDED_BY(file_mutex_);
  core::SteadyTime remove_at_ GUARDED_BY(file_mutex_);
};

}  // namespace backstay::backup

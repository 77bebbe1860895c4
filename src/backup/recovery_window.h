// What can be reached now, and how: the recovery window of one instance, and the plan for a target inside it.
//
// Everything is answered from backup records and the commit indexes of WAL segments, plus a read of at most two
// segments; nothing is restored to find out. What is damaged costs only what rests on it, and is told as a warning.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/time.h"
#include "postgres/lsn.h"
#include "repository/records.h"
#include "repository/repository.h"

namespace backstay::backup {

/// "The archive is complete up to here": the server's WAL end and its clock at one moment.
struct ArchiveEnd {
  postgres::TimelineId timeline;
  postgres::Lsn lsn;
  core::Timestamp time;
};

struct WindowGap {
  core::Timestamp from;
  core::Timestamp to;
  std::string reason;
};

/// Times within [earliest, latest] that are in no gap can be reached. Both are absent until a first backup is stored.
struct RecoveryWindow {
  std::optional<core::Timestamp> earliest;
  std::optional<core::Timestamp> latest;
  std::vector<WindowGap> gaps;
  /// WAL is archived that no backup comes before: after a gap, or before the first backup.
  bool needs_base_backup = false;
  /// What is damaged, though it does not stand in the way of what is said above.
  std::vector<std::string> warnings;
};

struct ToBackup {
  std::string id;
};
struct ToTime {
  core::Timestamp time;
};
struct ToLatest {};
using RecoveryTarget = std::variant<ToBackup, ToTime, ToLatest>;

/// Where PostgreSQL's replay stops.
struct StopPoint {
  /// As soon as the backup is consistent; the two fields below say nothing then.
  bool immediate = false;
  postgres::Lsn lsn;
  bool inclusive = false;
};

/// Everything that a recovery does, decided before it begins.
struct RecoveryPlan {
  std::string instance;
  repository::BackupRecord base;
  StopPoint stop;
  /// The branch that is followed (recovery_target_timeline); the base may lie on one of its ancestors.
  postgres::TimelineId timeline;
  /// What was asked, and the newest commit that will be there, if one lies between the base and the stop.
  std::optional<core::Timestamp> time;
  std::optional<core::Timestamp> last_commit;
  /// The WAL that replay reads: from the base's start to the end of the segment that holds the stop.
  postgres::Lsn wal_from;
  postgres::Lsn wal_to;
  std::uint64_t file_bytes = 0;
  std::uint64_t wal_bytes = 0;
  std::vector<std::string> warnings;
};

class RecoveryRules;
struct ArchiveState;

/// The read side of one instance's archive. Thread-safe; keeps what it has learnt of stored segments, so that the next
/// question costs one listing.
class WalArchive {
 public:
  WalArchive(repository::Repository& repository, std::string instance);
  ~WalArchive();

  /// `live` is what a running receiver knows beyond the store's own marker.
  RecoveryWindow window(const std::optional<ArchiveEnd>& live = std::nullopt);

  /// Throws Error(recovery_out_of_reach), naming the nearest times within reach, before any work: a time before the
  /// earliest, in the future (`now`), after the archive's proven end, or in a gap; an unknown, unfinished or logical
  /// backup.
  RecoveryPlan plan(const RecoveryTarget& target, core::Timestamp now,
                    const std::optional<ArchiveEnd>& live = std::nullopt);

  /// The record of every stored backup, oldest first; those that cannot be read are named in `damaged`.
  std::vector<repository::BackupRecord> backups(std::vector<repository::DamagedBackup>* damaged = nullptr);

 private:
  [[nodiscard]] RecoveryRules rules(const ArchiveState& state) const;
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace backstay::backup

// The rules that turn a wanted state into a base backup and a place to stop. No I/O.
//
// The archive of one instance is seen as runs: stretches of WAL without a hole along one branch. A run is open from the
// stop of its first backup to the last moment for which it is proven complete, by a later commit or by a keepalive.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backup/recovery_window.h"
#include "core/time.h"
#include "postgres/lsn.h"
#include "postgres/timeline_history.h"
#include "repository/records.h"
#include "repository/repository.h"
#include "repository/segment_index.h"

namespace backstay::backup {

struct ArchivedSegment {
  postgres::SegmentName name;
  /// How much of it can be read from its start.
  std::uint64_t contiguous = 0;
  repository::SegmentIndex index;
};

/// Everything that is known of one instance's archive.
struct ArchiveState {
  std::string instance;
  std::uint64_t segment_size = postgres::kDefaultSegmentSize;
  std::vector<repository::BackupRecord> backups;
  /// Ids of backups that no WAL can be replayed upon.
  std::vector<std::string> logical = {};
  std::vector<repository::DamagedBackup> damaged;
  /// Of other damage.
  std::vector<std::string> warnings;
  /// By timeline, then in LSN order.
  std::map<postgres::TimelineId, std::vector<ArchivedSegment>> segments;
  std::map<postgres::TimelineId, std::vector<postgres::TimelineSwitch>> histories;
  /// "Complete up to here" markers, of the store and of a running receiver.
  std::vector<ArchiveEnd> ends;
};

/// A commit or abort record.
struct CommitRecord {
  postgres::Lsn start;
  postgres::Lsn end;
  core::Timestamp time;
};
/// What the WAL of one segment itself says.
struct SegmentAnswer {
  /// The first commit or abort that completes in the segment, starts at `from` or later and is stamped later than
  /// `time`.
  std::optional<CommitRecord> commit;
  /// The latest stamp of those in the segment that start before `from`.
  std::optional<core::Timestamp> earlier = {};
  /// The stamp of the last one that precedes it there.
  std::optional<core::Timestamp> before;
  /// Between the two, or between them and the segment's ends, lies something that could not be read.
  bool unclear = false;
  /// The start of the last record that was read.
  std::optional<postgres::Lsn> last_record;
};
using FindCommit =
    std::function<SegmentAnswer(const ArchivedSegment& segment, postgres::Lsn from, core::Timestamp time)>;

class RecoveryRules {
 public:
  /// `state` outlives it.
  RecoveryRules(const ArchiveState& state, FindCommit find_commit);

  [[nodiscard]] RecoveryWindow window() const;
  [[nodiscard]] RecoveryPlan plan(const RecoveryTarget& target, core::Timestamp now) const;

 private:
  struct Run {
    std::vector<const ArchivedSegment*> segments;
    std::vector<const repository::BackupRecord*> backups;  // by stop
    core::Timestamp earliest;
    core::Timestamp latest;
    [[nodiscard]] postgres::Lsn begin(std::uint64_t segment_size) const;
    [[nodiscard]] postgres::Lsn end(std::uint64_t segment_size) const;
  };
  [[nodiscard]] std::vector<std::string> warnings() const;
  void choose_branch();
  void make_runs();
  void place_backups(Run& run) const;
  void bound_run(Run& run) const;
  [[nodiscard]] RecoveryPlan to_backup(const std::string& id) const;
  [[nodiscard]] RecoveryPlan to_time(core::Timestamp time, core::Timestamp now) const;
  [[nodiscard]] RecoveryPlan to_latest() const;
  [[nodiscard]] const Run& run_of(core::Timestamp time, core::Timestamp now) const;
  [[nodiscard]] RecoveryPlan before_commit(const Run& run, const ArchivedSegment& segment, const CommitRecord& commit,
                                           std::optional<core::Timestamp> before) const;
  [[nodiscard]] RecoveryPlan to_end(const Run& run) const;
  [[nodiscard]] RecoveryPlan with_base(const repository::BackupRecord& base) const;
  /// The last segment in which a record ends that is known, and the record's start.
  [[nodiscard]] std::pair<const ArchivedSegment*, postgres::Lsn> last_record(const Run& run) const;
  [[nodiscard]] const repository::BackupRecord& best_of(std::span<const repository::BackupRecord* const> backups,
                                                        postgres::Lsn stop) const;
  /// Where in the WAL of a branch a tablespace was created, if one was between the two.
  [[nodiscard]] std::optional<postgres::Lsn> tablespace_created(postgres::Lsn from, postgres::Lsn to,
                                                                postgres::TimelineId branch) const;
  void check_tablespaces(const RecoveryPlan& plan) const;
  /// The times that the creation of tablespaces puts out of reach, until a backup that has them.
  void add_tablespace_gaps(const Run& run, RecoveryWindow& window) const;
  /// The latest stamp of the commits that start before `lsn`; the run's beginning if there is none.
  [[nodiscard]] core::Timestamp last_stamp_before(const Run& run, postgres::Lsn lsn) const;
  void add_wal(RecoveryPlan& plan, postgres::SegmentNumber last) const;
  [[nodiscard]] std::optional<core::Timestamp> last_commit_before(const Run& run, postgres::SegmentNumber segment,
                                                                  postgres::Lsn from) const;

  const ArchiveState& state_;
  const FindCommit find_commit_;
  postgres::TimelineId branch_;
  std::vector<postgres::TimelineSwitch> history_;
  std::vector<Run> runs_;  // only those with a backup, in LSN order
  bool newest_has_backup_ = true;
};

}  // namespace backstay::backup

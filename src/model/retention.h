// Retention: which backups of a service may go, how far its WAL may go, and why. No I/O, and no clock of its own.
//
// The rules, strongest first:
//  - pinned backups stay, and those with an expiry of their own until it has passed
//  - a backup whose deletion was asked for goes; one that is being taken stays; one that failed before it was stored
//    goes after a grace
//  - nothing goes while it is not certain what time it is, while somebody else still needs the instance, while a
//    deleted service has not expired, and while the instance that serves has no confirmed backup
//  - everything goes when a deleted service has expired
//  - while backups are off nothing goes because of its age: nothing newer comes
//  - the newest confirmed backup stays, unless its own expiry has passed and the service is covered elsewhere; with
//    continuous WAL also the newest confirmed one that is older than the cut (now minus the retention), and all WAL
//    from its start, so that every time after the cut stays within reach
//  - what a schedule with a rule of its own has made goes by that rule alone: beyond its count of confirmed ones, or
//    when it is older than its days
//  - a place that the service has left keeps nothing for its own sake once the present one alone covers the retention
//  - so many of the newest scheduled backups as the retention holds intervals stay whatever a clock says
//  - what else is older than the cut goes
//
// A backup counts as old only if every clock that stamped it says so; what was taken later on the same instance is
// never older than what was taken before. "Confirmed" here means: read back, and nothing found since.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/time.h"
#include "model/backup.h"
#include "model/backup_schedule.h"

namespace backstay::model {

/// A backup as retention sees it.
struct RetainedBackup {
  std::string id{};
  std::string instance_id{};
  BackupMechanism mechanism = BackupMechanism::kPhysical;
  BackupState state = BackupState::kCompleted;
  bool stored = true;
  bool confirmed = false;
  bool pinned = false;
  /// An expiry of its own, which takes the place of the service's retention.
  std::optional<core::Timestamp> expires_at{};
  /// True for those that the service's own interval made: they alone count towards keep_at_least.
  bool counts = true;
  /// The schedule that made it, its rule, and how many confirmed ones it has made since that lie in other places.
  std::string schedule_id{};
  KeepRule keep{};
  std::size_t newer_elsewhere = 0;
  /// It was sent elsewhere than the instance's WAL, and reaches one moment only; see model::Backup.
  bool stands_alone = false;
  /// When it was taken or tried, by every clock that said so: the server's, Backstay's, the store's.
  std::vector<core::Timestamp> stamps{};
  std::uint32_t timeline = 0;
  std::uint64_t start_lsn = 0;
  std::uint64_t stop_lsn = 0;
};

struct RetainedInstance {
  std::string id{};
  /// Its WAL is archived continuously at this destination, so that times between backups are promised too. Otherwise
  /// each backup here stands alone, and its WAL goes with it.
  bool continuous = true;
  /// When it stopped serving; absent while it serves, and for one that never did.
  std::optional<core::Timestamp> served_until{};
  /// Who else needs all of it, in words ("'shop-copy' is being recovered from it"); empty if nobody does.
  std::string held_by{};
};

struct RetentionQuestion {
  /// What the clocks say that can be asked now: this machine's, the store's.
  std::vector<core::Timestamp> now{};
  bool enabled = true;
  /// Another place, where the WAL of the instance that serves goes, has a confirmed backup of it: here even the last
  /// good one may go, when its owner wants that or its own expiry has passed.
  bool covered_elsewhere = false;
  std::int64_t retention_days = 7;
  /// See keep_at_least(); 0 for none.
  std::size_t keep_at_least = 0;
  core::Duration failed_grace = std::chrono::hours(72);
  /// A deleted service: when its record goes. It has no serving instance any more.
  bool deleted = false;
  std::optional<core::Timestamp> expires_at{};
  /// Of a place where nothing of the service goes any more: from when on the present one covers it; see
  /// covered_since().
  std::optional<core::Timestamp> covered_since{};
  /// Every instance that the service has pointed to, in order; the last one serves.
  std::vector<RetainedInstance> instances{};
  std::vector<RetainedBackup> backups{};
};

struct BackupVerdict {
  std::string backup_id{};
  std::string instance_id{};
  bool goes = false;
  std::string reason{};
};

/// From where the WAL of a timeline stays.
struct WalStart {
  std::uint32_t timeline = 0;
  std::uint64_t lsn = 0;
  friend bool operator==(const WalStart&, const WalStart&) = default;
};

/// WAL of an instance that may go: what lies before `from` on its timeline, and on earlier timelines what lies before
/// their entry in `earlier`, or all of them. Later timelines stay. Without `from` all WAL of the instance may go. The
/// WAL that a remaining backup needs by itself, from its start to its stop, always stays.
struct WalVerdict {
  std::string instance_id{};
  std::optional<WalStart> from{};
  std::vector<WalStart> earlier{};
  std::string reason{};
  friend bool operator==(const WalVerdict&, const WalVerdict&) = default;
};

struct RetentionDecision {
  /// One for each backup, in the order of the question.
  std::vector<BackupVerdict> backups{};
  /// Instances without an entry keep all WAL.
  std::vector<WalVerdict> wal{};
  /// Nothing of the instances is wanted here once their last backup is gone.
  bool finished = false;
};

/// How many scheduled backups the retention holds.
std::size_t keep_at_least(std::int64_t retention_days, std::int64_t interval_h);

/// The time of the first confirmed backup at the service's present place that is newer than all that it left at another
/// one, and that the WAL there goes on from: from then on no time needs that other one. Nothing while there is none, or
/// while one is being taken there.
std::optional<core::Timestamp> covered_since(const RetentionQuestion& present, const RetentionQuestion& left);

RetentionDecision decide_retention(const RetentionQuestion& question);

/// Why a backup of the question must stay even if its owner wants it deleted: it is pinned, being taken, needed by
/// somebody, the last good one of a service that is not deleted, or the one that the promised window begins with.
/// Nothing if it may go.
std::optional<std::string> deletion_obstacle(const RetentionQuestion& question, const std::string& backup_id);

}  // namespace backstay::model

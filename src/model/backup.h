// A backup: one restorable state. Four separate facts with their times, never one flag.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/time.h"
#include "model/labels.h"
#include "model/verification.h"

namespace backstay::model {

enum class BackupMechanism { kPhysical, kLogical };
enum class BackupOrigin { kScheduled, kManual, kFinal, kSafety };
/// Where the work on it stands; what it is worth is told by the four facts. Completed and failed ones may only be
/// deleted, or lost with their destination; kDeleted is terminal.
enum class BackupState { kScheduled, kRunning, kCompleted, kFailed, kDeleting, kDeleted, kLost };

std::string_view to_text(BackupMechanism mechanism);
std::string_view to_text(BackupOrigin origin);
std::string_view to_text(BackupState state);
BackupMechanism backup_mechanism_from_text(std::string_view text);
BackupOrigin backup_origin_from_text(std::string_view text);
BackupState backup_state_from_text(std::string_view text);
bool may_change(BackupState from, BackupState to);

struct Backup {
  std::string id{};
  /// Counts through all backups of this state, from 1; for clients whose ids are integers.
  std::int64_t number = 0;
  std::string service_id{};
  std::int64_t team_id = 0;
  /// Empty until the backup has begun.
  std::string instance_id{};
  std::string destination_id{};
  BackupMechanism mechanism = BackupMechanism::kPhysical;
  BackupOrigin origin = BackupOrigin::kManual;
  BackupState state = BackupState::kScheduled;
  core::Timestamp scheduled_at{};
  std::optional<core::Timestamp> initiated_at{};
  /// The four facts: the state that it holds was complete; all of it is in the store; it was read back from the store
  /// and checked; a restore of it was seen to work.
  std::optional<core::Timestamp> taken_at{};
  std::optional<core::Timestamp> stored_at{};
  std::optional<core::Timestamp> confirmed_at{};
  std::optional<core::Timestamp> verified_at{};
  /// The last attempt to see a restore of it work. Failed since it was confirmed: it is good no more.
  std::optional<Verification> verification{};
  std::uint64_t start_lsn = 0;
  std::uint64_t stop_lsn = 0;
  std::uint32_t timeline = 0;
  /// Its WAL lies beside it, from its start to its stop and no further: it was sent elsewhere than the instance's WAL.
  bool stands_alone = false;
  /// Size of the data, and what was added to the store for it.
  std::uint64_t data_bytes = 0;
  std::uint64_t stored_bytes = 0;
  /// Asked for as a full one: nothing is taken over from an earlier backup.
  bool full_wanted = false;
  /// The earlier backup whose bytes in the store stand for what has not changed since; empty for a full one.
  std::string base_id{};
  /// Bytes of the data that were read to take it.
  std::uint64_t read_bytes = 0;
  /// Why it is a full one, in words; empty for one that has a base.
  std::string full_reason{};
  std::string error{};
  std::string next_step{};
  /// What its owner says: never removed by retention; instead of the retention, kept until then; a word to know it by.
  bool pinned = false;
  std::optional<core::Timestamp> expires_at{};
  std::string label{};
  Labels labels{};
  /// The schedule that it was taken for; empty for any other, and for one of a service's own interval.
  std::string schedule_id{};
  /// Why it is being deleted; empty while it is not.
  std::string removal_reason{};
};

/// Read back and whole, and no restore of it has failed since.
bool is_sound(const Backup& backup);

}  // namespace backstay::model

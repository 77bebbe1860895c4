// A schedule: when backups of a service are taken, to where, how, and how long they are kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/time.h"
#include "model/backup.h"

namespace backstay::model {

/// How long the backups of a schedule are kept: what is beyond one of the limits goes. Without any, the service's
/// retention speaks.
struct KeepRule {
  /// So many of the newest confirmed ones; 0: no such limit.
  std::int64_t count = 0;
  /// So many days; 0: no such limit.
  std::int64_t days = 0;
  friend bool operator==(const KeepRule&, const KeepRule&) = default;
  [[nodiscard]] bool empty() const { return count == 0 && days == 0; }
};

/// What became of a run.
enum class RunOutcome { kNone, kRunning, kCompleted, kFailed };
std::string_view to_text(RunOutcome outcome);
RunOutcome run_outcome_from_text(std::string_view text);

struct BackupSchedule {
  std::string id{};
  std::int64_t team_id = 0;
  std::string service_id{};
  std::string name{};
  /// Empty: the service's first, whichever that is.
  std::string destination_id{};
  /// A cron expression, meant in the time zone; or, if it is empty, every so many hours from `counted_from` on.
  std::string cron{};
  std::string time_zone = "UTC";
  std::int64_t interval_h = 0;
  core::Timestamp counted_from{};
  KeepRule keep{};
  BackupMechanism mechanism = BackupMechanism::kPhysical;
  bool enabled = true;
  /// When the next run is due; in the past: now. Nothing while it is switched off.
  std::optional<core::Timestamp> next_at{};
  std::optional<core::Timestamp> last_run_at{};
  std::string last_backup_id{};
  RunOutcome last_outcome = RunOutcome::kNone;
  /// Rises by one with each change that its owner makes.
  std::int64_t generation = 1;
  core::Timestamp created_at{};
  core::Timestamp updated_at{};
  /// From then on only its rule is left, for the backups that it made.
  std::optional<core::Timestamp> deleted_at{};
};

/// The first run later than `after`, whether or not it is enabled.
core::Timestamp next_run(const BackupSchedule& schedule, core::Timestamp after);
/// The next runs as it stands: the one that is due and those after it; none while it is switched off or deleted.
std::vector<core::Timestamp> next_runs(const BackupSchedule& schedule, core::Timestamp now, std::size_t count);

}  // namespace backstay::model

// Backup schedules as their teams see them: made, changed, deleted, run at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/admission.h"
#include "control/event_log.h"
#include "control/preview.h"
#include "control/principal.h"
#include "control/service_commands.h"
#include "core/random.h"
#include "core/time.h"
#include "metadata/database.h"
#include "model/backup.h"
#include "model/backup_schedule.h"

namespace backstay::control {

/// Either cron or interval_hours.
struct CreateScheduleRequest {
  std::string service_id{};
  /// Empty: its time in words.
  std::string name{};
  /// A destination of the team or the operator. Nothing: the service's first.
  std::optional<std::string> destination_id{};
  std::optional<std::string> cron{};
  /// Of the cron expression. Nothing: UTC.
  std::optional<std::string> time_zone{};
  std::optional<std::int64_t> interval_hours{};
  std::optional<std::int64_t> retention_count{};
  std::optional<std::int64_t> retention_days{};
  model::BackupMechanism mechanism = model::BackupMechanism::kPhysical;
  bool enabled = true;
  /// Where backups of the service are off, turns them on with it, to the destination that is named or the default.
  bool turn_backups_on = false;
};

/// What is absent keeps its value; an inner nothing takes it away. A cron expression takes the place of an interval,
/// and the other way round.
struct UpdateScheduleRequest {
  std::optional<std::string> name{};
  std::optional<std::optional<std::string>> destination_id{};
  std::optional<std::string> cron{};
  std::optional<std::string> time_zone{};
  std::optional<std::int64_t> interval_hours{};
  std::optional<std::optional<std::int64_t>> retention_count{};
  std::optional<std::optional<std::int64_t>> retention_days{};
  std::optional<model::BackupMechanism> mechanism{};
  std::optional<bool> enabled{};
};

struct ScheduleView {
  model::BackupSchedule schedule;
  /// The next five: the one that is due and those after it.
  std::vector<core::Timestamp> next_runs;
  /// Why nothing runs although it is enabled; empty if nothing hinders it.
  std::string waits_for;
};

/// What the commands need; all outlive them.
struct ScheduleCommandDependencies {
  metadata::Database& database;
  const ProviderRegistry& providers;
  StoreGate& stores;
  /// Takes the backup of run().
  ServiceCommands& services;
  core::Clock& clock;
  core::Random& random;
};

/// Thread-safe. A schedule of a team that the principal does not see is not_found. Pointers in refusals: /serviceId,
/// /name, /destinationId, /cron, /timeZone, /intervalH, /retentionCount, /retentionDays, /mechanism.
class ScheduleCommands {
 public:
  static constexpr std::size_t kMostOfService = 20;

  explicit ScheduleCommands(ScheduleCommandDependencies dependencies);

  /// conflict if backups of the service are off and not turned on with it, and for one that is being deleted.
  ScheduleView create(const CreateScheduleRequest& request, const Principal& principal);
  /// A change of its time, and switching it on, counts from now: what was missed before is not caught up.
  ScheduleView update(const std::string& id, const UpdateScheduleRequest& request, const Principal& principal);
  /// What it made stays by its rule, and without an age in it until it is deleted by hand.
  Preview remove(const std::string& id, const Principal& principal, Effect effect = Effect::kLasting);
  /// A backup now, kept as the others of the schedule are; its next run comes as if this one had not been.
  model::Backup run(const std::string& id, const Principal& principal);

  ScheduleView schedule(const std::string& id, const Principal& principal);
  /// By creation. Empty: of every service of the team; nothing: of every team that the principal sees.
  std::vector<ScheduleView> schedules(const std::string& service_id, std::optional<std::int64_t> team_id,
                                      const Principal& principal);

 private:
  model::BackupSchedule require(metadata::Transaction& tx, const std::string& id, const Principal& principal);
  ScheduleView view_of(const model::BackupSchedule& schedule, const model::Service& service);
  /// Where it goes from now on, found or probed. Nothing: the service's first.
  std::optional<NamedDestination> find_place(const model::Service& service, const std::optional<std::string>& wanted);
  /// Throws Error(conflict) or Error(not_supported) if backups of the service cannot be taken like that.
  void require_possible(metadata::Transaction& tx, const model::Service& service,
                        const model::BackupSchedule& schedule);

  ScheduleCommandDependencies deps_;
  Admission admission_;
  EventLog events_;
};

}  // namespace backstay::control

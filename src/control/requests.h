// What callers ask for, already parsed and free of any dialect. The rules are checked by the commands, not here.
//
// Pointers in refusals name the house fields (/plan/parameters/storage, /backups/intervalH …); a dialect maps them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/time.h"
#include "model/backup.h"
#include "model/labels.h"
#include "model/secrets.h"

namespace backstay::control {

struct ProviderRequest {
  std::string name;
  /// "15" or "v1". Nothing: the newest version of that name.
  std::optional<std::string> version;
};

struct PlanRequest {
  std::int64_t id = 0;
  core::json::object parameters;
};

/// On update, what is absent keeps its value.
struct BackupsRequest {
  std::optional<bool> enabled;
  std::optional<std::int64_t> interval_hours;
  std::optional<std::int64_t> retention_days;
  std::optional<core::json::object> config;
  std::optional<model::Secrets> secrets;
  /// Instead of config and secrets: a destination of the team or the operator.
  std::optional<std::string> destination_id;
};

/// Either backup_id, or service_id with time (no time: the latest state that can be reached).
struct RecoverRequest {
  std::optional<std::string> backup_id;
  std::optional<std::string> service_id;
  std::optional<core::Timestamp> time;
  /// Where to look; empty: where the source's backups go.
  core::json::object config;
  model::Secrets secrets;
  /// Other roles than the application's may log in as they could at the source.
  bool keep_logins = false;
};

/// What becomes of a recovered state.
enum class RecoverInto {
  kNew,        ///< a service of its own
  kCandidate,  ///< a service that is ready to take the place of the one that it was recovered from
  kInPlace     ///< a candidate that takes its place as soon as it is ready
};
std::string_view to_text(RecoverInto into);
/// Throws Error(invalid_argument) for a word that is none of "new", "candidate", "in-place".
RecoverInto recover_into_from_text(std::string_view text);

/// A recovery that needs only the state: provider, plan, config, users, passwords and backups are those that the
/// recovered service has now.
struct RecoverServiceRequest {
  /// One of the two, or both if the backup is one of the service's.
  std::optional<std::string> service_id{};
  std::optional<std::string> backup_id{};
  /// Whose place is taken; nothing: the recovered service's own. Another one of its team takes the data as its own,
  /// with its own plan, users and passwords.
  std::optional<std::string> target_id{};
  /// Only without a backup; nothing: the latest state that can be reached.
  std::optional<core::Timestamp> time{};
  RecoverInto into = RecoverInto::kNew;
  /// Nothing: "<name>-restored-<yyyymmdd-hhmmss>", the name cut so that all of it has at most so many characters.
  std::optional<std::string> name{};
  std::size_t longest_name = 127;
  /// Of the service that is made.
  model::Labels labels{};
  /// Other roles than the application's may log in as they could then. Nothing: for what takes a service's place.
  std::optional<bool> keep_logins{};
};

/// What takes the place of a service's instance; at most one of the three. None: the newest candidate that is ready.
struct SwitchRequest {
  std::optional<std::string> candidate_id{};
  /// One that the service pointed to before and whose data is kept: switching back.
  std::optional<std::string> instance_id{};
  /// To the one of these that served last.
  bool back = false;
};

struct CreateServiceRequest {
  /// A UUID that the caller chose; nothing: a new one.
  std::optional<std::string> id{};
  std::int64_t team_id = 0;
  std::string name;
  ProviderRequest provider;
  PlanRequest plan;
  core::json::object config;
  model::Secrets secrets;
  /// The application version asked for with "version" (SemVer); most providers have none.
  std::optional<std::string> app_version;
  std::optional<BackupsRequest> backups;
  std::optional<RecoverRequest> recover_from;
  bool deletion_protection = false;
  model::Labels labels{};
};

/// `config`, `secrets` and `plan.parameters` are merged key by key; a null in config removes the key.
struct UpdateServiceRequest {
  std::optional<std::string> name;
  std::optional<core::json::object> config;
  std::optional<model::Secrets> secrets;
  std::optional<PlanRequest> plan;
  std::optional<BackupsRequest> backups;
  std::optional<bool> pause;
  std::optional<bool> deletion_protection;
  model::LabelChanges labels{};
  std::optional<std::string> app_version;
};

/// What a deletion does with the last state of a service whose backups are on.
enum class FinalBackup {
  kRequired,    ///< without a confirmed final backup the data stays
  kBestEffort,  ///< tried, and the data goes in any case
  kSkip
};
std::string_view to_text(FinalBackup wish);
/// Throws Error(invalid_argument) for a word that is none of "required", "best-effort", "skip".
FinalBackup final_backup_from_text(std::string_view text);

/// A backup now.
struct TakeBackupRequest {
  /// A UUID that the caller chose; nothing: a new one.
  std::optional<std::string> id{};
  model::BackupMechanism mechanism = model::BackupMechanism::kPhysical;
  /// A destination of the team or the operator. Nothing: where the service's backups go, else the default.
  std::optional<std::string> destination_id{};
  std::string label{};
  model::Labels labels{};
  /// Instead of the retention.
  std::optional<core::Timestamp> expires_at{};
  /// Instead of expires_at, a temporary one: it goes after so many days, at most those that the operator allows.
  std::optional<std::int64_t> temporary_days{};
  /// It stays until somebody asks for its deletion.
  bool pinned = false;
  /// All of the data is read and stored anew, whatever earlier backups hold.
  bool full = false;
  /// The schedule that it is a run of.
  std::string schedule_id{};
  /// Where backups of the service are off, turns them on with it, to the destination that is named or the default.
  bool turn_backups_on = false;
};

/// What is absent keeps its value.
struct ChangeBackupRequest {
  std::optional<bool> pinned{};
  /// An inner nothing takes the expiry away.
  std::optional<std::optional<core::Timestamp>> expires_at{};
  std::optional<std::string> label{};
  model::LabelChanges labels{};
};

/// Which backup may be deleted, besides what always holds.
struct BackupDeletion {
  /// A pin is no obstacle: for those who know no pins, but backups that stay until they are deleted.
  bool pinned_too = false;
  /// Refuses what was not asked for by the owner: the system takes it and removes it.
  bool only_manual = false;
};

struct CreateTeamRequest {
  std::string name;
  /// Nothing: made from the name.
  std::optional<std::string> slug;
};

struct CreateTokenRequest {
  std::string name;
  /// Besides those of the role.
  std::vector<std::string> scopes;
  bool all_teams = false;
  std::vector<std::int64_t> team_ids;
  std::optional<core::Timestamp> expires_at;
  /// viewer, operator or admin.
  std::optional<std::string> role = {};
  /// What the token's text begins with; empty: as all do.
  std::string prefix = {};
};

/// The same keys as a service's backups.config and backups.secrets.
struct CreateDestinationRequest {
  std::int64_t team_id = 0;
  std::string name;
  core::json::object config;
  model::Secrets secrets;
  /// Used where a request names no destination.
  bool is_default = false;
};

/// What is absent keeps its value; `config` and `secrets` are merged key by key, a null in config removes the key.
struct UpdateDestinationRequest {
  std::optional<std::string> name{};
  std::optional<core::json::object> config{};
  std::optional<model::Secrets> secrets{};
  std::optional<bool> is_default{};
};

}  // namespace backstay::control
